//go:build unix

package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/sqldb"
	"bonded/internal/wire"
	"bonded/verify"
)

// tamper changes the database under the vault's feet.
func (c *cell) tamper(query string, args ...any) {
	c.t.Helper()
	must(c.t, c.db.Update(c.t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			err = errors.New("nothing changed")
		}
		return err
	}))
}

func TestAlteredAndSwappedRowsDoNotOpen(t *testing.T) {
	for name, change := range map[string]func(c *cell, a, b *apitype.PutResult){
		"one bit of the ciphertext": func(c *cell, a, _ *apitype.PutResult) {
			var b []byte
			must(c.t, c.db.Read().QueryRowContext(c.t.Context(), `SELECT fields FROM record WHERE id = ?`, a.Record.ID[:]).Scan(&b))
			b[len(b)-1] ^= 1
			c.tamper(`UPDATE record SET fields = ? WHERE id = ?`, b, a.Record.ID[:])
		},
		"truncated": func(c *cell, a, _ *apitype.PutResult) {
			c.tamper(`UPDATE record SET fields = substr(fields, 1, length(fields) - 1) WHERE id = ?`, a.Record.ID[:])
		},
		"fields of another person": func(c *cell, a, b *apitype.PutResult) {
			c.tamper(`UPDATE record SET fields = (SELECT fields FROM record WHERE id = ?) WHERE id = ?`, b.Record.ID[:], a.Record.ID[:])
		},
		"record of another person": func(c *cell, a, b *apitype.PutResult) {
			c.tamper(`DELETE FROM record WHERE id = ?`, a.Record.ID[:])
			c.tamper(`UPDATE record SET subject = ?, id = ? WHERE id = ?`, a.Subject.ID[:], a.Record.ID[:], b.Record.ID[:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCell(t)
			a, b := c.create(values("name", `"Anna"`)), c.create(values("name", `"Berta"`))
			change(c, a, b)
			r, err := c.get(a, "name")
			wantCode(t, err, bonded.CodeAltered)
			if r != nil {
				t.Error("something opened")
			}
			rows := c.rows()
			last := rows[len(rows)-1].Row
			if last.Outcome != verify.OutcomeRefused || last.Code != bonded.CodeAltered {
				t.Errorf("not entered: %+v", last)
			}
		})
	}
}

func TestLostAnswerBecomesAnEntryBeforeAnythingOpens(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	c.line.lose.Store(true)
	_, err := c.get(p, "name")
	wantCode(t, err, bonded.CodeKeyholder)
	c.await("recovery", func() error { _, err := c.get(p, "name"); return err })
	rows := c.rows()
	var unanswered bool
	for i := range rows {
		unanswered = unanswered || rows[i].Row.Outcome == verify.OutcomeUnanswered
	}
	if !unanswered {
		t.Error("the read without an answer has no second row")
	}
	c.reconcile()
}

func TestReleaseWhoseRowIsLostBecomesAnOrphan(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	row := c.lastRow(verify.OpCreate)
	// A release for a row that this vault never commits, as after a crash
	// between the two books.
	lost := wire.Entry{
		Seq: row.Seq + 1000, Leaf: [32]byte{1, 2, 3}, Operation: verify.OpRead, Collection: "users", Purpose: "support",
		Auth:  wire.Auth{Principal: "app", Assurance: verify.AssuranceVault},
		Items: []wire.Item{{Subject: p.Subject.ID, Record: p.Record.ID, Fields: []wire.FieldVersion{{Name: "name", Version: bonded.NewID()}}}},
	}
	u := &wire.Unlock{Node: 1, Incarnation: c.journal.Incarnation(), Entries: []wire.Entry{lost}}
	res, err := c.kh.Unlock(u)()
	must(t, err)
	if res.Entries[0].Code != "" {
		t.Fatalf("%+v", res.Entries[0])
	}
	c.stop()
	c.start()
	var found bool
	for _, r := range c.rows() {
		found = found || r.Row.Outcome == verify.OutcomeOrphan && r.Row.Refers.Seq == lost.Seq
	}
	if !found {
		t.Fatal("no orphan")
	}
	_, err = c.get(p, "name")
	must(t, err)
	c.reconcile()
}

// reconcile joins both books as an auditor does.
func (c *cell) reconcile() *verify.ReconcileReport {
	c.t.Helper()
	ctx := c.t.Context()
	// 1. The book.
	var book, log bytes.Buffer
	st, err := c.kh.Status(ctx)()
	must(c.t, err)
	bw, err := verify.NewBookWriter(&book, "eu")
	must(c.t, err)
	for after := uint64(0); after < st.Head.Seq; {
		page, err := c.kh.Book(ctx, after, int(min(1000, st.Head.Seq-after)))
		must(c.t, err)
		for _, b := range page {
			must(c.t, bw.WriteRow(b))
			after++
		}
	}
	must(c.t, bw.Close(&st.Head))

	// 2. The journal after it.
	jw, err := verify.NewJournalWriter(&log, "eu", 1)
	must(c.t, err)
	for _, r := range c.rows() {
		must(c.t, jw.WriteRow(verify.JournalRow{Position: r.Position, Row: r.Bytes, Salt: r.Salt}))
	}
	must(c.t, jw.Close())

	// 3. Both.
	jr, err := verify.NewJournalReader(&log)
	must(c.t, err)
	br, err := verify.NewBookReader(&book)
	must(c.t, err)
	rep, err := verify.Reconcile(jr, br, &c.cells.Cells[0], verify.ReconcileOptions{})
	if err != nil || rep.ReleasedWithoutEntry != 0 {
		c.t.Errorf("reconcile: %v, %d released without an entry", err, rep.ReleasedWithoutEntry)
	}
	return rep
}

func TestNothingOpensWhileTheKeyholderIsAwayAndAllIsEntered(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	c.line.down.Store(true)
	c.v.Reconnected()
	_, err := c.get(p, "name")
	wantCode(t, err, bonded.CodeKeyholder)
	if row := c.lastRow(verify.OpRead); row.Outcome != verify.OutcomeRefused || row.Code != bonded.CodeKeyholder {
		t.Errorf("row: %+v", row)
	}
	if err := c.v.Ready(t.Context()); err == nil {
		t.Error("ready without a keyholder")
	}
	c.line.down.Store(false)
	c.await("the keyholder", func() error { _, err := c.get(p, "name"); return err })
}

func TestNothingOpensWithoutAFreshCheckpoint(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	c.skew.Store(int64(16 * time.Minute))
	_, err := c.get(p, "name")
	wantCode(t, err, bonded.CodeStale)
	if row := c.lastRow(verify.OpRead); row.Outcome != verify.OutcomeRefused || row.Code != bonded.CodeStale {
		t.Errorf("row: %+v", row)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		_ = os.Remove(to + suffix)
		b, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(to+suffix, b, 0o600))
	}
	_ = os.Remove(to + "-shm")
}

