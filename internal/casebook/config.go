//go:build unix

package casebook

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// Defaults of a [Config].
const (
	DefaultSlot         = time.Minute
	DefaultPerSlot      = 4
	DefaultHorizon      = 90 * 24 * time.Hour
	DefaultExtendCovers = 1.0 / 8
	DefaultExtendAgain  = 1.0 / 2
)

const (
	minHorizon = 32 // slots
	maxPerSlot = 64 // leaves
	leadShare  = 8  // extensions are queued in the first half of the last 1/8 of the horizon
	maxHorizon = 10 * 365 * 24 * time.Hour
)

// A Ledger is what a book needs of [ledger.Ledger], whose documentation holds.
type Ledger interface {
	Append(ctx context.Context, leaf []byte) (ledger.Receipt, error)
	ReadEntry(ctx context.Context, index int64) ([]byte, error)
	Prove(ctx context.Context, index int64) (ledger.Receipt, error)
	Latest() (*verify.Checkpoint, error)
}

// Config says how to open a book. DB, Cell and Ledger must be set; a zero
// value of the others means its default. Slot, PerSlot and Horizon stay as
// they were when the book was made: a change would show in the ledger for
// ever.
type Config struct {
	DB     *sqldb.DB // also the front door's own tables, so that both commit together
	Cell   bonded.CellID
	Ledger Ledger

	Slot    time.Duration // between slots; whole seconds. 60 s
	PerSlot int           // leaves of every slot, 2 to 64. 4
	Horizon time.Duration // from a slot to its open-by date; a multiple of Slot, at least 32 of them. 90 days

	// ExtendCovers is the share of covers that are extended at their first
	// date, ExtendAgain at each later one: extensions that secrecy needs take
	// the place of these. 0 means the default, negative means none.
	ExtendCovers float64
	ExtendAgain  float64

	Now    func() time.Time // of the vault's clock, for the times of slots; nil means time.Now
	Logger *slog.Logger     // nil means slog.Default
}

func (c *Config) setDefaults() error {
	if c.Slot == 0 {
		c.Slot = DefaultSlot
	}
	if c.PerSlot == 0 {
		c.PerSlot = DefaultPerSlot
	}
	if c.Horizon == 0 {
		c.Horizon = DefaultHorizon
	}
	if c.ExtendCovers == 0 {
		c.ExtendCovers = DefaultExtendCovers
	}
	if c.ExtendAgain == 0 {
		c.ExtendAgain = DefaultExtendAgain
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	bad := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
	}
	switch {
	case c.DB == nil || c.Ledger == nil || !c.Cell.Valid():
		return bad("casebook", "the ledger of cases needs a database, a ledger and a cell", "this is a defect of the caller")
	case c.Slot < time.Second || c.Slot%time.Second != 0:
		return bad("slot", "slots are a whole number of seconds apart", "write 60s, or 1s for a trial")
	case c.PerSlot < 2 || c.PerSlot > maxPerSlot:
		return bad("per_slot", fmt.Sprintf("a slot has 2 to %d leaves", maxPerSlot), "write 4")
	case c.Horizon%c.Slot != 0 || c.Horizon < minHorizon*c.Slot || c.Horizon > maxHorizon:
		return bad("horizon", fmt.Sprintf("the horizon is a multiple of the slot, at least %d slots and at most ten years", minHorizon), "write 2160h")
	case c.ExtendCovers > 0.5 || c.ExtendAgain > 0.9:
		return bad("extend_covers", "so many extensions of covers would leave no place for entries", "write 0.125, and 0.5 for extend_again")
	}
	return nil
}

//go:embed migrations
var migrations embed.FS

// A Book is the ledger of cases of one cell. It is safe for concurrent use;
// one [Book.Run] at a time.
type Book struct {
	cfg     Config
	db      *sqldb.DB
	log     *slog.Logger
	slot    int64 // seconds
	horizon int64 // seconds
	lead    int64 // seconds before a date from which its extension can be queued

	tick    sync.Mutex // held by Tick
	known   int64      // the ledger's entries below this were held against the book
	checked bool       // known is set
	refused string     // checkpoint that was the newest when an append last failed; "" if none did

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something was witnessed or opened
	receipts map[int64]ledger.Receipt
}

// Open runs the migrations of the book on cfg.DB and returns it. Nothing is
// appended before [Book.Run] or [Book.Tick]. Errors have code
// [bonded.CodeConfig] if the configuration is wrong, or is another than the
// one the book was made with.
func Open(ctx context.Context, cfg Config) (*Book, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := cfg.DB.Migrate(ctx, "casebook", files); err != nil {
		return nil, fmt.Errorf("open ledger of cases: %w", err)
	}
	b := &Book{
		cfg: cfg, db: cfg.DB, log: cfg.Logger, slot: int64(cfg.Slot / time.Second), horizon: int64(cfg.Horizon / time.Second),
		changed: make(chan struct{}), receipts: map[int64]ledger.Receipt{},
	}
	b.lead = b.horizon / leadShare
	err = cfg.DB.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		return errors.Join(b.fixed(tx, "slot", b.slot), b.fixed(tx, "per_slot", int64(cfg.PerSlot)), b.fixed(tx, "horizon", b.horizon))
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// fixed keeps a value of the configuration the first time and compares it
// from then on.
func (b *Book) fixed(tx *sqldb.Tx, name string, value int64) error {
	old, err := loadValue(tx, name, value)
	if err != nil {
		return err
	}
	if old != value {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: name, Message: fmt.Sprintf("the ledger of cases was made with %d and is now given %d", old, value),
			Hint: "put the old value back: it is fixed for the life of a ledger",
		}
	}
	return storeValue(tx, name, value)
}

func loadValue(tx *sqldb.Tx, name string, absent int64) (int64, error) {
	rows, err := tx.Query("SELECT value FROM casebook_value WHERE name = ?", name)
	if err != nil {
		return 0, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	v := absent
	if rows.Next() {
		if err := rows.Scan(&v); err != nil {
			return 0, err
		}
	}
	return v, rows.Err()
}

func storeValue(tx *sqldb.Tx, name string, value int64) error {
	_, err := tx.Exec("INSERT INTO casebook_value (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	return err
}

// Changed returns a channel that is closed when an entry was witnessed or an
// opening published after the call.
func (b *Book) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *Book) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

func asHash(b []byte) (h tlog.Hash, err error) {
	if len(b) != len(h) {
		return h, bonded.Errorf(bonded.CodeAltered, "a hash in the ledger of cases has another length")
	}
	return tlog.Hash(b), nil
}
