package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"golang.org/x/time/rate"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/grant"
	"bonded/internal/locale"
	"bonded/internal/sqldb"
	"bonded/verify"
	"bonded/web"
)

// A Config says what a console works with. Everything is required but where it
// says otherwise.
type Config struct {
	Cell      bonded.CellID
	Origin    string // scheme://host[:port] that browsers know it by; the host is what passkeys are bound to
	DB        *sqldb.DB
	Cases     Cases
	Vault     Vault
	Ledger    Ledger
	Directory func() *verify.Directory // in force
	Grant     func(principal string) (*grant.Grant, bool)
	Locale    *locale.Catalogue
	OIDC      *OIDC            // nil: people sign in with passkeys only
	Undo      time.Duration    // how long an erasure can be taken back
	Now       func() time.Time // nil: the clock of the machine
	Logger    *slog.Logger     // nil: nothing is logged
}

// Cases is what the console needs of the front door: see package api.
type Cases interface {
	CountRefused(rule, person string)                              // of a person, or if that is empty of nobody known
	Person(ctx context.Context, id string) (*verify.Person, error) // in force, as of now
	Board(ctx context.Context, c *apitype.PersonCall, filter, after string) (*apitype.CaseBoard, error)
	Case(context.Context, *apitype.PersonCall, bonded.CaseID) (*apitype.CaseView, error)
	Document(ctx context.Context, c *apitype.PersonCall, id bonded.CaseID, sha256 string) ([]byte, error)
	PutDocument(ctx context.Context, c *apitype.PersonCall, id bonded.CaseID, sha256 string, body []byte) (*apitype.CaseResult, error)
	Decide(context.Context, *apitype.PersonCall, bonded.CaseID, *verify.Statement) (*apitype.CaseResult, error)
	Dossier(context.Context, *apitype.PersonCall, bonded.CaseID) (*apitype.CaseDossier, error)
	RegisterPage(context.Context, *apitype.PersonCall, *apitype.RegisterQuery) (*apitype.RegisterPage, error)
	RegisterEntry(ctx context.Context, c *apitype.PersonCall, kind, id string) (*apitype.RegistryVersions, error)
	ProposeAgency(context.Context, *apitype.PersonCall, *verify.Statement) (*apitype.RegistryEntry, error)
	ProposePerson(context.Context, *apitype.PersonCall, *verify.Statement) (*apitype.RegistryEntry, error)
	Custody(context.Context) (*apitype.CustodyChain, error)
	Openings(ctx context.Context, from uint64) (*apitype.OpeningFeed, error)
	OpeningsAt(ctx context.Context, from, to int64) ([]*verify.CaseOpening, error)
	Overview(context.Context, *apitype.PersonCall) (*apitype.CaseOverview, error)
	Changes() uint64
}

// Vault is what the console needs of the vault. Every call decides and enters
// before it answers, under the grant of the person: see package api.
type Vault interface {
	Get(context.Context, *apitype.Call, *apitype.GetRequest) (*apitype.GetResult, error)
	Mask(context.Context, *apitype.Call, *apitype.GetRequest) (*apitype.GetResult, error)
	Find(context.Context, *apitype.Call, *apitype.FindRequest) (*apitype.FindResult, error)
	List(context.Context, *apitype.Call, *apitype.ListRequest) (*apitype.FindResult, error)
	Count(context.Context, *apitype.Call, *apitype.CountRequest) (*apitype.CountResult, error)
	History(context.Context, *apitype.Call, *apitype.SubjectRequest) (*apitype.HistoryResult, error)
	Export(context.Context, *apitype.Call, *apitype.SubjectRequest) (*apitype.ExportResult, error)
	Erase(context.Context, *apitype.Call, *apitype.SubjectRequest) (*apitype.EraseResult, error)
	EraseUndo(context.Context, *apitype.Call, *apitype.SubjectRequest) (*apitype.EraseResult, error)
	Journal(context.Context, *apitype.Call, *apitype.JournalRequest) (*apitype.JournalResult, error)
	Receipt(context.Context, *apitype.Call, *apitype.ReceiptRequest) (*verify.Receipt, error)
	Status(context.Context, *apitype.Call) (*apitype.StatusResult, error)

	// What pages need besides: the schema, counts and how the cell stands
	// without an entry, and looks that are entered as others of their kind.
	Collections() []apitype.CollectionInfo
	Health(context.Context) *apitype.StatusResult
	Tallies(ctx context.Context, daily bool, from time.Time) ([]apitype.Tally, error)
	BatchMask(context.Context, *apitype.Call, *apitype.BatchGetRequest) (*apitype.BatchGetResult, error)
	Outline(context.Context, *apitype.Call, *apitype.SubjectRequest) (*apitype.PersonOutline, error)
	SearchJournal(context.Context, *apitype.Call, *apitype.JournalSearch) (*apitype.JournalFound, error)
}

// Ledger is the cell's ledger as files of C2SP tlog-tiles.
type Ledger interface {
	Handler() http.Handler
	Latest() (*verify.Checkpoint, error)
	ReadEntries(ctx context.Context, from int64, n int) ([][]byte, error)
	TlogProof(ctx context.Context, index int64) ([]byte, error)
}

// A Console is the pages of one cell. It is an [http.Handler] for the paths
// under /console/ and /static/.
type Console struct {
	cfg      Config
	log      *slog.Logger
	mux      *http.ServeMux
	store    *store
	webauthn *webauthn.WebAuthn
	oidc     *oidcProvider // nil: none
	rules    *rules.Rules
	begun    *ceremonies
	failures *limits // by address
	steps    *limits // likewise of people signed in, by person
	begins   *limits // by address
	streams  streams // of changes, by person
}

// New returns the console of a cell.
func New(ctx context.Context, cfg Config) (*Console, error) {
	c := &Console{
		cfg: cfg, log: cfg.Logger, mux: http.NewServeMux(), begun: newCeremonies(),
		failures: newLimits(failEvery, failBurst, rate.NewLimiter(rate.Every(failAllEvery), failAllBurst)),
		steps:    newLimits(failEvery, failBurst, nil),
		begins:   newLimits(beginEvery, beginBurst, nil),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	var err error
	if c.store, err = openStore(ctx, cfg.DB); err != nil {
		return nil, err
	}
	if c.webauthn, err = newWebAuthn(cfg.Origin, cfg.Cell); err != nil {
		return nil, err
	}
	if c.rules, err = rules.Shipped(); err != nil {
		return nil, err
	}
	if cfg.OIDC != nil {
		if c.oidc, err = newOIDC(cfg.OIDC, cfg.Origin); err != nil {
			return nil, err
		}
	}
	for _, f := range web.Files {
		c.mux.Handle("GET /static/"+f.Name, f)
	}
	c.routes()
	return c, nil
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harden(w.Header())
	if c.secure() {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	c.mux.ServeHTTP(w, r)
}

// harden sets what every answer says: nothing is loaded from elsewhere, no
// script stands in a page, and nobody puts a page into theirs.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)")
	h.Set("Cache-Control", "no-store")
}
