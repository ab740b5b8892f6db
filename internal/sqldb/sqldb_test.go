package sqldb_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"bonded"
	"bonded/internal/sqldb"
)

var schema = fstest.MapFS{
	"0001_things.sql": {Data: []byte("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;\nCREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB) STRICT;")},
}

func open(t testing.TB) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(t.TempDir(), "a.db"), Migrations: schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func count(t testing.TB, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRow("SELECT count(*) FROM things").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDoKeepsEveryRowOfManyCallers(t *testing.T) {
	db := open(t)
	const callers, each = 32, 50
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec("INSERT INTO things (id, name) VALUES (?, ?)", c*each+i, "x")
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := count(t, db); got != callers*each {
		t.Fatalf("%d rows, want %d", got, callers*each)
	}
	if s := db.Stats(); s.Commits >= s.Jobs {
		t.Errorf("%d commits for %d jobs: nothing was grouped", s.Commits, s.Jobs)
	}
}

func TestFailingJobIsUndoneAlone(t *testing.T) {
	db := open(t)
	errNo := errors.New("no")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
				if _, err := tx.Exec("INSERT INTO things (id, name) VALUES (?, ?)", i, "x"); err != nil {
					return err
				}
				if i%2 == 1 {
					return errNo
				}
				return nil
			})
			if (i%2 == 1) != errors.Is(err, errNo) {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := count(t, db); got != 32 {
		t.Errorf("%d rows, want 32", got)
	}
	err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO things (id, name) VALUES (?, ?)", 0, "again")
		return err
	})
	if !sqldb.IsUnique(err) {
		t.Errorf("second row of one id: %v", err)
	}
}

func TestPanickingJobIsUndoneAlone(t *testing.T) {
	db := open(t)
	err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		_, _ = tx.Exec("INSERT INTO things (id, name) VALUES (1, 'x')")
		panic("secret")
	})
	if bonded.CodeOf(err) != bonded.CodeInternal || count(t, db) != 0 {
		t.Fatalf("%v, %d rows", err, count(t, db))
	}
}

func TestJobOfEndedContextDoesNotRun(t *testing.T) {
	db := open(t)
	// Holds the writer until the second job has given up.
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Update(t.Context(), func(context.Context, *sqldb.Tx) error { close(held); <-hold; return nil })
	})
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO things (id, name) VALUES (1, 'x')")
		return err
	})
	close(hold)
	wg.Wait()
	if !errors.Is(err, context.Canceled) || count(t, db) != 0 {
		t.Fatalf("%v, %d rows", err, count(t, db))
	}
}

type hook struct {
	refuse error
	ended  []error
}

func (h *hook) BeforeCommit(tx *sqldb.Tx, jobs []*sqldb.Job) error {
	for _, j := range jobs {
		name, _ := j.Payload.(string)
		if j.Err() != nil {
			name += " failed"
		}
		if _, err := tx.Exec("INSERT INTO things (name) VALUES (?)", name); err != nil {
			return err
		}
	}
	return h.refuse
}

func (h *hook) AfterCommit(_ []*sqldb.Job, err error) { h.ended = append(h.ended, err) }

func TestHookSeesFailedJobsAndCanRefuseTheCommit(t *testing.T) {
	db := open(t)
	h := &hook{}
	db.SetHook(h)
	errNo := errors.New("no")
	err := db.Do(t.Context(), sqldb.Job{Payload: "a", Do: func(context.Context, *sqldb.Tx) error { return errNo }})
	if !errors.Is(err, errNo) {
		t.Fatal(err)
	}
	var name string
	if err := db.Read().QueryRow("SELECT name FROM things").Scan(&name); err != nil || name != "a failed" {
		t.Fatalf("%q, %v", name, err)
	}
	h.refuse = errors.New("disk of the hook")
	if err := db.Do(t.Context(), sqldb.Job{Payload: "b"}); bonded.CodeOf(err) != bonded.CodeNotWritable || !errors.Is(err, h.refuse) {
		t.Fatal(err)
	}
	if got := count(t, db); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	if len(h.ended) != 2 || h.ended[0] != nil || h.ended[1] == nil {
		t.Errorf("ends told: %v", h.ended)
	}
}

