package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// A Tx is the open transaction of the writer. Statements are prepared once and
// kept by their text: write placeholders, never values, into it. It is for the
// writer goroutine only, during [Job.Do] or a [Hook].
type Tx struct {
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	broken error // the transaction is gone or must not be committed
	weight int   // roughly, bytes written since the last checkpoint
}

// maxStmts bounds the cache of statements; programs have a few dozen.
const maxStmts = 512

func newTx(conn *sql.Conn) *Tx { return &Tx{conn: conn, stmts: make(map[string]*sql.Stmt)} }

// The statements of a transaction are not interrupted: a half-run one would
// cost all jobs of the commit.
var background = context.Background()

func (tx *Tx) stmt(query string) (*sql.Stmt, error) {
	if s := tx.stmts[query]; s != nil {
		return s, nil
	}
	if len(tx.stmts) >= maxStmts {
		tx.closeStmts()
	}
	s, err := tx.conn.PrepareContext(background, query)
	if err != nil {
		return nil, tx.note(err)
	}
	tx.stmts[query] = s
	return s, nil
}

// closeStmts closes the statements kept. A connection with an open one does not
// close, and then leaves its write-ahead log behind.
func (tx *Tx) closeStmts() {
	for q, s := range tx.stmts {
		_ = s.Close() // of a statement not in use
		delete(tx.stmts, q)
	}
}

// note remembers errors after which SQLite may have undone the whole
// transaction by itself.
func (tx *Tx) note(err error) error {
	if err != nil && tx.broken == nil && breaksTransaction(err) {
		tx.broken = err
	}
	return err
}

// Exec runs a statement and returns the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := tx.stmt(query)
	if err != nil {
		return 0, err
	}
	for _, a := range args {
		switch a := a.(type) {
		case []byte:
			tx.weight += len(a)
		case string:
			tx.weight += len(a)
		}
	}
	tx.weight += 64
	r, err := s.ExecContext(background, args...)
	if err != nil {
		return 0, tx.note(err)
	}
	n, err := r.RowsAffected()
	return n, tx.note(err)
}

// Query runs a statement that returns rows. Close them before the job ends.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.stmt(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(background, args...)
	return rows, tx.note(err)
}

// QueryRow runs a statement that returns at most one row. Its Scan returns
// [sql.ErrNoRows] if there is none.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	s, err := tx.stmt(query)
	if err != nil {
		return tx.conn.QueryRowContext(background, query, args...) // carries the error
	}
	return s.QueryRowContext(background, args...)
}

// Script runs statements separated by semicolons, without arguments and
// without keeping them prepared.
func (tx *Tx) Script(text string) error {
	_, err := tx.conn.ExecContext(background, text)
	return tx.note(err)
}

// Rows of one statement in [Tx.Insert]: powers of two below this.
const insertChunk = 64

// Insert runs prefix, such as "INSERT INTO t (a, b) VALUES", for len(args) /
// columns rows with few statements.
func (tx *Tx) Insert(prefix string, columns int, args []any) error {
	if columns < 1 || len(args)%columns != 0 {
		return fmt.Errorf("insert: %d values for %d columns", len(args), columns)
	}
	for chunk := insertChunk; len(args) > 0; {
		for chunk*columns > len(args) {
			chunk /= 2
		}
		if _, err := tx.Exec(insertText(prefix, columns, chunk), args[:chunk*columns]...); err != nil {
			return err
		}
		args = args[chunk*columns:]
	}
	return nil
}

func insertText(prefix string, columns, rows int) string {
	one := "(?" + strings.Repeat(",?", columns-1) + ")"
	return prefix + " " + one + strings.Repeat(","+one, rows-1)
}
