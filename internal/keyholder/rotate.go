package keyholder

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"bonded"
	"bonded/verify"
)

// rewrapBatch is how many subject keys one commit re-wraps.
const rewrapBatch = 256

// Rotate makes a new version of the cell key. New subjects are wrapped under
// it at once; the others are re-wrapped in the background, see
// [Keyholder.Status] for progress. When none is left and [Limits].OldCellKey
// has passed, the old version is destroyed. The error has code busy while an
// earlier rotation is still re-wrapping.
func (k *Keyholder) Rotate(ctx context.Context) error {
	k.mu.Lock()
	p, err := k.rotate(ctx)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	if err := p.wait(); err != nil {
		return err
	}
	k.signal(k.rewrap)
	return nil
}

// RotateEvery is how often the vault can have the cell key rotated at most;
// each rotation re-wraps every key there is.
const RotateEvery = time.Minute

// rotateForVault rotates at a vault's request, with code busy if the one
// before was less than [RotateEvery] ago.
func (k *Keyholder) rotateForVault(ctx context.Context) error {
	k.mu.Lock()
	now := k.cfg.Now()
	if since := now.Sub(k.rotated); !k.rotated.IsZero() && since < RotateEvery && since >= 0 {
		k.mu.Unlock()
		return bonded.Errorf(bonded.CodeBusy, "the cell key was rotated less than a minute ago")
	}
	k.rotated = now
	k.mu.Unlock()
	return k.Rotate(ctx)
}

func (k *Keyholder) rotate(ctx context.Context) (*pending, error) {
	if err := k.ready(); err != nil {
		return nil, err
	}
	if k.state.old > 0 {
		return nil, bonded.Errorf(bonded.CodeBusy, "the rotation before is still re-wrapping %d subject keys", k.state.old)
	}
	now := k.now()
	next, err := k.keys.withNewCellKey(ctx, k.cfg.Driver, now, now.Add(k.cfg.Limits.OldCellKey))
	if err != nil {
		return nil, fmt.Errorf("rotate cell key: %w", err)
	}
	// The key is durable before anything is wrapped under it. If its row is
	// lost afterwards, a version was made that the book does not mention:
	// harmless, it is in force from then on.
	if err := k.cfg.Keyring.Save(next.file.encode()); err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the keyring cannot be written")
	}
	k.keys = next
	k.state.old, k.state.firstTomb = k.state.live, 0
	return k.bookRotate(rotatedTo + strconv.FormatUint(uint64(next.current), 10)), nil
}

// rotatedTo begins the detail of the row of a rotation.
const rotatedTo = "version "

func (k *Keyholder) bookRotate(detail string) *pending {
	row := k.newRow(verify.BookRotate)
	row.Operation, row.Detail = verify.OpRotate, detail
	p := k.begin()
	k.append(p, row)
	k.enqueue(p)
	return p
}

// housekeeper re-wraps, destroys old cell keys whose time has come, and
// rotates after erasures, until ctx ends.
func (k *Keyholder) housekeeper(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.rewrap:
		}
		if err := k.Housekeep(ctx); err != nil && bonded.CodeOf(err) != bonded.CodeSealed && ctx.Err() == nil {
			k.log.LogAttrs(ctx, slog.LevelError, "cell key housekeeping", slog.Any("error", err))
		}
	}
}

// Housekeep does now what is due of the background work: it re-wraps all that
// is left, destroys old cell keys whose time has come, and rotates if an
// erasure is older than [Limits].RotateAfter. It runs by itself once a minute.
func (k *Keyholder) Housekeep(ctx context.Context) error {
	var after bonded.ID
	for ctx.Err() == nil {
		last, err := k.rewrapSome(ctx, after)
		if err != nil {
			return err
		}
		if last.IsZero() && after.IsZero() {
			break // a whole pass found nothing
		}
		after = last
	}
	if err := k.destroyOldKeys(); err != nil {
		return err
	}
	k.mu.Lock()
	due := !k.sealed && k.state.firstTomb != 0 && k.now().UnixMilli()-k.state.firstTomb >= k.cfg.Limits.RotateAfter.Milliseconds()
	k.mu.Unlock()
	if due {
		return k.Rotate(ctx)
	}
	return ctx.Err()
}