func TestOpenRefusesEachUnprovenSetting(t *testing.T) {
	for _, wrong := range []string{"journal_mode(DELETE)", "synchronous(NORMAL)", "synchronous(OFF)", "foreign_keys(0)", "recursive_triggers(0)", "query_only(1)"} {
		t.Run(wrong, func(t *testing.T) {
			err := sqldb.ProveWriter(t.Context(), filepath.Join(t.TempDir(), "a.db"), wrong)
			if bonded.CodeOf(err) != bonded.CodeConfig {
				t.Errorf("opened with %s: %v", wrong, err)
			}
		})
	}
	if err := sqldb.ProveWriter(t.Context(), filepath.Join(t.TempDir(), "a.db"), "busy_timeout(1)"); err != nil {
		t.Errorf("right settings: %v", err)
	}
}

func TestOpenRefusesSecondOwner(t *testing.T) {
	db := open(t)
	if _, err := sqldb.Open(t.Context(), sqldb.Config{Path: db.Path()}); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Fatal(err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"another file":     func([]byte) []byte { return bytes.Repeat([]byte("not a database"), 1000) },
		"page overwritten": func(b []byte) []byte { copy(b[4096:], make([]byte, 4096)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			if err := db.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(db.Path())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(db.Path(), damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := sqldb.Open(t.Context(), sqldb.Config{Path: db.Path()}); bonded.CodeOf(err) != bonded.CodeAltered {
				t.Fatal(err)
			}
		})
	}
}

func TestCloseLeavesOneFileToCopy(t *testing.T) {
	db := open(t)
	if err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO things (name) VALUES ('x')")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(db.Path() + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the write-ahead log is still there: %v", err)
	}
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	db := open(t)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		fi, err := os.Stat(db.Path() + suffix)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, fi.Mode(), err)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t)
	if _, err := db.Read().Exec("INSERT INTO things (name) VALUES ('x')"); err == nil {
		t.Fatal("a reader wrote")
	}
}

func TestMigrateRunsOnceAndRefusesEdits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a ?#%.db")
	for range 2 {
		db, err := sqldb.Open(t.Context(), sqldb.Config{Path: path, Migrations: schema})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	edited := fstest.MapFS{"0001_things.sql": {Data: []byte("CREATE TABLE things (id INTEGER PRIMARY KEY) STRICT;")}}
	if _, err := sqldb.Open(t.Context(), sqldb.Config{Path: path, Migrations: edited}); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Fatal(err)
	}
	gap := fstest.MapFS{"0002_x.sql": {Data: []byte("SELECT 1")}}
	if _, err := sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(t.TempDir(), "b.db"), Migrations: gap}); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Fatal(err)
	}
}

func TestInsertWritesAnyNumberOfRows(t *testing.T) {
	db := open(t)
	want := 0
	for _, n := range []int{0, 1, 2, 63, 64, 65, 200} {
		args := make([]any, 0, n)
		for i := range n {
			args = append(args, fmt.Sprint(n, i))
		}
		want += n
		err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			return tx.Insert("INSERT INTO things (name) VALUES", 1, args)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t, db); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

func TestWriteAheadLogDoesNotGrowForEver(t *testing.T) {
	db := open(t)
	body := make([]byte, 64<<10)
	const rounds = 2500 // about 160 MB

	var reader *sql.Tx // somebody reads half of the time
	for i := range rounds {
		switch i % 10 {
		case 0:
			var err error
			if reader, err = db.Read().BeginTx(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := reader.QueryRow("SELECT count(*) FROM things").Scan(&n); err != nil {
				t.Fatal(err)
			}
		case 5:
			if err := reader.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
		err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT OR REPLACE INTO notes (id, body) VALUES (?, ?)", i%16, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := db.Sizes()
	if err != nil {
		t.Fatal(err)
	}
	if s.WAL > 96<<20 {
		t.Errorf("log of %d MiB after %d MiB written", s.WAL>>20, rounds*len(body)>>20)
	}
}

func BenchmarkWriter256(b *testing.B) {
	db := open(b)
	args := make([]any, 0, 256)
	for range 256 {
		args = append(args, "a name of thirty-two bytes here.")
	}
	for b.Loop() {
		err := db.Update(b.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			return tx.Insert("INSERT INTO things (name) VALUES", 1, args)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkJobs32 has 32 callers give one small job at a time.
func BenchmarkJobs32(b *testing.B) {
	db := open(b)
	left := make(chan struct{}, b.N)
	for range b.N {
		left <- struct{}{}
	}
	close(left)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range left {
				err := db.Update(b.Context(), func(_ context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec("INSERT INTO things (name) VALUES (?)", "a name of thirty-two bytes here.")
					return err
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/float64(db.Stats().Commits), "jobs/commit")
}
