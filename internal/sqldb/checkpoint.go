package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
)

// checkpointBytes is how much is written, roughly, between two checkpoints of
// the write-ahead log.
const checkpointBytes = 8 << 20

// largeLog is the size in bytes from which the writer waits a moment for
// readers, so that the log can begin again at its start.
const largeLog = 64 << 20

// A checkpointer moves the write-ahead log into the database file. SQLite by
// itself does this inside some unlucky commit, which then takes many times as
// long. Here most of the work is done beside the commits by a connection of
// its own; the writer then does the short rest between two commits, so that
// the log can begin again at its start instead of growing for ever.
type checkpointer struct {
	db      *DB
	pool    *sql.DB
	ask     chan struct{}
	ready   chan struct{} // the bulk is done: the writer does the rest
	stop    chan struct{}
	stopped chan struct{}
}

func newCheckpointer(ctx context.Context, db *DB, cfg Config) (*checkpointer, error) {
	c := &checkpointer{
		db: db, pool: sql.OpenDB(newConnector(cfg.Path, writerPragmas(1024), writerProofs)),
		ask: make(chan struct{}, 1), ready: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	c.pool.SetMaxOpenConns(1)
	go c.run()
	if err := c.pool.PingContext(ctx); err != nil {
		return c, openError(err)
	}
	return c, nil
}

func (c *checkpointer) run() {
	defer close(c.stopped)
	for {
		select {
		case <-c.stop:
			return
		case <-c.ask:
		}
		if err := c.once(c.pool.QueryRowContext(background, "PRAGMA wal_checkpoint(PASSIVE)")); err != nil {
			continue
		}
		select {
		case c.ready <- struct{}{}:
		default:
		}
	}
}

func (c *checkpointer) once(row *sql.Row) error {
	var busy, frames, moved int64
	if err := row.Scan(&busy, &frames, &moved); err != nil {
		err = fmt.Errorf("checkpoint: %w", err)
		if isFatal(err) {
			c.db.setFatal(err)
		}
		c.db.log.Warn("the write-ahead log could not be moved into the database; it is tried again", slog.Any("err", err))
		return err
	}
	return nil
}

// after is called by the writer between commits.
func (c *checkpointer) after(tx *Tx) {
	select {
	case <-c.ready:
		c.finish(tx)
	default:
	}
	if tx.weight < checkpointBytes {
		return
	}
	tx.weight = 0
	select {
	case c.ask <- struct{}{}:
	default:
	}
}

// finish does the rest of a checkpoint on the writer's connection. The log can
// only begin again when no reader needs it; without waiting that is a matter of
// luck, so a large one is waited for, but not long: an export can read for
// minutes. Failures are logged, and tried again the next time.
func (c *checkpointer) finish(tx *Tx) {
	if s, err := c.db.Sizes(); err != nil || s.WAL < largeLog {
		_ = c.once(tx.conn.QueryRowContext(background, "PRAGMA wal_checkpoint(PASSIVE)")) // as said
		return
	}
	_ = tx.Script("PRAGMA busy_timeout = 20")
	_ = c.once(tx.conn.QueryRowContext(background, "PRAGMA wal_checkpoint(RESTART)")) // as said
	_ = tx.Script("PRAGMA busy_timeout = 5000")
}

func (c *checkpointer) close() error {
	close(c.stop)
	<-c.stopped
	return c.pool.Close()
}
