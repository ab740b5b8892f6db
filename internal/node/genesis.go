//go:build unix

package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/remote"
	"bonded/verify"
)

// firstCheckpoint is how long a start waits for the ledger's checkpoint.
const firstCheckpoint = 15 * time.Second

// directoryLeaf is directory-leaf.json: the opening of the newest directory
// leaf this vault has put into its ledger.
type directoryLeaf struct {
	Leaf   []byte `json:"leaf"`
	Fields []byte `json:"fields"` // see [verify.EncodeFields]: "version", "digest"
	Digest []byte `json:"digest"` // SHA-256 of cells.json
	Index  *int64 `json:"index"`  // in the ledger; absent while it is not known to be there
}

// version returns the version of the directory published, 0 for none.
func (l *directoryLeaf) version() uint64 {
	fields, err := verify.DecodeFields(l.Fields)
	if err != nil {
		return 0
	}
	for i := range fields {
		if fields[i].Name == "version" && len(fields[i].Value) == 8 {
			return binary.BigEndian.Uint64(fields[i].Value)
		}
	}
	return 0
}

// publishDirectory makes sure that the directory in force is a leaf of the
// ledger. The first one is the genesis leaf.
func (n *vaultNode) publishDirectory(ctx context.Context) error {
	d, raw, err := n.cells.get()
	if err != nil {
		return err
	}
	digest := verify.DirectoryDigest(raw)
	path := filepath.Join(n.dir, "directory-leaf.json")
	// 1. What was published before.
	var last directoryLeaf
	if b, err := os.ReadFile(path); err == nil { //nolint:gosec // inside the party's folder
		if err := json.Unmarshal(b, &last); err != nil {
			return &bonded.Error{Code: bonded.CodeAltered, Field: path, Message: "the opening of the directory leaf is damaged"}
		}
	}
	if last.Index != nil && bytes.Equal(last.Digest, digest[:]) {
		return nil
	}
	if seen := last.version(); d.Version < seen {
		return olderDirectory(resolve(n.dir, n.conf.Directory), d.Version, seen)
	}
	// 2. The leaf before it. One that was begun may be there already.
	prev, index, err := n.newest(ctx, verify.LeafDirectory)
	if err != nil {
		return err
	}
	if prev != nil && bytes.Equal(prev, last.Leaf) && bytes.Equal(last.Digest, digest[:]) {
		last.Index = &index
		return writeJSON(path, last)
	}
	// 3. A new leaf, its opening durable first.
	fields := []verify.LeafField{{Name: "version", Value: canon.U64(d.Version)}, {Name: "digest", Value: digest[:]}}
	for i := range fields {
		_, _ = rand.Read(fields[i].Salt[:]) // never fails since Go 1.24
	}
	leaf := verify.Leaf{Kind: verify.LeafDirectory, Cell: n.conf.Cell, Time: uint64(time.Now().Unix()), Root: verify.CommitFields(fields)} //nolint:gosec // after 1970
	if prev != nil {
		leaf.Prev = tlog.RecordHash(prev)
	}
	last = directoryLeaf{Leaf: leaf.Encode(), Fields: verify.EncodeFields(fields), Digest: digest[:]}
	if err := writeJSON(path, last); err != nil {
		return err
	}
	receipt, err := n.ledger.Append(ctx, last.Leaf)
	if err != nil {
		return fmt.Errorf("publish the directory: %w", err)
	}
	at := receipt.Index()
	last.Index = &at
	n.log.LogAttrs(ctx, slog.LevelInfo, "directory published", slog.Uint64("version", d.Version), slog.Int64("leaf", at))
	return writeJSON(path, last)
}

// newest returns the newest leaf of a kind that is under the newest cosigned
// checkpoint, and where it is; nil if there is none.
func (n *vaultNode) newest(ctx context.Context, kind verify.LeafKind) ([]byte, int64, error) {
	cp, err := n.latest(ctx)
	if err != nil {
		return nil, 0, err
	}
	for i := cp.Size - 1; i >= 0; i-- {
		b, err := n.ledger.ReadEntry(ctx, i)
		if err != nil {
			return nil, 0, fmt.Errorf("read ledger entry %d: %w", i, err)
		}
		if l, err := verify.DecodeLeaf(b); err == nil && l.Kind == kind {
			return b, i, nil
		}
	}
	return nil, 0, nil
}

// latest waits until the ledger has read or published a cosigned checkpoint:
// also a new log begins with one, of size 0.
func (n *vaultNode) latest(ctx context.Context) (*verify.Checkpoint, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(firstCheckpoint); ; {
		cp, err := n.ledger.Latest()
		if err == nil || bonded.CodeOf(err) != bonded.CodeStale || time.Now().After(deadline) {
			return cp, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// checkLedger holds the journal against the newest anchor of the ledger: a
// journal restored from an old copy is refused here.
func (n *vaultNode) checkLedger(ctx context.Context) error {
	anchor, _, err := n.newest(ctx, verify.LeafAnchor)
	if err != nil {
		return err
	}
	return n.journal.CheckLedger(ctx, anchor)
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return errors.Join(errors.New("encode "+filepath.Base(path)), err)
	}
	return remote.WriteFile(path, append(b, '\n'))
}
