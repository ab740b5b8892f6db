//go:build unix

package bondedtest_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to alter databases behind the back of the programs

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/verify"
)

// patience is how long a process may take to come to what a test waits for.
const patience = 45 * time.Second

// poll asks until ok returns nil, or fails the test with its last error.
func poll(t testing.TB, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, codes ...bonded.Code) {
	t.Helper()
	if !slices.Contains(codes, bonded.CodeOf(err)) || err == nil {
		t.Errorf("got %v, want %v", err, codes)
	}
}

// person is the request that creates somebody in Germany.
func person(id, name string) client.PutRequest {
	return client.PutRequest{Collection: "users", PutItem: client.PutItem{
		Values: client.Values{"person_id": client.Text(id), "name": client.Text(name)},
		Facts:  &client.Facts{Residence: []bonded.Jurisdiction{"DE"}, Citizenship: []bonded.Jurisdiction{"DE"}, Collected: []bonded.Jurisdiction{"DE"}},
	}}
}

func create(t testing.TB, c *client.Client, id, name string) *client.PutResult {
	t.Helper()
	r, err := c.Put(t.Context(), person(id, name))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return r
}

// nameOf opens the name of a record.
func nameOf(ctx context.Context, c *client.Client, p *client.PutResult) (name, entry string, err error) {
	r, err := c.Get(ctx, read(p))
	if err != nil {
		return "", "", err
	}
	return text(r.Values["name"]), r.Entry, nil
}

func read(p *client.PutResult) client.GetRequest {
	return client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name"}}}
}

func wantName(t testing.TB, c *client.Client, p *client.PutResult, want string) {
	t.Helper()
	got, _, err := nameOf(t.Context(), c, p)
	if err != nil || got != want {
		t.Errorf("read %q, %v, want %q", got, err, want)
	}
}

func text(raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "not text"
	}
	return s
}

// wantNothing checks that nothing of the record opens.
func wantNothing(t testing.TB, c *client.Client, p *client.PutResult, codes ...bonded.Code) {
	t.Helper()
	_, _, err := nameOf(t.Context(), c, p)
	wantCode(t, err, codes...)
}

// ready waits until cell eu would open.
func ready(t testing.TB, d *bondedtest.Deployment) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Ready(ctx, "eu"); err != nil {
		t.Fatal(err)
	}
}

// readiness returns what the cell says when asked whether it would open.
func readiness(t testing.TB, d *bondedtest.Deployment) (status int, body string) {
	t.Helper()
	c, _ := d.Directory.Cell("eu")
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.API+"/readyz", nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

// waitNotReady waits until the cell says why it opens nothing, in these words.
func waitNotReady(t testing.TB, d *bondedtest.Deployment, words ...string) {
	t.Helper()
	poll(t, "a refusal with "+strings.Join(words, ", "), func() error {
		status, body := readiness(t, d)
		if status == http.StatusOK || status == 0 {
			return fmt.Errorf("status %d: %s", status, body)
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				return fmt.Errorf("status %d: %s", status, body)
			}
		}
		return nil
	})
}

func stop(t testing.TB, d *bondedtest.Deployment, names ...string) {
	t.Helper()
	for _, n := range names {
		must(t, d.Process(n).Stop())
	}
}

func kill(t testing.TB, d *bondedtest.Deployment, names ...string) {
	t.Helper()
	for _, n := range names {
		must(t, d.Process(n).Kill())
	}
}

func restart(t testing.TB, d *bondedtest.Deployment, names ...string) {
	t.Helper()
	for _, n := range names {
		must(t, d.Process(n).Restart())
	}
}

// journal reads the whole journal of cell eu through the API.
func journal(t testing.TB, d *bondedtest.Deployment) []*verify.Row {
	t.Helper()
	c := d.Client(bondedtest.Auditor, "eu", "audit")
	var rows []*verify.Row
	for after := uint64(0); ; {
		page, err := c.Journal(t.Context(), client.JournalRequest{After: after, Limit: 1000})
		must(t, err)
		for i := range page.Rows {
			row, err := verify.DecodeRow(page.Rows[i].Row)
			must(t, err)
			rows = append(rows, row)
		}
		if after = page.Next; after == 0 {
			return rows
		}
	}
}

