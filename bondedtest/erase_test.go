//go:build unix

package bondedtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// TestE2EEraseAndRetention erases with an undo window, takes one erasure
// back, and lets retention erase.
func TestE2EEraseAndRetention(t *testing.T) {
	schema := bytes.Replace(deploy.DefaultSchema(), []byte("  users:\n"), []byte("  users:\n    retention: P1D\n"), 1)
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.UndoWindow(3*time.Second), bondedtest.Schema(schema))
	app, desk := d.Client(bondedtest.App, "eu", "service"), d.Client(bondedtest.Privacy, "eu", "subject_request")
	anna, berta := create(t, app, "anna", "Anna"), create(t, app, "berta", "Berta")
	gone := func(p *client.PutResult) {
		t.Helper()
		poll(t, "an erasure", func() error {
			_, _, err := nameOf(t.Context(), app, p)
			switch bonded.CodeOf(err) {
			case bonded.CodeErased, bonded.CodeWithheld:
				return nil
			case "":
				return errors.New("it is read")
			default:
				return err
			}
		})
	}

	t.Run("undo", func(t *testing.T) {
		e, err := desk.Erase(t.Context(), subject(anna))
		if err != nil || e.State != "scheduled" || e.Due == nil {
			t.Fatalf("erase: %+v, %v", e, err)
		}
		wantNothing(t, app, anna, bonded.CodeErasing)
		wantNothing(t, d.Bearer(bondedtest.App, "eu", "service"), anna, bonded.CodeErasing)
		_, err = desk.Export(t.Context(), subject(anna))
		wantCode(t, err, bonded.CodeErasing)
		q := person("anna", "Anna again")
		q.Subject, q.Record, q.Facts = &anna.Subject, &anna.Record, nil
		_, err = app.Put(t.Context(), q)
		wantCode(t, err, bonded.CodeErasing)
		_, err = desk.Erase(t.Context(), subject(anna))
		wantCode(t, err, bonded.CodeErasing)
		u, err := desk.EraseUndo(t.Context(), subject(anna))
		if err != nil || u.State != "active" {
			t.Fatalf("undo: %+v, %v", u, err)
		}
		wantName(t, app, anna, "Anna")
		_, err = desk.EraseUndo(t.Context(), subject(anna))
		wantCode(t, err, bonded.CodeConflict)
	})
	t.Run("after the window", func(t *testing.T) {
		e, err := desk.Erase(t.Context(), subject(anna))
		must(t, err)
		// Killed inside the window, both parties still know what they owe.
		kill(t, d, "eu/vault", "eu/keyholder")
		restart(t, d, "eu/keyholder", "eu/vault")
		ready(t, d)
		if time.Now().Before(*e.Due) {
			_, _, err = nameOf(t.Context(), app, anna)
			if err == nil {
				t.Error("it is read inside the window")
			}
		}
		gone(anna)
		if now := time.Now(); now.Before(*e.Due) {
			t.Errorf("it was erased %s before its time", e.Due.Sub(now))
		}
		_, err = desk.EraseUndo(t.Context(), subject(anna))
		wantCode(t, err, bonded.CodeConflict, bonded.CodeErased, bonded.CodeWithheld)
		f, err := app.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"person_id": "anna"}})
		if err != nil || len(f.Records) != 0 {
			t.Errorf("an erased person is found: %+v, %v", f, err)
		}
		wantName(t, app, berta, "Berta")
	})
	t.Run("retention", func(t *testing.T) {
		carla := create(t, app, "carla", "Carla")
		// A day cannot pass here: the record is made a day older.
		stop(t, d, "eu/vault")
		db := database(t, filepath.Join(d.Layout.Vault("eu"), "vault.db"))
		var due int64
		must(t, db.QueryRowContext(t.Context(), `SELECT due FROM record WHERE id = ?`, carla.Record.ID[:]).Scan(&due))
		if in := time.Until(time.Unix(due, 0)); in < 22*time.Hour || in > 26*time.Hour {
			t.Errorf("it is due in %s, want a day", in)
		}
		exec1(t, db, `UPDATE record SET created = created - 86399, due = due - 86399 WHERE id = ?`, carla.Record.ID[:])
		must(t, db.Close())
		restart(t, d, "eu/vault")
		ready(t, d)
		gone(carla)
		wantName(t, app, berta, "Berta")
		poll(t, "the entry of the retention", func() error {
			for _, r := range journal(t, d) {
				if r.Operation == verify.OpRetention && len(r.Items) == 1 && r.Items[0].Subject == carla.Subject.ID {
					return nil
				}
			}
			return fmt.Errorf("no row says so")
		})
	})
	t.Run("the keys are gone", func(t *testing.T) {
		poll(t, "the end of two keys", func() error {
			s, err := app.Status(t.Context())
			if err == nil && s.Keyholder.Subjects != 1 {
				err = fmt.Errorf("the keyholder has %d keys", s.Keyholder.Subjects)
			}
			return err
		})
		// Nobody asked for a destruction before its time.
		j, b := exportBooks(t, d)
		if code, out := reconcile(t, d, j, b); code != 0 || !strings.Contains(out, "destroyed: 2 ") {
			t.Errorf("reconcile ended with %d:\n%s", code, out)
		}
		if n := refusedDestructions(t, b); n != 0 {
			t.Errorf("the keyholder refused %d destructions", n)
		}
	})
}

func refusedDestructions(t *testing.T, book string) (n int) {
	t.Helper()
	f, err := os.Open(book)
	must(t, err)
	defer f.Close() //nolint:errcheck // read only
	r, err := verify.NewBookReader(f)
	must(t, err)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		must(t, err)
		row, err := verify.DecodeBookRow(b)
		must(t, err)
		if row.Kind == verify.BookDestroy && row.Outcome == verify.OutcomeRefused {
			n++
		}
	}
}
