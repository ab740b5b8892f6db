package frontdoor

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/handover"
	"bonded/internal/notice"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// Defaults of a [Config].
const (
	DefaultWaiting     = 24 * time.Hour
	DefaultPackageLife = 30 * 24 * time.Hour
	DefaultDraftLife   = 24 * time.Hour
	DefaultDoorRefusal = 20
)

// A Book is the ledger of cases, as far as the front door needs it. Add, Hold,
// Reveal and RevealCase are part of the caller's transaction. Package casebook
// has the one there is.
type Book interface {
	Add(tx *sqldb.Tx, e *verify.CaseEntry, persons ...[]byte) (int64, error)
	Hold(tx *sqldb.Tx, id bonded.ID, until time.Time) error // the zero time ends it
	Reveal(tx *sqldb.Tx, entry int64, withhold ...string) error
	RevealCase(tx *sqldb.Tx, id bonded.ID, withhold ...string) error

	// Placed returns where an entry stands in the ledger, nil while no cosigned
	// checkpoint covers it.
	Placed(ctx context.Context, entry int64) (*Placed, error)
	// Openings returns what has been opened, from a number on.
	Openings(ctx context.Context, from uint64) ([]*verify.CaseOpening, uint64, error)
	// OpeningsAt returns what has been opened of leaves from an index of the
	// ledger up to another.
	OpeningsAt(ctx context.Context, from, to int64) ([]*verify.CaseOpening, error)
	// Closed returns openings of entries that are not public yet, likewise.
	Closed(ctx context.Context, from uint64) ([]*verify.CaseOpening, uint64, error)
	// Changed returns a channel that is closed when an entry was witnessed after
	// the call.
	Changed() <-chan struct{}
}

// Placed is an entry in the ledger under a cosigned checkpoint, opened for
// whoever may see it.
type Placed struct {
	Index     int64
	Leaf      [32]byte // leaf hash
	Opening   *verify.CaseOpening
	Proof     []byte // C2SP tlog-proof
	Witnessed time.Time
}

// A Config says what a front door works with. Everything without a default
// must be set.
type Config struct {
	Cell         bonded.CellID
	Jurisdiction bonded.Jurisdiction // of the cell
	Place        string              // of the cell, as people know it; for notices
	DB           *sqldb.DB           // of its own, shared with the casebook
	Book         Book
	Records      handover.Records
	Clock        handover.Clock
	Rules        *rules.Rules
	Key          seal.Key          // of cases: seals what is said in them
	Admin        ed25519.PublicKey // of the directory's administrator, the first registrar
	Packages     string            // folder of release packages
	Suite        string            // of the cell, for packages
	Directory    [32]byte          // digest of the directory file, for packages
	Sign         func(message []byte) []byte
	Notices      *notice.Sender
	LedgerURL    string // where people check an entry

	// Blocking returns the ids of rules of law that forbid a case, besides those
	// of the front door's own pack; nil means there are none.
	Blocking func(on time.Time, r *verify.CaseRequest, agency *verify.Agency) []string

	// Principal reports whether something calls the vault under an id: nobody new
	// comes into the register under it, who would have its grant at the console.
	// nil means that nothing calls.
	Principal func(id string) bool

	// Custody is called with each custody chain that has come into force, oldest
	// certificate first, also at start: the keyholder and the vault learn of it
	// so. It is called again until it returns nil.
	Custody func(ctx context.Context, chain *apitype.CustodyChain) error

	// Refused is told of what is refused at a door, by rule and person, empty
	// for nobody known; it enters numbers of them. Nil means nobody.
	Refused func(rule, person string)

	Waiting     time.Duration // from witnessing to force, of the register; 0 means DefaultWaiting, below 0 none
	PackageLife time.Duration // of a scope and its package; 0 means DefaultPackageLife
	DraftLife   time.Duration // in which documents come; 0 means DefaultDraftLife
	DoorRefusal int           // refusals of one officer that are entered in 24 hours; 0 means DefaultDoorRefusal
	Logger      *slog.Logger  // nil means slog.Default()
}

// A Service is the front door of one cell. It is safe for concurrent use; one
// [Service.Run] at a time.
type Service struct {
	cfg     Config
	rules   *rules.Rules
	store   *frontdoorsql.Store
	log     *slog.Logger
	custody atomic.Pointer[custody]
	refused refusals
	parsed  parsed
	kept    kept          // of the register
	changes atomic.Uint64 // of cases, since the start
	wake    chan struct{}
}

// New opens the tables of the front door and returns it. Nothing happens by
// itself before [Service.Run]. Errors have code [bonded.CodeConfig] if
// something is missing.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	store, err := frontdoorsql.Open(ctx, cfg.DB)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, rules: cfg.Rules, store: store, log: cfg.Logger, wake: make(chan struct{}, 1)}
	err = store.Update(ctx, func(q frontdoorsql.Q) error {
		rows, err := q.Custodies()
		if err == nil && len(rows) > 0 {
			err = q.AddWork(&frontdoorsql.Work{Kind: workCustody, Key: "start", Due: s.now().Unix()})
		}
		return firstErr(err, q.ReleaseClaims())
	})
	if err != nil {
		return nil, err
	}
	if err := s.loadCustody(ctx); err != nil {
		return nil, err
	}
	return s, s.relist(ctx)
}

func (c *Config) setDefaults() error {
	if c.Waiting == 0 {
		c.Waiting = DefaultWaiting
	}
	if c.PackageLife == 0 {
		c.PackageLife = DefaultPackageLife
	}
	if c.DraftLife == 0 {
		c.DraftLife = DefaultDraftLife
	}
	if c.DoorRefusal == 0 {
		c.DoorRefusal = DefaultDoorRefusal
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	missing := ""
	switch {
	case !c.Cell.Valid() || !c.Jurisdiction.Valid():
		missing = "cell"
	case c.DB == nil || c.Book == nil || c.Records == nil || c.Clock == nil:
		missing = "database, ledger of cases, records or clock"
	case c.Rules == nil:
		missing = "rules"
	case len(c.Admin) != ed25519.PublicKeySize || c.Sign == nil:
		missing = "administrator's key or signer"
	case c.Notices == nil || c.Place == "" || c.LedgerURL == "":
		missing = "notices"
	case c.PackageLife < time.Second || c.DraftLife < time.Second || c.DoorRefusal < 1:
		missing = "life of packages or drafts"
	}
	if missing != "" {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "frontdoor", Message: "the front door has no usable " + missing, Hint: "set it in the section frontdoor of the vault's configuration"}
	}
	if err := os.MkdirAll(c.Packages, 0o700); err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "frontdoor.packages", Message: "the folder of release packages cannot be made", Err: err}
	}
	return nil
}

// Nudge makes Run look for work now.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Service) now() time.Time { return s.cfg.Clock.Now().UTC().Truncate(time.Second) }

// witnessed returns the time that binds: that of the witnesses. It is zero, so
// that nothing is due by it, while there is none.
func (s *Service) witnessed() time.Time {
	t, err := s.cfg.Clock.Witnessed()
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