// program runs one of the built programs and returns its exit code and what
// it said.
func program(t testing.TB, name string, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bondedtest.Binaries(t), name), args...)
	b, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// exportBooks writes both parties' books of cell eu, the keyholder's first.
func exportBooks(t testing.TB, d *bondedtest.Deployment) (journal, book string) {
	t.Helper()
	dir := t.TempDir()
	journal, book = filepath.Join(dir, "journal.jsonl"), filepath.Join(dir, "book.jsonl")
	if code, out := program(t, "bonded-keyholder", "log", d.Layout.Keyholder("eu"), "export", book); code != 0 {
		t.Fatalf("export the keyholder's book: %s", out)
	}
	var buf bytes.Buffer
	if _, err := d.Client(bondedtest.Auditor, "eu", "audit").ExportJournal(t.Context(), client.Why{}, &buf); err != nil {
		t.Fatal(err)
	}
	must(t, os.WriteFile(journal, buf.Bytes(), 0o600))
	return journal, book
}

// reconcile holds both books of cell eu against each other.
func reconcile(t testing.TB, d *bondedtest.Deployment, journal, book string) (code int, out string) {
	t.Helper()
	c, _ := d.Directory.Cell("eu")
	return program(t, "bonded-verify", "reconcile", "--journal", journal, "--book", book,
		"--directory", d.Layout.Directory(), "--cell", "eu", "--ledger", c.Ledger)
}

// wantBooksHold checks the ledger, also against a checkpoint seen earlier if
// one is named, and that no key was released without an entry.
func wantBooksHold(t testing.TB, d *bondedtest.Deployment, previous string) {
	t.Helper()
	wantLedgerHolds(t, d, previous)
	j, b := exportBooks(t, d)
	code, out := reconcile(t, d, j, b)
	if code != 0 || !strings.Contains(out, "0 key releases without an entry") {
		t.Errorf("reconcile ended with %d:\n%s", code, out)
	}
}

func wantLedgerHolds(t testing.TB, d *bondedtest.Deployment, previous string) {
	t.Helper()
	c, _ := d.Directory.Cell("eu")
	args := []string{"ledger", c.Ledger, "--directory", d.Layout.Directory(), "--cell", "eu"}
	if previous != "" {
		args = append(args, "--previous", previous)
	}
	if code, out := program(t, "bonded-verify", args...); code != 0 {
		t.Errorf("the ledger does not hold (%d):\n%s", code, out)
	}
}

// checkpoint saves the newest checkpoint of cell eu to a file.
func checkpoint(t testing.TB, d *bondedtest.Deployment) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "ledger", "checkpoint"))
	must(t, err)
	path := filepath.Join(t.TempDir(), "checkpoint")
	must(t, os.WriteFile(path, b, 0o600))
	return path
}

// anchored waits until the entry is under a cosigned checkpoint.
func anchored(t testing.TB, c *client.Client, entry string) *client.Receipt {
	t.Helper()
	var r *client.Receipt
	poll(t, "a receipt", func() (err error) {
		r, err = c.Receipt(t.Context(), client.ReceiptRequest{Entry: entry})
		return err
	})
	return r
}

// database opens the database of a party whose process is stopped. Close it
// before the process starts again.
func database(t testing.TB, path string) *sql.DB {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	return db
}

func exec1(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	res, err := db.ExecContext(t.Context(), query, args...)
	if err == nil {
		var n int64
		if n, err = res.RowsAffected(); err == nil && n != 1 {
			err = fmt.Errorf("%d rows", n)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// copyTree copies the files of a folder for their owner alone; sockets are
// left out.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	}))
}

// copyDatabase copies a database with its write-ahead log, replacing what was
// there.
func copyDatabase(t testing.TB, from, to, name string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o700))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(to, name+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(from, name+suffix))
		if os.IsNotExist(err) || suffix == "-shm" {
			continue // the last is made anew from the others
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name+suffix), b, 0o600))
	}
}

func subject(p *client.PutResult) client.SubjectRequest {
	return client.SubjectRequest{Subject: p.Subject}
}
