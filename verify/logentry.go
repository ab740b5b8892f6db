package verify

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ReadEntry reads one entry of a static log and proves, by its stored hashes,
// that the checkpoint holds it. Fetch is that of [CheckLog]. The error is a
// [Failure]: with [CannotTell] if the checkpoint has no such entry or a file is
// not there.
func ReadEntry(fetch func(path string) ([]byte, error), cp *Checkpoint, index int64) ([]byte, error) {
	if index < 0 || index >= cp.Size {
		return nil, Unknown(FailMissing, nil, "the checkpoint is of %d entries, numbered from 0; there is no entry %d yet", cp.Size, index)
	}
	// 1. The entry as it is stored.
	w := &logWalk{fetch: fetch}
	n := index / TileWidth
	path, data, err := w.fetchTile(BundlePath(n, int(min(cp.Size-n*TileWidth, TileWidth))), BundlePath(n, 0))
	if err != nil {
		return nil, Unknown(FailMissing, err, "%s cannot be read", path)
	}
	bundle, err := ParseBundle(data)
	if err != nil || int64(len(bundle)) <= index%TileWidth {
		return nil, Fail(FailTile, "%s is not a bundle that holds entry %d", path, index)
	}
	entry := bundle[index%TileWidth]

	// 2. The path to the root.
	t := &tileReader{walk: w}
	p, err := tlog.ProveRecord(cp.Size, index, t.hashes(cp))
	switch {
	case err != nil:
		return nil, t.failure(err)
	case CheckPath(cp.Root, p, index, cp.Size, tlog.RecordHash(entry)) != nil:
		return nil, Fail(FailInclusion, "entry %d as %s has it is not the one that the checkpoint holds", index, path)
	}
	return entry, nil
}

// ReadConsistency proves by the stored hashes of a static log that the tree of
// newer extends that of older. Fetch is that of [CheckLog]. The error is a
// [Failure], as of [CheckConsistency], or with [CannotTell] if a file is not
// there.
func ReadConsistency(fetch func(path string) ([]byte, error), older, newer *Checkpoint) error {
	if older.Size == 0 || older.Size >= newer.Size {
		return CheckConsistency(older, newer, nil)
	}
	t := &tileReader{walk: &logWalk{fetch: fetch}}
	p, err := tlog.ProveTree(newer.Size, older.Size, t.hashes(newer))
	if err != nil {
		return t.failure(err)
	}
	return CheckConsistency(older, newer, p)
}

// FirstEntryTime returns the time of the first entry of a cell's ledger, by the
// clock of its vault: before it nothing was witnessed. It reads the checkpoint
// and that entry, not the whole ledger. The error is a [Failure].
func FirstEntryTime(fetch func(path string) ([]byte, error), cell *DirectoryCell) (time.Time, error) {
	raw, err := fetch(CheckpointPath)
	if err != nil {
		return time.Time{}, Unknown(FailMissing, err, "the checkpoint cannot be read")
	}
	policy, err := ParseWitnessPolicy([]byte(cell.WitnessPolicy))
	if err != nil {
		return time.Time{}, Unknown(FailKey, err, "the directory has no usable witness policy for the cell")
	}
	cp, err := OpenCheckpoint(raw, cell.LedgerKey, policy)
	if err != nil {
		return time.Time{}, err
	}
	entry, err := ReadEntry(fetch, cp, 0)
	if err != nil {
		return time.Time{}, err
	}
	l, err := DecodeLeaf(entry)
	if err != nil {
		return time.Time{}, Fail(FailLeaf, "entry 0 of the ledger is not a leaf")
	}
	return seconds(l.Time), nil
}

// A tileReader reads hash tiles for package tlog, which checks them against the
// root.
type tileReader struct {
	walk    *logWalk
	missing error
	path    string
}

// hashes are those of a checkpoint's tree.
func (t *tileReader) hashes(cp *Checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: cp.Size, Hash: cp.Root}, t)
}

// failure is what an error of the hashes means.
func (t *tileReader) failure(err error) error {
	if t.missing != nil {
		return Unknown(FailMissing, t.missing, "%s cannot be read", t.path)
	}
	return &Failure{Verdict: DoesNotHold, Code: FailTile, Message: "the stored hash tiles do not lead to the root of the checkpoint", Err: err}
}

// Height implements [tlog.TileReader].
func (t *tileReader) Height() int { return 8 }

// ReadTiles implements [tlog.TileReader].
func (t *tileReader) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(list))
	for i, tile := range list {
		path, b, err := t.walk.fetchTile(TilePath(tile.L, tile.N, tile.W), TilePath(tile.L, tile.N, 0))
		t.path = path
		if err != nil {
			t.missing = err
			return nil, err
		}
		if want := tile.W * tlog.HashSize; len(b) > want {
			b = b[:want]
		}
		out[i] = b
	}
	return out, nil
}

// SaveTiles implements [tlog.TileReader].
func (t *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
