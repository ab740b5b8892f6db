package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/journal"
	"bonded/internal/policy"
	"bonded/internal/regulation"
	"bonded/internal/seal"
	"bonded/verify"
)

// Defaults of [Config].
const (
	DefaultUndo      = 24 * time.Hour
	DefaultFreshness = 15 * time.Minute
	DefaultLaneBatch = 512
)

// A Config says what a vault is made of. Everything is needed unless its
// comment says what an absent value means.
type Config struct {
	Cell            bonded.CellID
	Suite           seal.Suite
	Version         string // of the program, for [Vault.Status]
	Schema          *Schema
	Store           Store
	Journal         *journal.Journal
	Keys            KeyService
	KeyholderKey    ed25519.PublicKey // signs heads, counts and tombstones
	IndexMaster     seal.Key          // the vault's lock on every index
	Policy          *policy.Cache
	Routes          *regulation.Table
	Directory       *verify.Directory
	DirectoryDigest [32]byte // SHA-256 of the directory file, for anchors
	Grants          *grant.Set
	JobGrant        string                         // id of the grant for background work; absent: no jobs, no erasure after a window
	FrontDoorGrant  string                         // id of the grant for cases; absent: [Vault.Records] does nothing
	Contact         Contact                        // where people are told; zero: nowhere
	Undo            time.Duration                  // how long an erasure can be taken back; 0 destroys at once
	Freshness       time.Duration                  // 0 means DefaultFreshness
	RequireProof    bool                           // true: bearer keys are refused whatever the grant says
	LedgerSize      func() uint64                  // for [Vault.Status]; nil: 0
	Waiting         func() []apitype.WaitingChange // what is announced and not in force yet, for [Vault.Status]; nil: nothing
	Now             func() time.Time               // nil means time.Now
	Logger          *slog.Logger                   // nil means slog.Default()
}

// A Vault answers the calls of the API. It is safe for concurrent use.
type Vault struct {
	cfg        Config
	log        *slog.Logger
	store      Store
	journal    *journal.Journal
	deployment regulation.Deployment
	inner      map[*Field]seal.IndexKey
	principals atomic.Pointer[principals]
	policy     atomic.Pointer[policy.Cache]
	custody    atomic.Pointer[custodians] // nil before the first ceremony
	granting   sync.Mutex                 // one grant set is taken up at a time

	schemaPurposes map[bonded.Purpose]bool
	jurisdictions  map[bonded.CellID]bonded.Jurisdiction // of the cells of the directory, the first of each

	reads, writes chan *ask
	stop          chan struct{}
	stopOnce      sync.Once
	workers       sync.WaitGroup
	background    context.Context //nolint:containedctx // what the lanes do is not one caller's
	cancel        context.CancelFunc

	order sync.Mutex   // rows are numbered and sent to the keyholder under it
	gate  sync.RWMutex // held for reading by every batch, for writing by recovery
	link  link
	wake  chan struct{} // something for the background work to do

	sessions quotas // of challenges and sessions, by principal

	going      people     // being erased: nothing of them opens
	finishing  people     // their erasure is being finished
	destroying sync.Mutex // tombstones come one after the other
}

// Open returns a vault over what cfg holds. It registers the schema: a
// collection that has data may grow, see [Collection.CheckSuccessor]. Until
// [Vault.Recover] has succeeded nothing opens. Run [Vault.Run] beside it and
// close it at the end.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	// 1. Settings.
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Freshness == 0 {
		cfg.Freshness = DefaultFreshness
	}
	if !cfg.IndexMaster.Valid() || !cfg.Suite.Valid() || len(cfg.KeyholderKey) != ed25519.PublicKeySize {
		return nil, bonded.Errorf(bonded.CodeConfig, "the vault has no index key, no suite or no key of its keyholder")
	}
	v := &Vault{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, journal: cfg.Journal, inner: make(map[*Field]seal.IndexKey),
		reads: make(chan *ask, 4*DefaultLaneBatch), writes: make(chan *ask, 4*DefaultLaneBatch),
		stop: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	v.background, v.cancel = context.WithCancel(context.WithoutCancel(ctx))
	v.deployment = deploymentOf(cfg.Directory)
	v.jurisdictions = make(map[bonded.CellID]bonded.Jurisdiction)
	for _, c := range v.deployment.Cells {
		if len(c.Jurisdictions) > 0 {
			v.jurisdictions[c.ID] = c.Jurisdictions[0]
		}
	}
	v.schemaPurposes = cfg.Schema.purposes()
	if err := errors.Join(v.notOlder(ctx, valueDirectory, "directory", cfg.Directory.Version), v.SetGrants(ctx, cfg.Grants)); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", cfg.Cell, err)
	}
	v.SetPolicy(cfg.Policy)

	// 2. The custodians, the schema, and the index keys of its fields.
	if err := v.loadCustody(ctx); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", cfg.Cell, err)
	}
	if err := v.keepSchema(ctx); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", cfg.Cell, err)
	}
	for _, c := range cfg.Schema.Collections {
		for _, f := range c.Fields {
			if f.Indexed() {
				v.inner[f] = seal.InnerIndexKey(cfg.IndexMaster, cfg.Suite, c.Name, f.Name)
			}
		}
	}

	if err := v.checkContact(); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", cfg.Cell, err)
	}

	// 3. Where the keyholder's book stood when we last knew.
	if err := v.loadLink(ctx); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", cfg.Cell, err)
	}

	// 4. The lanes.
	for range readLanes {
		v.workers.Go(v.readLane)
	}
	for range writeLanes {
		v.workers.Go(v.writeLane)
	}
	return v, nil
}

