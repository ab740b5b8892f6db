package keyholder

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/internal/policy"
	"bonded/internal/seal"
	"bonded/verify"
)

// Defaults and limits.
const (
	DefaultFreshness   = 15 * time.Minute
	MaxFreshness       = 24 * time.Hour
	DefaultUndoWindow  = 24 * time.Hour
	MaxOldCellKey      = 30 * 24 * time.Hour // how long an old cell key lives at most
	DefaultOldCellKey  = 7 * 24 * time.Hour
	DefaultRotateAfter = 7 * 24 * time.Hour // after the first erasure since the last rotation

	DefaultReleasePerHour = 10_000 // distinct people of all cases together

	DefaultCachedKeys = 500_000 // some 80 MB when full

	// maxUnanchored bounds the releases the keyholder remembers as not yet
	// anchored; beyond it nothing unlocks, as if no witness had been heard.
	maxUnanchored = 1 << 21

	// maxSkew is how far the clock of the witnesses may be ahead of ours.
	maxSkew = 5 * time.Minute
)

// Limits are what the keyholder's own operator sets.
type Limits struct {
	Freshness      time.Duration // how old the newest cosigned checkpoint and an unanchored release may be
	UndoWindow     time.Duration // least age of the witnessed erasure entry before a key is destroyed
	DestroyPerHour uint32        // destructions an hour, whatever grants say
	OldCellKey     time.Duration // how long an old cell key lives after a rotation; at most MaxOldCellKey
	RotateAfter    time.Duration // how long after an erasure the cell key rotates by itself; 0 means at once
	ReleasePerHour uint32        // distinct people an hour whose keys go to requesters of cases; 0 means DefaultReleasePerHour
	CachedKeys     int           // wrapped subject keys held in memory; 0 means DefaultCachedKeys
	WaitingTime    time.Duration // from when an announced grant set, policy or directory was witnessed until it takes effect; 0 means at once

	// Ceilings on grants: a set with one beyond them is not installed, and one
	// installed before is held to them.
	MaxBudget   uint32
	MaxValidity time.Duration
	AllowBearer bool
}

// A Config is what a Keyholder needs; Progress, Now and Log may be left out.
type Config struct {
	Cell    bonded.CellID
	Store   Store
	Driver  Driver
	Keyring KeyringStore
	Limits  Limits

	// Progress keeps how far this keyholder has come, apart from Store; see
	// [Progress]. Nil keeps nothing.
	Progress KeyringStore

	Now func() time.Time // nil means time.Now
	Log *slog.Logger     // nil means slog.Default()
}

// A KeyringStore keeps one small file, such as the keyring. Save replaces it at once and durably,
// for its owner only.
type KeyringStore interface {
	Load() ([]byte, error)
	Save(file []byte) error
}

// Trust is what the keyholder takes from the directory and the policy file; it
// may change while the keyholder runs.
type Trust struct {
	Directory *verify.Directory
	File      []byte // of the directory
	Signature []byte // of that file
	Policy    *policy.Set
	Text      []byte // of the operator's policies; law is not part of it

	// ByHand says that the operator accepts the directory as it is: without
	// evidence, and whoever it names.
	ByHand bool
}

// trust is Trust with its keys decoded.
type trust struct {
	Trust
	cell    *verify.DirectoryCell
	admin   ed25519.PublicKey
	witness *verify.WitnessPolicy
	digest  [32]byte // of the policy set
	cache   *policy.Cache
}

// A Keyholder decides, books and releases. It starts sealed. Its methods may
// be called concurrently; requests that must keep their order, such as the
// batches of one vault node, are begun one after the other.
type Keyholder struct {
	cfg Config
	log *slog.Logger

	cache wrappedCache
	kept  keeper

	// inUse is held for reading while keys are used outside mu, and for writing
	// to wipe them. Who holds it for reading must not take mu.
	inUse sync.RWMutex

	mu     sync.Mutex
	sealed bool
	keys   *keys
	trust  *trust
	grants *grantSet
	// custody is nil before the first ceremony.
	custody *custodians
	state   *state
	// grantFloor is the number of the set installed last, in force or not.
	grantFloor     uint64
	sessions       sessions
	fresh          freshness
	recent         recentLeaves
	control        *control
	refusal        string // of a change announced, logged last; empty when it was accepted since
	refusedSubject verify.ControlSubject
	due            tombstonesDue
	broken         error  // the book cannot be relied on until it is read anew
	restored       string // why this database is older than what the ledger has seen
	refused        atomic.Uint64

	queue   []*pending
	wake    chan struct{}
	busy    bool      // a commit is being made
	rotated time.Time // when the vault last had the cell key rotated
	rewrap  chan struct{}
	closing context.CancelFunc
	stopped sync.WaitGroup
}

