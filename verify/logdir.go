package verify

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// LogOptions are what [CheckLog] may be asked beside the log itself. The zero
// value asks for nothing more.
type LogOptions struct {
	// Previous is a checkpoint of the log opened earlier, from anywhere. The
	// log must extend it, or it is forked. Nil means there is none.
	Previous *Checkpoint

	// Entry is called with every entry in order, after its bundle was read and
	// before the log is known to hold: keep what it is told, and act on it only
	// when CheckLog returns no error. The data is only valid during the call. An
	// error from it ends the check and is returned as it is. Nil means none.
	Entry func(index int64, data []byte) error

	// hashed is Entry for this package, with the entry's leaf hash.
	hashed func(index int64, data []byte, hash tlog.Hash) error

	// Progress is called after each bundle with the entries done so far. Nil
	// means none.
	Progress func(done, size int64)
}

// A LogReport says what [CheckLog] has checked.
type LogReport struct {
	Checkpoint *Checkpoint
	Entries    int64 // entries read and hashed
	Bundles    int64 // entry bundles read
	Tiles      int64 // stored hash tiles compared
}

// CheckLog checks a whole static log: it opens its checkpoint, reads every
// entry bundle, recomputes every leaf hash, compares each stored hash tile
// with the recomputed one and the root with the checkpoint, and, if a previous
// checkpoint is given, that the log extends it. It holds one tile a level in
// memory, however long the log is.
//
// Fetch returns the bytes at a path of the tlog-tiles layout, such as
// "checkpoint" or "tile/entries/x001/234.p/17". Any error of it counts as "not
// there".
//
// The error is nil, what Entry returned, or a [Failure]: what does not hold is
// named ("tile/0/003 does not match the entries it covers"). A missing entry
// bundle ends the check with [CannotTell]; after a missing hash tile it goes
// on and ends with [CannotTell] only if nothing worse is found. The report is
// of what was done until then and is never nil.
func CheckLog(fetch func(path string) ([]byte, error), logVkey string, policy *WitnessPolicy, opts LogOptions) (*LogReport, error) {
	r := &LogReport{}

	// 1. The signed tree head.
	raw, err := fetch(CheckpointPath)
	if err != nil {
		return r, Unknown(FailMissing, err, "the checkpoint cannot be read")
	}
	cp, err := OpenCheckpoint(raw, logVkey, policy)
	if err != nil {
		return r, err
	}
	r.Checkpoint = cp
	if prev := opts.Previous; prev != nil && (prev.Origin != cp.Origin || prev.Size >= cp.Size) {
		if err := CheckConsistency(prev, cp, nil); err != nil {
			return r, err
		}
	}

	// 2. Every entry, and every full tile above it.
	w := &logWalk{fetch: fetch, report: r, opts: opts, cp: cp}
	w.tree.full = w.compareTile
	if err := w.entries(); err != nil {
		return r, err
	}

	// 3. The partial tiles at the right edge.
	for l, hashes := range w.tree.levels {
		if len(hashes) > 0 {
			if err := w.compareTile(l, cp.Size>>(8*(l+1)), hashes); err != nil {
				return r, err
			}
		}
	}

	// 4. The root.
	if w.tree.root() != cp.Root {
		return r, Fail(FailRoot, "the %d entries do not make the root of the checkpoint", cp.Size)
	}
	if w.missing != nil {
		return r, w.missing
	}
	return r, nil
}

// A logWalk is one run over a log.
type logWalk struct {
	fetch   func(path string) ([]byte, error)
	report  *LogReport
	opts    LogOptions
	cp      *Checkpoint
	tree    compactTree
	missing *Failure // the first hash tile that could not be read
}

func (w *logWalk) entries() error {
	for w.tree.size < w.cp.Size {
		index, done := w.tree.size/TileWidth, w.tree.size%TileWidth // done is 0 unless a walk goes on
		width := int(min(w.cp.Size-index*TileWidth, TileWidth))
		path, data, err := w.fetchTile(BundlePath(index, width), BundlePath(index, 0))
		if err != nil {
			return Unknown(FailMissing, err, "%s cannot be read", path)
		}
		bundle, err := ParseBundle(data)
		if err != nil || len(bundle) < width || len(bundle) > width && path == BundlePath(index, width) {
			return Fail(FailTile, "%s is not a bundle of %d entries", path, width)
		}
		w.report.Bundles++
		for _, e := range bundle[done:width] {
			if err := w.entry(e); err != nil {
				return err
			}
		}
		if w.opts.Progress != nil {
			w.opts.Progress(w.tree.size, w.cp.Size)
		}
	}
	return nil
}

// entry hashes one entry into the tree and, at the size of the previous
// checkpoint, compares the roots.
func (w *logWalk) entry(data []byte) error {
	index := w.tree.size
	hash := recordHash(data)
	if err := w.tree.add(hash); err != nil {
		return err
	}
	w.report.Entries++
	if p := w.opts.Previous; p != nil && p.Size == w.tree.size && p.Root != w.tree.root() {
		return Fail(FailForked, "the log does not extend the earlier checkpoint of %d entries: it is forked, or entries before %d were altered", p.Size, p.Size)
	}
	if w.opts.hashed != nil {
		return w.opts.hashed(index, data, hash)
	}
	if w.opts.Entry != nil {
		return w.opts.Entry(index, data)
	}
	return nil
}

// compareTile compares a stored tile with the hashes it must hold.
func (w *logWalk) compareTile(level int, index int64, hashes []tlog.Hash) error {
	path, data, err := w.fetchTile(TilePath(level, index, len(hashes)), TilePath(level, index, 0))
	if err != nil {
		if w.missing == nil {
			w.missing = Unknown(FailMissing, err, "%s cannot be read", path)
		}
		return nil
	}
	want := len(hashes) * tlog.HashSize
	if path != TilePath(level, index, len(hashes)) {
		want = TileWidth * tlog.HashSize // the full tile in place of a partial one
	}
	if len(data) != want {
		return Fail(FailTile, "%s is %d bytes, not %d", path, len(data), want)
	}
	for i, h := range hashes {
		if tlog.Hash(data[i*tlog.HashSize:(i+1)*tlog.HashSize]) != h {
			return w.tileFailure(path, level, index, i)
		}
	}
	w.report.Tiles++
	return nil
}

func (w *logWalk) tileFailure(path string, level int, index int64, i int) error {
	if level == 0 {
		return Fail(FailTile, "%s does not match the entries it covers, first at entry %d", path, index*TileWidth+int64(i))
	}
	span := int64(1) << (8 * level)
	first := (index*TileWidth + int64(i)) * span
	return Fail(FailTile, "%s does not match the entries it covers, first at entries %d to %d", path, first, first+span-1)
}

// fetchTile reads a partial resource or, because a log may drop a partial one
// when the full one is there, the full one (c2sp.org/tlog-tiles, "Partial
// Tiles"). The path it returns is the one read, or the one asked for.
func (w *logWalk) fetchTile(path, full string) (string, []byte, error) {
	data, err := w.fetch(path)
	if err == nil || path == full {
		return path, data, err
	}
	if data, err2 := w.fetch(full); err2 == nil {
		return full, data, nil
	} else if err2.Error() != err.Error() {
		err = errors.Join(err, fmt.Errorf("%s: %w", full, err2))
	}
	return path, nil, err
}
