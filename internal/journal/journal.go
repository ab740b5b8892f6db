package journal

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/internal/wire"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

//go:embed migrations
var migrations embed.FS

// Defaults and limits.
const (
	DefaultSealEvery      = time.Second
	DefaultAnchorEvery    = 10 * time.Second
	DefaultAggregateEvery = time.Minute

	// MaxSegmentRows is how many rows a segment has at most; a busier second
	// makes several segments.
	MaxSegmentRows = 1 << 16

	// maxAnchorRows bounds the rows one anchor covers, so that their leaves fit
	// into one message to the keyholder. A rest gets an anchor of its own.
	maxAnchorRows = 1 << 18

	seqBlock = 1 << 20 // row numbers reserved at a time
)

// An Appender puts a leaf into the ledger and returns when a cosigned
// checkpoint covers it; [*ledger.Ledger] is one. After an error the leaf may be
// in the ledger or not.
type Appender interface {
	Append(ctx context.Context, leaf []byte) (ledger.Receipt, error)
}

// AnchorFacts are what an anchor says beside its segments.
type AnchorFacts struct {
	Head           []byte   // canonical bytes of the keyholder's signed head; empty if it did not answer
	Tombstones     uint64   // how many the vault holds
	TombstoneChain [32]byte // chain hash over them
	Policy         [32]byte // digest of the policy set in force
	Directory      [32]byte // SHA-256 of the directory file in force
}

// A Config says whose journal it is. DB, Cell, Node and PromiseKey are needed
// always, Ledger and Facts for anchors.
type Config struct {
	DB         *sqldb.DB // the journal sets its hook
	Cell       bonded.CellID
	Node       uint16 // vault node, from 1
	PromiseKey ed25519.PrivateKey
	Ledger     Appender
	Facts      func(ctx context.Context) (AnchorFacts, error)
	Now        func() time.Time // nil means time.Now
	Logger     *slog.Logger     // nil means slog.Default()

	// OnAnchor is told of each anchor when a cosigned checkpoint covers it, in
	// order, to show it to the keyholder. An error is logged; the caller can ask
	// for the same message again with [Journal.AnchorMessage]. Nil means nobody.
	OnAnchor func(ctx context.Context, number uint64, a *wire.Anchor) error

	SealEvery      time.Duration // 0 means DefaultSealEvery
	AnchorEvery    time.Duration // 0 means DefaultAnchorEvery
	AggregateEvery time.Duration // of refusals that are counted; 0 means DefaultAggregateEvery
}

// A Journal is the vault node's own book. It is safe for concurrent use.
type Journal struct {
	cfg         Config
	db          *sqldb.DB
	cell        bonded.CellID
	node        uint16
	incarnation uint64
	key         ed25519.PrivateKey
	now         func() time.Time
	log         *slog.Logger

	seq      atomic.Uint64 // next to give out
	reserved atomic.Uint64 // first that may not be given out
	failures atomic.Uint64

	// Of the writer goroutine only.
	state  state
	staged staged

	tallies tallies

	head       atomic.Pointer[Head]
	checkpoint atomic.Pointer[[32]byte] // SHA-256 of the newest cosigned checkpoint
	last       atomic.Pointer[AnchorInfo]
	unindexed  atomic.Int64 // bytes of rows after the newest run of the index
	indexMu    sync.Mutex
	runRows    uint64 // of the index
	anchorMu   sync.Mutex

	unauthenticated atomic.Uint64
	refused         refusals
	lastAggregate   atomic.Int64 // milliseconds since 1970-01-01 UTC
}

// A Head says where the journal stands.
type Head struct {
	Rows     uint64 // position of the newest durable row
	Segments uint64 // number of the newest sealed segment
	Unsealed uint64 // rows after it
	Reserved uint64 // row numbers below this may have been given out
	Failures uint64 // commits that failed since the start; see [Journal.Failures]
	Anchors  uint64 // number of the newest anchor under a cosigned checkpoint
}

// Open opens the journal in cfg.DB: it makes its tables, begins a new
// incarnation, durably, and reads the rows that no segment holds yet.
//
// Errors: [bonded.CodeConfig] if the database belongs to another cell or node
// or a needed field is missing; [bonded.CodeAltered] if rows or segments do
// not fit together; else those of [sqldb.DB.Do].
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	j, err := newJournal(cfg)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.db.Migrate(ctx, "journal", files); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.begin(ctx); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.load(ctx); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j.db.SetHook((*hook)(j))
	return j, nil
}

