package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
)

// Defaults and limits of [Config].
const (
	DefaultReadConns = 4
	DefaultMaxBatch  = 1024
	DefaultCacheKiB  = 16 << 10

	// MaxCheckAtOpen is the size in bytes up to which [Open] reads the whole
	// file to check it, about a second for each 100 MiB. Larger ones are left to
	// [DB.Check], beside the daily work.
	MaxCheckAtOpen = 1 << 30
)

// A Config says which database to open and how. Only Path is needed.
type Config struct {
	Path       string       // of the database file, made with mode 0600 if absent; its folder must exist
	Migrations fs.FS        // files "0001_name.sql"; nil means none; see [DB.Migrate]
	ReadConns  int          // connections for reading; 0 means DefaultReadConns
	MaxBatch   int          // jobs of one commit at most; 0 means DefaultMaxBatch
	CacheKiB   int          // page cache of each connection in KiB; 0 means DefaultCacheKiB
	Hook       Hook         // may also be given later, see [DB.SetHook]
	Logger     *slog.Logger // nil means slog.Default()
}

// A DB is an open database of one party. It is safe for concurrent use.
type DB struct {
	path     string
	maxBatch int
	log      *slog.Logger
	lock     *os.File
	writes   *sql.DB   // one connection, held by writer
	conn     *sql.Conn // the writer's
	read     *sql.DB
	hook     atomic.Pointer[Hook]
	fatal    atomic.Pointer[error]
	fatalCh  chan error
	stats    counters

	failing       int // failed commits in a row; of the writer goroutine
	failureLogged time.Time

	mu     sync.Mutex
	queue  []*Job
	closed bool

	closeOnce  sync.Once
	wake       chan struct{}
	stop       chan struct{}
	stopped    chan struct{} // the writer has ended
	checkpoint *checkpointer
}

// Open opens or makes the database, checks that no other process has it open,
// that its pages hold together (up to [MaxCheckAtOpen]) and that each
// connection really writes ahead (WAL) and flushes every commit
// (synchronous=FULL), and runs the migrations.
//
// Errors: [bonded.CodeConfig] if another process has the database or a
// setting did not take; [bonded.CodeAltered] if the file is damaged or a
// migration was edited; [bonded.CodeNotWritable] if it cannot be written. The
// caller starts nothing on any of them.
func Open(ctx context.Context, cfg Config) (_ *DB, err error) {
	if cfg.ReadConns <= 0 {
		cfg.ReadConns = DefaultReadConns
	}
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	if cfg.CacheKiB <= 0 {
		cfg.CacheKiB = DefaultCacheKiB
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	db := &DB{
		path: cfg.Path, maxBatch: cfg.MaxBatch, log: cfg.Logger, fatalCh: make(chan error, 1),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database %s: %w", filepath.Base(cfg.Path), errors.Join(err, db.closeFiles()))
		}
	}()

	// 1. The file, for its owner only, and for this process only.
	if err := db.openFile(); err != nil {
		return nil, err
	}

	// 2. The writer's connection. The first one decides the journal mode.
	db.writes = sql.OpenDB(newConnector(cfg.Path, writerPragmas(cfg.CacheKiB), writerProofs))
	db.writes.SetMaxOpenConns(1)
	if db.conn, err = db.writes.Conn(ctx); err != nil {
		return nil, openError(err)
	}
	if s, err := db.Sizes(); err != nil || s.Main <= MaxCheckAtOpen {
		if err := quickCheck(ctx, db.conn); err != nil {
			return nil, err
		}
	}

	// 3. The readers'.
	db.read = sql.OpenDB(newConnector(cfg.Path, readerPragmas(cfg.CacheKiB), readerProofs))
	db.read.SetMaxOpenConns(cfg.ReadConns)
	db.read.SetMaxIdleConns(cfg.ReadConns)
	if err := db.read.PingContext(ctx); err != nil {
		return nil, openError(err)
	}

	// 4. Checkpoints, then the writer, then the migrations through it.
	if db.checkpoint, err = newCheckpointer(ctx, db, cfg); err != nil {
		return nil, err
	}
	go db.run(newTx(db.conn))
	if cfg.Migrations != nil {
		if err := db.Migrate(ctx, "main", cfg.Migrations); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if cfg.Hook != nil {
		db.SetHook(cfg.Hook)
	}
	return db, nil
}

// openFile makes the file with its final mode before SQLite does, and locks
// its neighbour "….lock".
func (db *DB) openFile() error {
	if db.path == "" {
		return bonded.Errorf(bonded.CodeConfig, "no database path given")
	}
	lock, err := lockFile(db.path + ".lock")
	if err != nil {
		return err
	}
	db.lock = lock
	f, err := os.OpenFile(db.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return bonded.Wrap(bonded.CodeNotWritable, err, "the database file cannot be opened for writing")
	}
	return f.Close()
}

// Check reads the whole file and returns [bonded.CodeAltered] if its pages do
// not hold together. It takes a reading connection for that long.
func (db *DB) Check(ctx context.Context) error {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return openError(err)
	}
	return errors.Join(quickCheck(ctx, conn), conn.Close())
}

func quickCheck(ctx context.Context, conn *sql.Conn) error {
	var verdict string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return openError(err)
	}
	if verdict != "ok" {
		return &bonded.Error{
			Code: bonded.CodeAltered, Message: "the database is damaged: " + verdict,
			Hint: "restore it from a backup; what the ledger has seen is checked again then",
		}
	}
	return nil
}

// Read returns the connections for reading. They refuse every change. What
// [DB.Do] has committed before is visible.
func (db *DB) Read() *sql.DB { return db.read }

// SetHook sets what runs around every commit. Set it before the first job that
// needs it; only one hook can be set.
func (db *DB) SetHook(h Hook) { db.hook.Store(&h) }

// Fatal returns a channel that receives one error when the disk has failed in
// a way after which reads can be wrong, such as a flush that did not happen.
// Every job fails from then on; the process must stop.
func (db *DB) Fatal() <-chan error { return db.fatalCh }

func (db *DB) setFatal(err error) {
	if db.fatal.CompareAndSwap(nil, &err) {
		db.log.Error("the database cannot be trusted any more; stop", slog.Any("err", err))
		db.fatalCh <- err
	}
}

// Close lets the waiting jobs finish, then closes the database. Jobs given
// later fail.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	close(db.stop)
	<-db.stopped
	return db.closeFiles()
}

func (db *DB) closeFiles() (err error) {
	db.closeOnce.Do(func() { err = db.closeAll() })
	return err
}

func (db *DB) closeAll() error {
	var errs []error
	if db.checkpoint != nil {
		errs = append(errs, db.checkpoint.close())
	}
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	if db.writes != nil {
		errs = append(errs, db.writes.Close()) // the last connection moves the WAL into the file
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Sizes are the lengths of a database's files in bytes.
type Sizes struct {
	Main int64 // the database file
	WAL  int64 // the write-ahead log, which is reused from its start and seldom shrinks
}

// Sizes returns the lengths of the files now.
func (db *DB) Sizes() (s Sizes, err error) {
	fi, err := os.Stat(db.path)
	if err != nil {
		return s, fmt.Errorf("database size: %w", err)
	}
	s.Main = fi.Size()
	if fi, err := os.Stat(db.path + "-wal"); err == nil {
		s.WAL = fi.Size()
	}
	return s, nil
}

// Path returns the path of the database file.
func (db *DB) Path() string { return db.path }