// rewrapSome re-wraps one batch of the subjects after one and returns the last
// of them, zero if there was none.
func (k *Keyholder) rewrapSome(ctx context.Context, after bonded.ID) (last bonded.ID, err error) {
	k.mu.Lock()
	ks, err := k.keys, k.ready()
	k.mu.Unlock()
	if err != nil {
		return last, err
	}
	old, err := k.cfg.Store.WrappedUnder(ctx, ks.current, after, rewrapBatch)
	if err != nil {
		return last, err
	}
	if len(old) == 0 {
		k.mu.Lock()
		defer k.mu.Unlock()
		if after.IsZero() && !k.sealed && k.keys.current == ks.current {
			k.state.old = 0 // erased ones were counted, too
		}
		return last, nil
	}
	fresh, err := k.rewrapAll(ks, old)
	if err != nil {
		return last, err
	}
	k.mu.Lock()
	if err := k.ready(); err != nil || k.keys.current != ks.current {
		k.mu.Unlock()
		return last, err
	}
	p := k.begin()
	for i := range fresh {
		if !k.state.subjects[fresh[i].Subject].destroyed() {
			p.commit.Rewrapped = append(p.commit.Rewrapped, fresh[i])
			k.cache.put(&fresh[i])
		}
	}
	k.enqueue(p)
	k.mu.Unlock()
	if err := p.wait(); err != nil {
		for i := range fresh {
			k.cache.drop(fresh[i].Subject)
		}
		return last, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := uint64(len(p.commit.Rewrapped)); k.state.old >= n {
		k.state.old -= n
	}
	return old[len(old)-1].Subject, nil
}

func (k *Keyholder) rewrapAll(ks *keys, old []WrappedKey) ([]WrappedKey, error) {
	k.inUse.RLock()
	defer k.inUse.RUnlock()
	if *ks.wiped {
		return nil, errLocked
	}
	fresh := make([]WrappedKey, 0, len(old))
	for i := range old {
		sk, err := ks.unwrap(k.cfg.Cell, old[i].Subject, old[i].Version, old[i].Wrapped)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "a subject key does not open under the cell key it was wrapped with")
		}
		wrapped, err := sk.Wrap(ks.suite, ks.cell[ks.current], k.cfg.Cell, old[i].Subject, ks.current)
		sk.Wipe()
		if err != nil {
			return nil, fmt.Errorf("re-wrap: %w", err)
		}
		fresh = append(fresh, WrappedKey{old[i].Subject, ks.current, wrapped})
	}
	return fresh, nil
}

// destroyOldKeys destroys old versions of the cell key whose time has come, if
// nothing is wrapped under them.
func (k *Keyholder) destroyOldKeys() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return err
	}
	due, _ := k.keys.dueCellKeys(k.now())
	if len(due) == 0 || k.state.old > 0 {
		return nil
	}
	if k.drain(); k.ready() != nil {
		return k.ready()
	}
	if _, old, err := k.cfg.Store.CountSubjects(context.Background(), k.keys.current); err != nil || old > 0 {
		return err // nothing is destroyed that anything still needs
	}
	for _, v := range due {
		key := k.keys.cell[v]
		next := k.keys.withoutCellKey(v)
		if err := k.cfg.Keyring.Save(next.file.encode()); err != nil {
			return bonded.Wrap(bonded.CodeNotWritable, err, "the keyring cannot be written")
		}
		k.keys = next
		k.inUse.Lock()
		key.Wipe()
		k.inUse.Unlock()
		k.bookRotate(fmt.Sprintf("destroyed version %d", v))
		k.log.LogAttrs(context.Background(), slog.LevelInfo, "old cell key destroyed", slog.Uint64("version", uint64(v)))
	}
	return nil
}