// selfTest runs the known-answer tests once a process.
var selfTest = sync.OnceValue(seal.SelfTest)

// New returns a sealed keyholder. It starts goroutines that [Keyholder.Close]
// ends.
func New(cfg Config) (*Keyholder, error) {
	l := &cfg.Limits
	bad := func(field, why string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: "keyholder: " + why}
	}
	switch {
	case !cfg.Cell.Valid():
		return nil, bad("cell", "cell id malformed")
	case cfg.Store == nil || cfg.Driver == nil || cfg.Keyring == nil:
		return nil, bad("", "store, driver or keyring missing")
	case l.Freshness <= 0 || l.Freshness > MaxFreshness:
		return nil, bad("freshness", "must be above 0 and at most 24h")
	case l.UndoWindow < 0:
		return nil, bad("undo_window", "must not be negative")
	case l.OldCellKey < 0 || l.OldCellKey+l.RotateAfter > MaxOldCellKey || l.RotateAfter < 0:
		return nil, bad("old_cell_key", "rotate_after and old_cell_key together are at most 720h: an erased person is out of every backup after that")
	case l.WaitingTime < 0 || l.WaitingTime > MaxWaitingTime:
		return nil, bad("waiting_time", "0s to 720h")
	case l.MaxBudget == 0 || l.DestroyPerHour == 0 || l.MaxValidity <= 0:
		return nil, bad("ceilings", "missing")
	}
	if err := selfTest(); err != nil {
		return nil, fmt.Errorf("known answers: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if l.ReleasePerHour == 0 {
		l.ReleasePerHour = DefaultReleasePerHour
	}
	if l.CachedKeys <= 0 {
		l.CachedKeys = DefaultCachedKeys
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &Keyholder{
		cfg: cfg, log: cfg.Log, sealed: true, wake: make(chan struct{}, 1), rewrap: make(chan struct{}, 1), closing: cancel,
	}
	k.cache.limit = l.CachedKeys
	if err := k.loadControl(ctx); err != nil {
		cancel()
		return nil, err
	}
	k.stopped.Go(func() { k.committer(ctx) })
	k.stopped.Go(func() { k.housekeeper(ctx) })
	return k, nil
}

// Close seals the keyholder and waits for what is being committed.
func (k *Keyholder) Close() {
	k.Seal()
	k.closing()
	k.stopped.Wait()
}

// SetTrust puts a directory and policy in force. Those after the first ones
// need evidence and the end of the waiting time, see [Keyholder.MayTakeUp];
// what law changes in a policy set needs none. Its errors have code bad_config
// or not_witnessed; what was in force before stays then.
func (k *Keyholder) SetTrust(t Trust) error {
	k.mu.Lock()
	p, err := k.setTrust(t)
	k.mu.Unlock()
	if err != nil || p == nil {
		return err
	}
	return p.wait()
}

func (k *Keyholder) setTrust(t Trust) (*pending, error) {
	// 1. Is it usable?
	bad := func(err error, why string) error { return bonded.Wrap(bonded.CodeConfig, err, "directory: "+why) }
	n := &trust{Trust: t, digest: t.Policy.Digest(), cache: policy.NewCache(t.Policy, policy.DefaultCacheSize)}
	var ok bool
	if n.cell, ok = t.Directory.Cell(k.cfg.Cell); !ok {
		return nil, bad(nil, "it does not name cell "+string(k.cfg.Cell))
	}
	var err error
	if n.admin, err = verify.DecodePublicKey(t.Directory.Admin); err != nil {
		return nil, bad(err, "administrator's key is not usable")
	}
	if n.witness, err = verify.ParseWitnessPolicy([]byte(n.cell.WitnessPolicy)); err != nil {
		return nil, bad(err, "witness policy is not usable")
	}
	if !k.sealed {
		k.drain()
	}
	// 2. May it take the place of what is in force?
	if err := k.checkOwnKeys(n, k.keys); err != nil {
		return nil, err
	}
	if err := k.mayFollow(n); err != nil {
		return nil, err
	}
	// 3. In force, undone if it cannot be booked.
	p, before, grants, floor := k.begin(), k.trust, k.grants, k.grantFloor
	p.undo = append(p.undo, func() { k.trust, k.grants, k.grantFloor = before, grants, floor })
	k.trust = n
	if k.sealed {
		return nil, nil
	}
	if err := k.loadGrants(context.Background()); err != nil {
		k.trust, k.grants, k.grantFloor = before, grants, floor
		return nil, err
	}
	k.bookTrust(p)
	k.enqueue(p)
	return p, nil
}

// mayFollow checks that a directory and policy may follow those in force.
func (k *Keyholder) mayFollow(n *trust) error {
	if old := k.trust; old != nil && !n.ByHand {
		if !old.admin.Equal(n.admin) {
			return bonded.Errorf(bonded.CodeConfig, "directory: it names another administrator; a start with --accept-directory accepts that")
		}
		if old.cell.LedgerKey != n.cell.LedgerKey {
			return bonded.Errorf(bonded.CodeConfig, "directory: it names another ledger for this cell; a start with --accept-directory accepts that")
		}
		if n.Directory.Version < old.Directory.Version {
			return bonded.Errorf(bonded.CodeConfig, "directory: version %d is older than version %d in force", n.Directory.Version, old.Directory.Version)
		}
	}
	if !n.ByHand {
		if err := k.mayTakeUp(verify.ControlDirectory, verify.DirectoryDigest(n.File)); err != nil {
			return err
		}
	}
	return k.mayTakeUp(verify.ControlPolicy, sha256.Sum256(n.Text))
}

// checkOwnKeys checks that the directory names this keyholder and no other.
func (k *Keyholder) checkOwnKeys(t *trust, ks *keys) error {
	if t == nil || ks == nil {
		return nil
	}
	if t.cell.KeyholderKey != verify.EncodePublicKey(ks.public()) || t.cell.Suite != ks.file.Suite {
		return &bonded.Error{
			Code: bonded.CodeConfig, Message: "the directory names another keyholder key or suite for this cell",
			Hint: "compare public.json with cells.json",
		}
	}
	return nil
}

// Unseal opens the keyring with the driver, which the caller has unlocked, and
// reads the book. From then on the keyholder answers, but unlocks nothing
// before it has seen a fresh anchor that its book extends.
func (k *Keyholder) Unseal(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.sealed {
		return nil
	}
	// 1. The secrets.
	if !k.cfg.Driver.Unlocked() {
		return errLocked
	}
	file, err := k.cfg.Keyring.Load()
	if err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	ks, err := openKeyring(ctx, k.cfg.Driver, file, k.cfg.Cell)
	if err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	if err := k.checkOwnKeys(k.trust, ks); err != nil {
		ks.wipe()
		return err
	}
	// 2. The book, row by row; what the ledger has shown before counts no more.
	k.keys, k.fresh, k.due = ks, freshness{}, tombstonesDue{}
	if err := k.rebuild(ctx); err != nil {
		k.keys = nil
		ks.wipe()
		return fmt.Errorf("unseal: %w", err)
	}
	if err := k.checkProgress(ctx); err != nil {
		k.keys = nil
		ks.wipe()
		return fmt.Errorf("unseal: %w", err)
	}
	// 3. An entry of its own, so that restarts show.
	k.sealed, k.broken = false, nil
	k.fresh.start = k.now()
	row := k.newRow(verify.BookStart)
	row.Detail = "unsealed"
	p := k.begin()
	k.append(p, row)
	k.bookTrust(p)
	k.enqueue(p)
	k.signal(k.rewrap)
	return nil
}

// Seal forgets every secret and session. Batches being committed are still
// answered with an error.
func (k *Keyholder) Seal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sealed {
		return
	}
	k.drain()
	k.sealed = true
	k.inUse.Lock()
	k.keys.wipe()
	k.inUse.Unlock()
	k.keys = nil
	k.sessions = sessions{}
	k.cfg.Driver.Lock()
}

// Sealed reports whether the keyholder is sealed.
func (k *Keyholder) Sealed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sealed
}

// now returns the time of the keyholder's clock, which never goes back behind
// the last row of the book. The caller holds mu.
func (k *Keyholder) now() time.Time {
	t := k.cfg.Now().UTC()
	if k.state != nil && t.UnixMilli() < k.state.time {
		return time.UnixMilli(k.state.time).UTC()
	}
	return t
}

func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

func (k *Keyholder) signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// ready returns why nothing can be answered at all, or nil. The caller holds
// mu.
func (k *Keyholder) ready() error {
	switch {
	case k.sealed:
		return errLocked
	case k.broken != nil:
		return bonded.Wrap(bonded.CodeNotWritable, k.broken, "the key-use book cannot be relied on: it is read anew at the next unseal")
	case k.trust == nil:
		return bonded.Errorf(bonded.CodeConfig, "the keyholder has no directory yet")
	}
	return nil
}
