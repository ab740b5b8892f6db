//go:build unix

package ledger

import (
	"context"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// Prove returns a receipt for an entry that is already in the log, under the
// newest cosigned checkpoint: for a caller whose Append ended in an error and
// who then found the entry with [Ledger.ReadEntry]. It fails as ReadEntry
// does.
func (l *Ledger) Prove(ctx context.Context, index int64) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	cp, err := l.covering(index)
	if err != nil {
		return Receipt{}, err
	}
	hashes, err := l.files.tree(cp.Size, cp.Root).ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return Receipt{}, bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its checkpoint")
	}
	return l.prove(cp, index, hashes[0])
}

// ProveConsistency returns the RFC 6962 consistency proof for
// [verify.CheckConsistency] from a tree of size older to the tree of newer, a
// checkpoint of this log.
func (l *Ledger) ProveConsistency(ctx context.Context, older int64, newer *verify.Checkpoint) ([]tlog.Hash, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if older < 0 || older > newer.Size || newer.Origin != l.cfg.Origin {
		return nil, bonded.Errorf(bonded.CodeInvalid, "no consistency proof from %d to %d entries", older, newer.Size)
	}
	if older == 0 || older == newer.Size {
		return nil, nil
	}
	proof, err := tlog.ProveTree(newer.Size, older, l.files.tree(newer.Size, newer.Root))
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its checkpoint")
	}
	return proof, nil
}

// covering returns the newest checkpoint if it covers the entry at index.
func (l *Ledger) covering(index int64) (*verify.Checkpoint, error) {
	cp, err := l.Latest()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= cp.Size {
		return nil, bonded.Errorf(bonded.CodeWithheld, "the ledger has no entry %d", index)
	}
	return cp, nil
}

func (l *Ledger) prove(cp *verify.Checkpoint, index int64, leaf tlog.Hash) (Receipt, error) {
	path, err := tlog.ProveRecord(cp.Size, index, l.files.tree(cp.Size, cp.Root))
	if err != nil {
		return Receipt{}, bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its checkpoint")
	}
	if err := tlog.CheckRecord(path, cp.Size, cp.Root, index, leaf); err != nil {
		return Receipt{}, bonded.Wrap(bonded.CodeAltered, err, "the ledger holds another entry at this place")
	}
	proof := (&verify.TlogProof{Index: index, Hashes: path, Checkpoint: cp.Raw}).Format()
	return Receipt{index: index, leaf: leaf, proof: proof, cp: cp}, nil
}

// ReadEntry returns the entry at index of the newest checkpoint's tree, checked
// against that checkpoint. Its errors have codes [bonded.CodeWithheld] (no
// such entry), [bonded.CodeStale] (no checkpoint yet) and
// [bonded.CodeAltered] (missing or not the entry that was cosigned).
func (l *Ledger) ReadEntry(ctx context.Context, index int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cp, err := l.covering(index)
	if err != nil {
		return nil, err
	}
	entries, err := l.files.bundle(index/verify.TileWidth, cp.Size)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the ledger's entries cannot be read")
	}
	at := int(index % verify.TileWidth)
	hashes, err := l.files.tree(cp.Size, cp.Root).ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil || at >= len(entries) || hashes[0] != tlog.RecordHash(entries[at]) {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "a ledger entry is not the one that was cosigned")
	}
	return entries[at], nil
}

// ReadEntries returns up to n entries from an index on, checked as
// [Ledger.ReadEntry] does; none beyond the end.
func (l *Ledger) ReadEntries(ctx context.Context, from int64, n int) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cp, err := l.Latest()
	if err != nil {
		return nil, err
	}
	from = max(from, 0)
	end := min(from+int64(min(max(n, 0), maxEntries)), cp.Size)
	var out [][]byte
	var at []int64
	for bundle := from / verify.TileWidth; bundle*verify.TileWidth < end; bundle++ {
		entries, err := l.files.bundle(bundle, cp.Size)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "the ledger's entries cannot be read")
		}
		for i, e := range entries {
			if index := bundle*verify.TileWidth + int64(i); index >= from && index < end {
				out, at = append(out, e), append(at, tlog.StoredHashIndex(0, index))
			}
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	hashes, err := l.files.tree(cp.Size, cp.Root).ReadHashes(at)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its checkpoint")
	}
	for i := range out {
		if hashes[i] != tlog.RecordHash(out[i]) {
			return nil, bonded.Errorf(bonded.CodeAltered, "a ledger entry is not the one that was cosigned")
		}
	}
	return out, nil
}

// maxEntries is how many entries one call reads at most.
const maxEntries = 1024

// TlogProof returns the C2SP tlog-proof of an entry under the newest cosigned
// checkpoint. It fails as [Ledger.ReadEntry] does.
func (l *Ledger) TlogProof(ctx context.Context, index int64) ([]byte, error) {
	r, err := l.Prove(ctx, index)
	if err != nil {
		return nil, err
	}
	return r.Proof(), nil
}