func newJournal(cfg Config) (*Journal, error) {
	if cfg.DB == nil || !cfg.Cell.Valid() || cfg.Node == 0 || len(cfg.PromiseKey) != ed25519.PrivateKeySize {
		return nil, bonded.Errorf(bonded.CodeConfig, "a journal needs a database, a cell, a node from 1 and a promise key")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	for d, def := range map[*time.Duration]time.Duration{
		&cfg.SealEvery: DefaultSealEvery, &cfg.AnchorEvery: DefaultAnchorEvery, &cfg.AggregateEvery: DefaultAggregateEvery,
	} {
		if *d <= 0 {
			*d = def
		}
	}
	j := &Journal{cfg: cfg, db: cfg.DB, cell: cfg.Cell, node: cfg.Node, key: cfg.PromiseKey, now: cfg.Now, log: cfg.Logger, runRows: runRows}
	j.lastAggregate.Store(cfg.Now().UnixMilli())
	return j, nil
}

// begin starts a new incarnation and reserves its first row numbers.
func (j *Journal) begin(ctx context.Context) error {
	return j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		var node, reserved int64
		var cell string
		err := tx.QueryRow("SELECT node, cell, incarnation, reserved FROM journal_node").Scan(&node, &cell, &j.incarnation, &reserved)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			node, cell, reserved = int64(j.node), string(j.cell), 1
			if _, err := tx.Exec("INSERT INTO journal_node (node, cell, incarnation, reserved) VALUES (?, ?, 0, 1)", node, cell); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		if node != int64(j.node) || cell != string(j.cell) {
			return bonded.Errorf(bonded.CodeConfig, "the journal is of node %d of cell %s", node, cell)
		}
		j.incarnation++
		j.seq.Store(uint64(reserved))                                                                                      //nolint:gosec // never negative
		j.reserved.Store(uint64(reserved) + seqBlock)                                                                      //nolint:gosec // as above
		_, err = tx.Exec("UPDATE journal_node SET incarnation = ?, reserved = ?", int64(j.incarnation), reserved+seqBlock) //nolint:gosec // starts are few
		return err
	})
}

// load reads where segments, rows and anchors stand.
func (j *Journal) load(ctx context.Context) error {
	// 1. The newest segment.
	st := state{next: 1, segment: 1, first: 1}
	var encoded []byte
	err := j.db.Read().QueryRowContext(ctx, "SELECT segment FROM journal_segments ORDER BY number DESC LIMIT 1").Scan(&encoded)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		seg, err := verify.DecodeSegment(encoded)
		if err != nil {
			return bonded.Wrap(bonded.CodeAltered, err, "the newest segment of the journal cannot be read")
		}
		st.segment, st.first, st.prev = seg.Number+1, seg.First+seg.Count, seg.Hash()
		st.next = st.first
	}

	// 2. The rows after it.
	for {
		rows, err := j.Rows(ctx, st.next-1, exportPage)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for i := range rows {
			if rows[i].Position != st.next {
				return bonded.Errorf(bonded.CodeAltered, "row %d of the journal is missing", st.next)
			}
			st.add(verify.RowLeaf(rows[i].Row, rows[i].Salt))
		}
	}
	j.state = st
	j.publish()

	// 3. What the index by subject does not cover.
	var bytes int64
	if err := j.db.Read().QueryRowContext(ctx,
		"SELECT COALESCE(SUM(length(row)), 0) FROM journal WHERE position > (SELECT COALESCE(MAX(last), 0) FROM journal_runs)").Scan(&bytes); err != nil {
		return err
	}
	j.unindexed.Store(bytes)

	// 4. What the tallies do not count yet.
	if err := j.loadTallies(ctx); err != nil {
		return err
	}

	// 5. The newest anchor under a cosigned checkpoint.
	return j.loadLastAnchor(ctx)
}

// Incarnation returns the number of this start of the node, from 1.
func (j *Journal) Incarnation() uint64 { return j.incarnation }

// Node returns the number of the vault node.
func (j *Journal) Node() uint16 { return j.node }

// PromiseKey returns the public key of the promises.
func (j *Journal) PromiseKey() ed25519.PublicKey {
	return ed25519.PublicKey(j.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

// Head says where the journal stands.
func (j *Journal) Head() Head {
	h := *j.head.Load()
	h.Reserved = j.reserved.Load()
	h.Failures = j.failures.Load()
	if a := j.last.Load(); a != nil {
		h.Anchors = a.Number
	}
	return h
}

// Failures counts commits with rows that failed since the start. After each,
// and at start, the vault unlocks nothing until it has asked the keyholder
// for its book and given what is lost to [Journal.RecoverOrphans].
func (j *Journal) Failures() uint64 { return j.failures.Load() }

// Sizes returns the lengths of the database's files in bytes.
func (j *Journal) Sizes() (sqldb.Sizes, error) { return j.db.Sizes() }

// SawCheckpoint tells the journal of a newer cosigned checkpoint than that of
// its last anchor: the next segment will show that it was not closed earlier.
// raw is the whole signed note.
func (j *Journal) SawCheckpoint(raw []byte) {
	h := sha256.Sum256(raw)
	j.checkpoint.Store(&h)
}

// publish shows the writer's state to readers.
func (j *Journal) publish() {
	st := &j.state
	j.head.Store(&Head{Rows: st.next - 1, Segments: st.segment - 1, Unsealed: st.tree.size})
}

// A state is where the open segment stands. Copies share leaves, which only
// ever grow past what a copy sees.
type state struct {
	next    uint64 // position of the next row
	segment uint64 // number of the open segment
	first   uint64 // position of its first row
	leaves  []tlog.Hash
	tree    tree
	prev    [32]byte // hash of the segment before
}

// add puts a row into the open segment and returns its place there.
func (s *state) add(leaf [32]byte) uint64 {
	s.next++
	s.leaves = append(s.leaves, leaf)
	s.tree.add(leaf)
	return s.tree.size - 1
}