// Close waits for the batches under way. Calls that come later fail.
func (v *Vault) Close() {
	v.stopOnce.Do(func() { close(v.stop) })
	v.workers.Wait()
	v.cancel()
}

func (v *Vault) now() time.Time { return v.cfg.Now() }

func deploymentOf(d *verify.Directory) regulation.Deployment {
	out := regulation.Deployment{Default: d.Default}
	for i := range d.Cells {
		out.Cells = append(out.Cells, regulation.Cell{ID: d.Cells[i].ID, Jurisdictions: d.Cells[i].Jurisdictions})
	}
	return out
}

// keepSchema holds the schema against the one stored and stores what is new,
// each new version with an entry.
func (v *Vault) keepSchema(ctx context.Context) error {
	stored, err := v.store.Schemas(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]SchemaVersion, len(stored))
	for _, s := range stored {
		known[s.Name] = s
	}
	var versions []SchemaVersion
	for _, name := range sortedNames(v.cfg.Schema.Collections) {
		c := v.cfg.Schema.Collections[name]
		body, err := c.Encode()
		if err != nil {
			return fmt.Errorf("encode collection %s: %w", name, err)
		}
		old, ok := known[name]
		if ok && bytes.Equal(old.Body, body) {
			continue
		}
		if ok {
			was, err := DecodeCollection(name, old.Body)
			if err != nil {
				return err
			}
			if err := was.CheckSuccessor(c); err != nil {
				return err
			}
		}
		versions = append(versions, SchemaVersion{Name: name, Version: old.Version + 1, Body: body})
	}
	for _, s := range stored {
		if v.cfg.Schema.Collections[s.Name] == nil {
			return configError("collections."+s.Name, "collection removed from a cell that has it", "keep the collection; stop writing to it instead")
		}
	}
	var rows []journal.Prepared
	for i := range versions {
		rows = append(rows, v.journal.Prepare(&verify.Row{
			Cell: v.cfg.Cell, Time: v.millis(), Operation: verify.OpSchema, Outcome: verify.OutcomeAllowed,
			Principal: operator, Collection: versions[i].Name, Reason: fmt.Sprintf("version %d", versions[i].Version), RequestID: bonded.NewID(),
		}))
	}
	return v.store.KeepSchema(ctx, v.cfg.Schema, versions, rows)
}

// operator stands in rows for whoever runs the process.
const operator = "operator"

func (v *Vault) millis() uint64 { return uint64(v.now().UnixMilli()) } //nolint:gosec // after 1970

// problemOf makes sure that err has a code.
func problemOf(err error) *bonded.Error {
	if e, ok := errors.AsType[*bonded.Error](err); ok {
		return e
	}
	return bonded.Wrap(bonded.CodeInternal, err, "internal error")
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// enterRow commits one row that is about another.
func (v *Vault) enterRow(r *verify.Row) error {
	if _, err := v.store.Commit(v.background, []journal.Prepared{v.journal.Prepare(r)}, nil); err != nil {
		return notWritable(err)
	}
	return nil
}

// CountUnauthenticated counts a call of nobody known; counts are entered
// together, so that flooding cannot fill the books.
func (v *Vault) CountUnauthenticated() { v.journal.CountUnauthenticated() }

// CountRefused counts a refusal by a rule, of a person or of nobody known; see
// [journal.Journal.CountRefused].
func (v *Vault) CountRefused(rule, person string) { v.journal.CountRefused(rule, person) }

// fresh returns an error if the newest anchor under a cosigned checkpoint is
// older than the limit.
func (v *Vault) fresh() error {
	if age := v.now().Sub(v.journal.Freshness()); age > v.cfg.Freshness {
		return &bonded.Error{Code: bonded.CodeStale, Message: "no fresh cosigned checkpoint: nothing opens", Hint: "see whether ledger and witnesses run"}
	}
	return nil
}
