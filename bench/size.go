//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // reads the size of tables
)

// benchSize counts the bytes of journal, tables and indexes, that one opening
// costs: single reads of one field.
func benchSize(ctx context.Context, b *bench, t *table) error {
	if err := b.fill(ctx, b.o.people); err != nil {
		return err
	}
	before, rowsBefore, err := b.journalBytes(ctx)
	if err != nil {
		return err
	}
	path, err := b.bodies("size.jsonl", 20_000, func(int) any { return b.readBody() })
	if err != nil {
		return err
	}
	l := &load{url: b.api + "/v1/get", headers: b.headers(), bodies: path, conns: 32}
	if _, err := l.drive(ctx, b.dir, b.o.duration); err != nil {
		return err
	}
	after, rowsAfter, err := b.journalBytes(ctx)
	if err != nil {
		return err
	}
	if rowsAfter == rowsBefore {
		return fmt.Errorf("no row was written")
	}
	t.most("journal per opening, tables and indexes", float64(after-before)/float64(rowsAfter-rowsBefore), 400, " B")
	for name, pid := range b.pids() {
		t.plain("resident memory, "+name, float64(rssOf(pid))/(1<<20), " MiB")
	}
	return nil
}

// journalBytes sums the pages of the journal's tables and indexes.
func (b *bench) journalBytes(ctx context.Context) (bytes, rows int64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.d.Layout.Vault("eu"), "vault.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	if err = db.QueryRowContext(ctx, "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE name LIKE 'journal%' OR name LIKE 'sqlite_autoindex_journal%'").Scan(&bytes); err != nil {
		return 0, 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(position), 0) FROM journal").Scan(&rows)
	return bytes, rows, err
}
