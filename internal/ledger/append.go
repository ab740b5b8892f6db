//go:build unix

package ledger

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"bonded"
	"bonded/verify"

	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/tlog"
)

// Append adds an entry, waits until a checkpoint that covers it is cosigned by
// the policy's quorum and published, and returns the proof of it. The entry
// has 1 to [verify.MaxEntrySize] bytes; equal entries are separate entries.
//
// It never waits longer than ctx or the configured deadline. Its errors are
// [bonded.Error]s; after any of the last three the entry may or may not be in
// the log, now or later, so an entry that must not stand twice carries its own
// identity:
//
//   - [bonded.CodeInvalid], [bonded.CodeTooLarge]: not an entry
//   - [bonded.CodeBusy]: too many in flight; nothing was added
//   - [bonded.CodeNotWritable]: the disk did not take the entry, or in time
//   - [bonded.CodeStale]: no quorum of witnesses cosigned it in time
//   - [bonded.CodeAltered]: the log's own files contradict its checkpoint
func (l *Ledger) Append(ctx context.Context, leaf []byte) (Receipt, error) {
	// 1. Take a place; the driver below has no push-back of its own.
	if len(leaf) == 0 {
		return Receipt{}, bonded.Errorf(bonded.CodeInvalid, "a ledger entry is not empty")
	}
	if len(leaf) > verify.MaxEntrySize {
		return Receipt{}, bonded.Errorf(bonded.CodeTooLarge, "ledger entry is over %d bytes", verify.MaxEntrySize)
	}
	if l.closed.Load() {
		return Receipt{}, bonded.Errorf(bonded.CodeNotWritable, "the ledger is closed")
	}
	select {
	case l.slots <- struct{}{}:
	default:
		return Receipt{}, bonded.Errorf(bonded.CodeBusy, "over %d ledger entries in flight", l.cfg.MaxInFlight)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Deadline)
	defer cancel()

	// 2. Durable in the tree.
	index, err := l.sequence(ctx, leaf)
	if err != nil {
		return Receipt{}, err
	}

	// 3. Covered by a cosigned checkpoint.
	cp, err := l.await(ctx, index)
	if err != nil {
		return Receipt{}, err
	}

	// 4. Its proof, from tiles that are checked against that checkpoint.
	return l.prove(cp, index, tlog.RecordHash(leaf))
}

// sequence hands the entry to the writer and waits for its index. The writer
// takes no context: on a full or hanging disk it may answer much later, so the
// place is given back only when it has.
func (l *Ledger) sequence(ctx context.Context, leaf []byte) (int64, error) {
	type result struct {
		index int64
		err   error
	}
	done := make(chan result, 1)
	entry := tessera.NewEntry(append([]byte(nil), leaf...))
	addCtx := context.WithoutCancel(ctx)
	go func() {
		defer func() { <-l.slots }()
		i, err := l.add(addCtx, entry)()
		done <- result{int64(i.Index), err} //nolint:gosec // tree sizes stay far below 2^63
	}()
	select {
	case r := <-done:
		if r.err != nil {
			if isDiskFault(r.err) {
				l.fail(bonded.Wrap(bonded.CodeNotWritable, r.err, "the ledger's disk has failed"))
			}
			return 0, bonded.Wrap(bonded.CodeNotWritable, r.err, "the ledger's disk did not take the entry")
		}
		return r.index, nil
	case <-ctx.Done():
		return 0, bonded.Wrap(bonded.CodeNotWritable, ctx.Err(), "the ledger's disk did not take the entry in time")
	}
}

// await returns the first checkpoint seen that covers the entry at index.
func (l *Ledger) await(ctx context.Context, index int64) (*verify.Checkpoint, error) {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if cp := l.latest.Load(); cp != nil && cp.Size > index {
			return cp, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			e := bonded.Wrap(bonded.CodeStale, ctx.Err(), "no quorum of witnesses cosigned the entry in time")
			e.Hint = "see whether the witnesses can be reached; nothing opens meanwhile"
			return nil, e
		}
	}
}

// look reads the published checkpoint and, if it is not the one seen before,
// verifies it under the policy and makes it the latest.
func (l *Ledger) look(ctx context.Context, seen string) string {
	raw, err := l.files.root.ReadFile(verify.CheckpointPath)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && isDiskFault(err) {
			l.fail(bonded.Wrap(bonded.CodeNotWritable, err, "the ledger's disk has failed"))
		}
		return seen
	}
	if string(raw) == seen {
		return seen
	}
	cp, err := verify.OpenCheckpoint(raw, l.vkey, l.policy)
	if old := l.latest.Load(); err == nil && old != nil && cp.Size < old.Size {
		err = verify.Fail(verify.FailForked, "the published checkpoint went back from %d to %d entries", old.Size, cp.Size)
	}
	if err != nil {
		l.cfg.Logger.LogAttrs(ctx, slog.LevelError, "published checkpoint does not hold", slog.Any("error", err))
		return string(raw)
	}
	l.latest.Store(cp)
	l.mu.Lock()
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	return string(raw)
}
