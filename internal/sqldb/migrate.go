package sqldb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"

	"bonded"
)

var migrationName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

const migrationsTable = `
CREATE TABLE IF NOT EXISTS migrations (
	owner TEXT NOT NULL,
	number INTEGER NOT NULL,
	name TEXT NOT NULL,
	digest BLOB NOT NULL,
	PRIMARY KEY (owner, number)
) STRICT, WITHOUT ROWID`

// Migrate runs the files "0001_name.sql", "0002_name.sql", … at the top of
// files that have not run yet, in order, each in a commit of its own. Owner
// names the set: several packages can keep tables in one database. A file once
// run is never edited: [bonded.CodeAltered]. Files that the database has and
// files does not are those of a newer release; they are left alone, since
// migrations only add.
func (db *DB) Migrate(ctx context.Context, owner string, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	type migration struct {
		number int
		name   string
	}
	var todo []migration
	for _, name := range names {
		m := migrationName.FindStringSubmatch(path.Base(name))
		if m == nil {
			return bonded.Errorf(bonded.CodeConfig, "migration %s is not named 0001_name.sql", name)
		}
		n, _ := strconv.Atoi(m[1]) // four digits
		todo = append(todo, migration{n, name})
	}
	slices.SortFunc(todo, func(a, b migration) int { return cmp.Compare(a.number, b.number) })
	for i, m := range todo {
		if m.number != i+1 {
			return bonded.Errorf(bonded.CodeConfig, "migrations of %s are not numbered 0001, 0002, …: %s", owner, m.name)
		}
		text, err := fs.ReadFile(files, m.name)
		if err != nil {
			return fmt.Errorf("migrate %s: %w", owner, err)
		}
		err = db.Update(ctx, func(_ context.Context, tx *Tx) error {
			return migrateOne(tx, owner, m.number, m.name, string(text))
		})
		if err != nil {
			return fmt.Errorf("migrate %s: %s: %w", owner, m.name, err)
		}
	}
	return nil
}

func migrateOne(tx *Tx, owner string, number int, name, text string) error {
	if err := tx.Script(migrationsTable); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(text))
	rows, err := tx.Query("SELECT digest FROM migrations WHERE owner = ? AND number = ?", owner, number)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // only read from
	if rows.Next() {
		var got []byte
		if err := rows.Scan(&got); err != nil {
			return err
		}
		if [32]byte(got) != digest {
			return bonded.Errorf(bonded.CodeAltered, "the file was edited after it had run on this database")
		}
		return nil
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := tx.Script(text); err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO migrations (owner, number, name, digest) VALUES (?, ?, ?, ?)", owner, number, name, digest[:])
	return err
}
