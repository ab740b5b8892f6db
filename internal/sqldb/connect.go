package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"modernc.org/sqlite"

	"bonded"
)

// A proof is a PRAGMA with the value it must answer. The driver ignores
// settings that it does not know in a DSN, so asking is the only way to know.
type proof struct {
	pragma string
	want   string
	why    string
}

var writerProofs = []proof{
	{"journal_mode", "wal", "commits must go to a write-ahead log"},
	{"synchronous", "2", "every commit must be flushed to the disk"},
	{"foreign_keys", "1", "foreign keys must be enforced"},
	{"recursive_triggers", "1", "triggers that protect rows must hold for replacing as well"},
	{"query_only", "0", "the writer must be able to write"},
}

var readerProofs = []proof{
	{"journal_mode", "wal", "readers must not block the writer"},
	{"query_only", "1", "readers must not write"},
}

func writerPragmas(cacheKiB int) []string {
	return []string{
		"busy_timeout(5000)",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"recursive_triggers(1)", // else INSERT OR REPLACE deletes without asking a trigger
		"wal_autocheckpoint(0)", // see checkpointer
		"journal_size_limit(134217728)",
		"temp_store(MEMORY)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
	}
}

func readerPragmas(cacheKiB int) []string {
	return []string{
		"busy_timeout(5000)",
		"query_only(1)",
		"temp_store(MEMORY)",
		"mmap_size(0)", // else each read after a commit unmaps the file and faults its pages in again
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
	}
}

// A connector opens connections and proves their settings before anybody uses
// them.
type connector struct {
	dsn    string
	proofs []proof
}

func newConnector(path string, pragmas []string, proofs []proof) *connector {
	q := url.Values{"_pragma": pragmas}
	return &connector{dsn: "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode(), proofs: proofs}
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := sqlite.NewConnector(c.dsn)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn, err := inner.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for _, p := range c.proofs {
		if err := p.check(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (p proof) check(ctx context.Context, conn driver.Conn) error {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return errors.New("connection cannot be asked for its settings")
	}
	rows, err := q.QueryContext(ctx, "PRAGMA "+p.pragma, nil)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", p.pragma, err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	value := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(value); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("ask for %s: %w", p.pragma, err)
	}
	got := "nothing"
	if len(value) == 1 && value[0] != nil {
		got = strings.ToLower(fmt.Sprint(value[0]))
	}
	if got != p.want {
		return &bonded.Error{
			Code: bonded.CodeConfig, Message: fmt.Sprintf("the database answers %s = %s and not %s: %s", p.pragma, got, p.want, p.why),
			Hint: "keep the database on a local disk; network file systems and in-memory databases cannot do it",
		}
	}
	return nil
}