func TestRestoredVaultDoesNotBringAnErasedPersonBack(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	live, old := filepath.Join(c.dir, "vault.db"), filepath.Join(c.dir, "old.db")
	c.stop()
	copyFile(t, live, old)
	c.start()
	r, err := c.v.Erase(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if r.State != "erased" {
		t.Fatalf("%+v", r)
	}
	c.stop()
	copyFile(t, old, live)
	c.open()
	c.await("the vault to see that it is old", func() error {
		if err := c.v.Recover(t.Context()); bonded.CodeOf(err) != bonded.CodeRestored {
			return errors.Join(errors.New("recovered"), err)
		}
		return nil
	})
	_, err = c.get(p, "name")
	wantCode(t, err, bonded.CodeRestored)
}

func TestRestoredKeyholderIsRefused(t *testing.T) {
	c := newCell(t)
	live, old := filepath.Join(c.dir, "keyholder.db"), filepath.Join(c.dir, "oldkh.db")
	p := c.create(values("name", `"Anna"`))
	c.stop()
	c.kh.Close()
	must(t, c.khdb.Close())
	copyFile(t, live, old)
	c.startKeyholder()
	c.start()
	_, err := c.get(p, "name")
	must(t, err)
	c.stop()
	c.kh.Close()
	must(t, c.khdb.Close())
	copyFile(t, old, live)
	c.startKeyholder()
	c.open()
	c.await("the vault to see that the keyholder is old", func() error {
		if err := c.v.Recover(t.Context()); bonded.CodeOf(err) != bonded.CodeRestored {
			return errors.Join(errors.New("recovered"), err)
		}
		return nil
	})
	_, err = c.get(p, "name")
	wantCode(t, err, bonded.CodeRestored)
}

func TestThirtyTwoWritersHaveNoFailuresAndARowEach(t *testing.T) {
	c := newCell(t)
	before := len(c.rows())
	const writers, each = 32, 25
	var wg sync.WaitGroup
	errs := make(chan error, writers*each*2)
	for range writers {
		wg.Go(func() {
			for range each {
				p, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna"`, "phone", `"+49 30 1234567"`), Facts: germany}})
				if err != nil {
					errs <- err
					continue
				}
				if _, err := c.get(p, "name"); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	replies := 0
	for _, r := range c.rows()[before:] {
		if op := r.Row.Operation; (op == verify.OpCreate || op == verify.OpRead) && r.Row.Outcome == verify.OutcomeAllowed {
			replies++
		}
	}
	if replies != writers*each*2 {
		t.Errorf("%d rows, %d replies", replies, writers*each*2)
	}
	c.reconcile()
}

// pragma runs a PRAGMA on the writer's connection.
func (c *cell) pragma(text string) {
	c.t.Helper()
	must(c.t, c.db.Update(c.t.Context(), func(_ context.Context, tx *sqldb.Tx) error { return tx.Script(text) }))
}

func TestFullDatabaseOpensNothingAndRecovers(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	var pages int
	must(t, c.db.Read().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	c.pragma(fmt.Sprintf("PRAGMA max_page_count = %d", pages+4))
	var failed error
	for range 2000 {
		r, err := c.get(p, "name")
		if err != nil {
			if r != nil {
				t.Error("something opened")
			}
			failed = err
			break
		}
	}
	wantCode(t, failed, bonded.CodeNotWritable)
	if err := c.v.Ready(t.Context()); bonded.CodeOf(err) != bonded.CodeNotWritable {
		t.Errorf("ready: %v", err)
	}
	c.pragma("PRAGMA max_page_count = 1000000")
	c.await("room", func() error { _, err := c.get(p, "name"); return err })
	var orphan bool
	for _, r := range c.rows() {
		orphan = orphan || r.Row.Outcome == verify.OutcomeOrphan
	}
	if !orphan {
		t.Error("the release whose row was lost has no orphan")
	}
	c.reconcile()
}

func TestKeyholderThatComesBackIsComparedFirst(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	c.line.down.Store(true)
	c.kh.Close()
	must(t, c.khdb.Close())
	c.startKeyholder()
	c.line.down.Store(false)
	c.v.Reconnected()
	c.await("the keyholder", func() error { _, err := c.get(p, "name"); return err })
	c.reconcile()
}

func TestConcurrentWritersOfOneRecordLeaveOneWinnerAVersion(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	var wg sync.WaitGroup
	var won, lost atomic.Int64
	for range 16 {
		wg.Go(func() {
			one := uint64(1)
			_, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{
				Subject: &p.Subject, Record: &p.Record, Values: values("age", "1"), Partial: true, IfVersion: &one,
			}})
			switch bonded.CodeOf(err) {
			case "":
				won.Add(1)
			case bonded.CodeConflict:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	got, err := c.get(p, "name", "age")
	must(t, err)
	if got.Version != 2 {
		t.Errorf("version %d", got.Version)
	}
	c.reconcile()
}

func TestSameIdempotencyKeyAtTheSameTimeWritesOnce(t *testing.T) {
	c := newCell(t)
	q := &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna"`), Facts: germany}}
	var wg sync.WaitGroup
	answers := make(chan bonded.SubjectID, 16)
	for range 16 {
		wg.Go(func() {
			for {
				call := c.call("app")
				call.Idempotency, call.BodyHash = "once", [32]byte{1}
				r, err := c.v.Put(t.Context(), call, q)
				if bonded.CodeOf(err) == bonded.CodeBusy {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				answers <- r.Subject
				return
			}
		})
	}
	wg.Wait()
	close(answers)
	first := <-answers
	for s := range answers {
		if s != first {
			t.Error("two answers to one request")
		}
	}
	if n, _ := c.store.Count(0); n != 1 {
		t.Errorf("%d subjects", n)
	}
	c.reconcile()
}
