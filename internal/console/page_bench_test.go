//go:build unix

package console_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// Sizes of the cell that pages are measured in.
const (
	benchRows  = 100_000 // of the journal
	benchCases = 100_000
)

// fill makes rows of the journal and cases as they stand at rest. Nobody can
// open those cases: what is measured reads how they stand.
func (w *pageWorld) fill(b *testing.B) bonded.SubjectID {
	w.filed = w.file()
	who := bonded.NewID()
	for i := 0; i < benchRows; i += 1000 {
		rows := make([]journal.Prepared, 1000)
		for k := range rows {
			subject := bonded.NewID()
			if k == 0 {
				subject = who
			}
			op := []verify.Operation{verify.OpRead, verify.OpMask, verify.OpFind}[k%3]
			rows[k] = w.journal.Prepare(&verify.Row{
				Operation: op, Outcome: verify.OutcomeAllowed, Principal: fmt.Sprintf("svc-%d", k%7), Assurance: verify.AssuranceVault, Collection: "users",
				Purpose: bonded.Purpose([]string{"support", "service", "fraud_check", "subject_request", "audit", "billing", "mail"}[k%7]), RequestID: bonded.NewID(),
				Items: []verify.RowItem{{Subject: subject, Record: bonded.NewID(), Fields: []string{"email", "name"}}},
			})
		}
		_, err := w.journal.Commit(b.Context(), rows, nil)
		w.must(err)
	}
	states := []string{"submitted", "verifying", "under_review", "awaiting_quorum", "delivered", "closed", "rejected"}
	body := make([]byte, 600)
	for i := 0; i < benchCases; i += 1000 {
		w.must(w.casesDB.Update(b.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			for k := range 1000 {
				id, n := bonded.NewID(), 1000+i+k
				var digest, same [32]byte
				_, _ = rand.Read(digest[:])
				_, _ = rand.Read(same[:])
				_, err := tx.Exec("INSERT INTO front_case (id, n, version, state, number, live, agency, officer, process, priority, filed, request, nonce, same, body) "+
					"VALUES (?, ?, 1, ?, 3, 0, 'bka', 'officer-7', 'eu_epoc', 'routine', ?, ?, ?, ?, ?)", id[:], n, states[k%7], time.Now().Unix(), digest[:], id.Hex(), same[:], body)
				if err != nil {
					return err
				}
				if k%7 < 4 {
					if _, err := tx.Exec("INSERT INTO front_deadline (case_id, deadline) VALUES (?, ?)", id[:], time.Now().Unix()+int64(k-500)*3600); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	return bonded.SubjectID{Cell: "eu", ID: who}
}

// BenchmarkPages is the server's time for each page of a large cell.
func BenchmarkPages(b *testing.B) {
	w := newPageWorld(b)
	subject := w.fill(b)
	person := w.put("name", "Ada Lovelace", "email", "ada@example.org")
	desk, auditor := w.as("guardian-1", "guardian"), w.as("auditor-1", "auditor")
	for _, p := range []struct {
		name string
		do   func() (*http.Response, string)
	}{
		{"overview", func() (*http.Response, string) { return desk.get("/console/") }},
		{"overview-month", func() (*http.Response, string) { return desk.get("/console/?period=month") }},
		{"people-find", func() (*http.Response, string) {
			return desk.post("/console/people", "field", "users.email", "value", "ada@example.org", "purpose", "support")
		}},
		{"person", func() (*http.Response, string) {
			return desk.post("/console/people/"+person.Subject.String(), "purpose", "support")
		}},
		{"person-openings", func() (*http.Response, string) {
			return desk.post("/console/people/"+person.Subject.String(), "purpose", "support", "view", "openings")
		}},
		{"journal", func() (*http.Response, string) { return auditor.get("/console/journal") }},
		{"journal-rare", func() (*http.Response, string) { return auditor.get("/console/journal?outcome=orphan") }},
		{"journal-subject", func() (*http.Response, string) { return auditor.get("/console/journal?subject=" + subject.String()) }},
		{"journal-time", func() (*http.Response, string) {
			return auditor.get("/console/journal?operation=read&to=" + time.Now().UTC().Format("2006-01-02T15:04"))
		}},
		{"register", func() (*http.Response, string) { return desk.get("/console/register") }},
		{"custody", func() (*http.Response, string) { return desk.get("/console/custody") }},
		{"ledger", func() (*http.Response, string) { return desk.get("/console/ledger") }},
		{"ledger-entry", func() (*http.Response, string) { return desk.get("/console/ledger/entry/40") }},
	} {
		b.Run(p.name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				res, body := p.do() //nolint:bodyclose // read and closed by do
				if res.StatusCode != http.StatusOK {
					b.Fatalf("%d: %s", res.StatusCode, body)
				}
				size = len(body)
			}
			b.ReportMetric(float64(size)/1024, "KiB/page")
		})
	}
}
