//go:build unix

//nolint:bodyclose // answers of a recorder
package console_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/frontdoor"
	"bonded/internal/journal"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
	"bonded/verify"
	"bonded/web"
)

// A crowd is how much a large cell holds.
type crowd struct {
	people   int
	rows     int // of the journal
	cases    int
	agencies int
	officers int
}

// What a page may cost on its way, with the style sheet and the scripts that it
// loads: 150 KB.
const maxPage = 150_000

// manyStates is a mixture of states as a front door has it after years: most
// cases have ended. The numbers are shares of 100.
var manyStates = []struct {
	state string
	share int
}{
	{"closed", 46},
	{"delivered", 20},
	{"rejected", 10},
	{"withdrawn", 3},
	{"lapsed", 3},
	{"ratified", 1},
	{"submitted", 3},
	{"verifying", 3},
	{"preserved", 2},
	{"under_review", 4},
	{"clarification", 1},
	{"narrowed", 1},
	{"notice_pending", 1},
	{"awaiting_quorum", 1},
	{"opening", 1},
}

func stateOf(n int) string {
	at := n * 37 % 100 // spread over the order of filing
	for _, s := range manyStates {
		if at -= s.share; at < 0 {
			return s.state
		}
	}
	return "closed"
}

// crowdOf fills a cell: people, the journal, the register, and cases with their
// statements, entries, documents and deadlines. It returns somebody whom much
// of the journal is about. The people whom pages open are real ones; the others
// have records of the same shape that nobody can open, since their keys were
// never made.
func (w *pageWorld) crowdOf(c crowd) bonded.SubjectID {
	w.filed = w.file()
	for range 25 { // who have a name in common
		w.person = *w.put("name", "Ada Lovelace", "email", "ada@example.org", "phone", "+4961155012", "born", "1990-12-10")
	}
	w.manyPeople(c.people)
	who := w.manyRows(c.rows)
	w.manyEntries(c)
	w.manyCases(c)

	// What the front door derives from its tables it derives at its start.
	w.must(w.casesDB.Update(w.t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM front_value WHERE name = 'lists'")
		return err
	}))
	var err error
	w.door, err = frontdoor.New(w.t.Context(), w.doorWith)
	w.must(err)
	w.openConsole(w.t.Context())
	return who
}

// inPieces calls do for the numbers below n, a thousand in one commit.
func (w *pageWorld) inPieces(db *sqldb.DB, n int, do func(tx *sqldb.Tx, i int) error) {
	for from := 0; from < n; from += 1000 {
		w.must(db.Update(w.t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			for i := from; i < min(from+1000, n); i++ {
				if err := do(tx, i); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// manyPeople makes people as SQLite makes them fastest, in the vault's tables.
// No call may put a record after it: the store has not seen these.
func (w *pageWorld) manyPeople(n int) {
	like, err := w.store.Records(w.t.Context(), w.person.Subject.ID)
	w.must(err)
	r := like[0]
	w.must(w.vaultDB.Update(w.t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		for _, step := range []struct {
			text string
			args []any
		}{
			{"CREATE TEMP TABLE crowd (i INTEGER PRIMARY KEY, id BLOB)", nil},
			{
				"INSERT INTO crowd SELECT i, randomblob(16) FROM (WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) SELECT i FROM c) ORDER BY 2",
				[]any{n},
			},
			{"INSERT INTO subject (id, state, created, rule) SELECT id, 'active', ?, 'residence' FROM crowd ORDER BY id", []any{r.Created}},
			{
				"INSERT INTO record (n, id, subject, version, created, due, fields) SELECT ? + i, randomblob(16), id, 1, ?, NULL, ? FROM crowd",
				[]any{r.N + 1000, r.Created, vault.EncodeFields(r.Fields)},
			},
		} {
			if _, err := tx.Exec(step.text, step.args...); err != nil {
				return err
			}
		}
		for i := range r.Fields {
			if r.Fields[i].Index == nil {
				continue
			}
			if _, err := tx.Exec("INSERT INTO field_index (field, value, n) SELECT ?, v, n FROM (SELECT randomblob(16) AS v, ? + i AS n FROM crowd) ORDER BY v", r.Fields[i].Field, r.N+1000); err != nil {
				return err
			}
		}
		_, err := tx.Exec("DROP TABLE crowd")
		return err
	}))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// manyRows makes rows of the journal. Every thousandth is about one person.
func (w *pageWorld) manyRows(n int) bonded.SubjectID {
	who := bonded.NewID()
	purposes := []bonded.Purpose{"support", "service", "fraud_check", "subject_request", "audit", "billing", "mail"}
	for from := 0; from < n; from += 1000 {
		rows := make([]journal.Prepared, min(1000, n-from))
		for k := range rows {
			subject := bonded.NewID()
			if k == 0 {
				subject = who
			}
			op := []verify.Operation{verify.OpRead, verify.OpMask, verify.OpFind}[k%3]
			rows[k] = w.journal.Prepare(&verify.Row{
				Operation: op, Outcome: verify.OutcomeAllowed, Principal: fmt.Sprintf("svc-%d", k%7), Assurance: verify.AssuranceVault, Collection: "users",
				Purpose: purposes[k%len(purposes)], RequestID: bonded.NewID(), Items: []verify.RowItem{{Subject: subject, Record: bonded.NewID(), Fields: []string{"email", "name"}}},
			})
		}
		_, err := w.journal.Commit(w.t.Context(), rows, nil)
		w.must(err)
	}
	return bonded.SubjectID{Cell: "eu", ID: who}
}

// manyEntries fills the register with agencies and their officers, all in force.
func (w *pageWorld) manyEntries(c crowd) {
	now := time.Now().UTC().Truncate(time.Second)
	var book int64
	w.must(w.casesDB.Read().QueryRowContext(w.t.Context(), "SELECT MAX(book) FROM front_register").Scan(&book))
	w.inPieces(w.casesDB, c.agencies+c.officers, func(tx *sqldb.Tx, i int) error {
		kind, label, id := verify.RegistryAgency, verify.LabelAgency, fmt.Sprintf("agency-%04d", i)
		a := *w.agency
		a.ID, a.Name = id, fmt.Sprintf("Landeskriminalamt %d", i)
		var body any = &a
		if i >= c.agencies {
			i -= c.agencies
			kind, label, id = verify.RegistryPerson, verify.LabelPerson, officerName(i)
			key := random(32)
			body = &verify.Person{
				Format: verify.LabelPerson, Cell: "eu", ID: id, Version: 1, Role: "requester", Agency: fmt.Sprintf("agency-%04d", i%c.agencies), Organisation: "Landeskriminalamt",
				Name: fmt.Sprintf("Officer Number %d", i), Key: verify.EncodePublicKey(key), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), Level: 3, Phone: "+49 611 5501",
			}
		}
		st, err := verify.NewStatement(body)
		if err != nil {
			return err
		}
		st.Sign(label, verify.SignerAdmin, pageKey("admin"))
		st.Sign(label, "custodian:independent-1", pageKey("independent-1"))
		digest := st.Digest(label)
		_, err = tx.Exec("INSERT INTO front_register (kind, id, version, state, digest, body, proposed, book, in_force) VALUES (?, ?, 1, 'confirmed', ?, ?, ?, ?, ?)",
			kind, id, digest[:], st.Encode(), now.Unix()-60, book, now.Unix()-30)
		return err
	})
}

func officerName(i int) string { return fmt.Sprintf("officer-n%05d", i) }

// manyCases copies the case that was filed, sealed for each id anew, as it
// would stand in each state.
func (w *pageWorld) manyCases(c crowd) {
	ctx, id := w.t.Context(), w.filed.ID
	one := func(query string, dest ...any) {
		w.must(w.casesDB.Read().QueryRowContext(ctx, query, id[:]).Scan(dest...))
	}
	var body, statement, document []byte
	var book, live int64
	one("SELECT body FROM front_case WHERE id = ?", &body)
	one("SELECT body FROM front_statement WHERE case_id = ? AND n = 1", &statement)
	one("SELECT body FROM front_document WHERE case_id = ?", &document)
	one("SELECT MAX(book) FROM front_entry WHERE case_id = ?", &book)
	body, statement = w.unsealed(id, "body", body), w.unsealed(id, "statement", statement)
	st, err := verify.ParseStatement(statement)
	w.must(err)
	digest := st.Digest(verify.LabelRequest)
	now := time.Now().Unix()
	w.inPieces(w.casesDB, c.cases, func(tx *sqldb.Tx, i int) error {
		id, state := bonded.NewID(), stateOf(i)
		priority := []string{"routine", "routine", "routine", "urgent", "routine", "routine", "routine", "emergency"}[i%8]
		live = 1
		switch state {
		case "closed", "rejected", "withdrawn", "lapsed":
			live = 0
		}
		m := map[string]any{}
		if err := json.Unmarshal(body, &m); err != nil {
			return err
		}
		deadline := now + int64(i*7919%1_000_000) - 100_000 // a tenth has passed
		m["deadline"] = time.Unix(deadline, 0).UTC()
		ended := live == 0 || state == "delivered" || state == "ratified"
		if state == "delivered" || state == "closed" || state == "ratified" {
			m["package"] = map[string]any{"sha256": hex.EncodeToString(random(32)), "size": 100_000, "expires": time.Unix(now+864000, 0).UTC()}
			m["round"], m["outcome"] = 1, "full"
		}
		if state == "rejected" {
			m["reject"] = "too_broad"
		}
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		request, same := random(32), random(32)
		filed := now - int64(c.cases-i)*60
		_, err = tx.Exec("INSERT INTO front_case (id, n, version, state, number, live, agency, officer, process, priority, filed, request, nonce, same, body) "+
			"VALUES (?, ?, 1, ?, 3, ?, ?, ?, 'eu_epoc', ?, ?, ?, ?, ?, ?)",
			id[:], 1000+i, state, live, fmt.Sprintf("agency-%04d", i%c.officers%c.agencies), officerName(i%c.officers), priority, filed, request, id.Hex(), same, w.sealed(id, "body", b))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO front_statement (case_id, n, label, digest, person, version, action, body) VALUES (?, 1, ?, ?, 'officer-7', 1, '', ?)",
			id[:], verify.LabelRequest, digest[:], w.sealed(id, "statement", statement)); err != nil {
			return err
		}
		for n, s := range []string{"submitted", "verifying", state} {
			if _, err := tx.Exec("INSERT INTO front_entry (case_id, number, book, time, event, from_, state, actor, detail, decision) VALUES (?, ?, ?, ?, 'transition', 'draft', ?, 'intake-1', '', '')",
				id[:], n+1, book, filed+int64(n)*60, s); err != nil {
				return err
			}
		}
		sum := sha256.Sum256(request)
		if _, err := tx.Exec("INSERT INTO front_document (case_id, sha256, body) VALUES (?, ?, ?)", id[:], sum[:], document); err != nil || ended {
			return err
		}
		_, err = tx.Exec("INSERT INTO front_deadline (case_id, deadline) VALUES (?, ?)", id[:], deadline)
		return err
	})
}

// sealed and unsealed are what the front door does with what it keeps of a
// case.
func (w *pageWorld) sealed(id bonded.ID, label string, b []byte) []byte {
	part, err := seal.SealSecret(w.doorWith.Key, "case/"+id.Hex()+"/"+label+"/0/1", b)
	w.must(err)
	var out canon.Writer
	out.Uint(1)
	out.Bytes(part)
	return out.B
}

func (w *pageWorld) unsealed(id bonded.ID, label string, sealed []byte) []byte {
	r := canon.NewReader(sealed)
	if r.Count(1) != 1 {
		w.t.Fatal("not in one piece")
	}
	b, err := seal.OpenSecret(w.doorWith.Key, "case/"+id.Hex()+"/"+label+"/0/1", r.Bytes(len(sealed)))
	w.must(err)
	return b
}

// A look is one page, or one list, as somebody asks for it.
type look struct {
	name string
	do   func() (status int, body string)
	want string // in the answer
}

// looks are every page of the console, and lists of cases as officers and
// custodians have them, in JSON.
func (w *pageWorld) looks(subject bonded.SubjectID) []look {
	guardian, legal, auditor := w.as("guardian-1", "guardian"), w.as("legal-1", "legal"), w.as("auditor-1", "auditor")
	page := func(res *http.Response, body string) (int, string) { return res.StatusCode, body }
	get := func(name string, b *pageBrowser, path, want string) look {
		return look{name, func() (int, string) { return page(b.get(path)) }, want}
	}
	post := func(name, path, want string, pairs ...string) look {
		return look{name, func() (int, string) { return page(guardian.post(path, pairs...)) }, want}
	}
	list := func(name, who, state string) look {
		return look{name, func() (int, string) {
			l, err := w.door.ListCases(w.t.Context(), pageCall(who), state, "")
			if err != nil {
				return http.StatusInternalServerError, err.Error()
			}
			b, err := json.Marshal(l)
			w.must(err)
			return http.StatusOK, string(b)
		}, `"cases":`}
	}
	// The second pages are where the first ones lead.
	next := func(b *pageBrowser, path string) string {
		_, body := page(b.get(path))
		links := regexp.MustCompile(`href="(/console/[a-z]+\?[^"]*(?:after|from|before)=[^"]*)"`).FindAllStringSubmatch(body, -1)
		if len(links) == 0 {
			return path
		}
		return strings.ReplaceAll(links[len(links)-1][1], "&amp;", "&")
	}
	person := "/console/people/" + w.person.Subject.String()
	return []look{
		get("overview", guardian, "/console/", `class="chart"`),
		get("overview, a month", guardian, "/console/?period=month", `class="chart"`),
		get("cases: open", legal, "/console/cases", "id=\"cases\""),
		get("cases: open, page 2", legal, next(legal, "/console/cases"), "id=\"cases\""),
		get("cases: mine", legal, "/console/cases?state=mine", "id=\"cases\""),
		get("cases: late", legal, "/console/cases?state=late", "id=\"cases\""),
		get("cases: delivered", legal, "/console/cases?state=delivered", "id=\"cases\""),
		get("cases: delivered, page 2", legal, next(legal, "/console/cases?state=delivered"), "id=\"cases\""),
		get("cases: narrowed", legal, "/console/cases?state=narrowed", "id=\"cases\""),
		get("case", legal, "/console/cases/"+w.filed.String(), w.filed.String()),
		get("people", guardian, "/console/people", "users.email"),
		post("people: found", "/console/people", "A", "field", "users.email", "value", "ada@example.org", "purpose", "support"),
		post("person", person, w.person.Subject.String(), "purpose", "support"),
		post("person: openings", person, w.person.Subject.String(), "purpose", "support", "view", "openings"),
		get("register", guardian, "/console/register", "Landeskriminalamt"),
		get("register: officers, page 2", guardian, next(guardian, "/console/register?show=officers"), "Officer Number"),
		get("register: found", guardian, "/console/register?show=officers&q=number+7", "Officer Number 7"),
		get("register: one", guardian, "/console/register/person/"+officerName(3), "Officer Number 3"),
		get("custody", guardian, "/console/custody", "firm-1"),
		get("journal", auditor, "/console/journal", "svc-"),
		get("journal: rare", auditor, "/console/journal?outcome=orphan", "journal"),
		get("journal: subject", auditor, "/console/journal?subject="+subject.String(), "svc-"),
		get("journal: time", auditor, "/console/journal?operation=read&to="+time.Now().UTC().Format("2006-01-02T15:04"), "journal"),
		get("ledger", guardian, "/console/ledger", "/console/ledger/entry/"),
		get("ledger, page 2", guardian, next(guardian, "/console/ledger"), "/console/ledger/entry/"),
		get("ledger entry", guardian, "/console/ledger/entry/40", "40"),
		get("settings", guardian, "/console/settings", "settings"),
		list("officer's cases, JSON", officerName(7), ""),
		list("officer's cases that wait, JSON", officerName(7), frontdoor.Pending),
		list("intake's cases that wait, JSON", "intake-1", frontdoor.Pending),
		list("custodian's cases that wait, JSON", "custodian:firm-1", frontdoor.Pending),
	}
}

var staticFile = regexp.MustCompile(`(?:href|src)="/static/([^"]+)"`)

// transfer is how many bytes a page costs that a browser has not kept: itself
// and what it loads. Nothing is compressed.
func transfer(body string) int {
	n, seen := len(body), map[string]bool{}
	for _, m := range staticFile.FindAllStringSubmatch(body, -1) {
		if seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		for _, f := range web.Files {
			if f.Name == m[1] {
				n += len(f.Body)
			}
		}
	}
	return n
}

// TestPagesOfMany goes through the pages of a cell with more of everything than
// fits a page.
func TestPagesOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a cell")
	}
	w := newPageWorld(t)
	c := crowd{people: 1000, rows: 1000, cases: 1000, agencies: 60, officers: 200}
	subject := w.crowdOf(c)
	for _, l := range w.looks(subject) {
		status, body := l.do()
		if status != http.StatusOK || !strings.Contains(body, l.want) {
			t.Errorf("%s: %d, without %q: %s", l.name, status, l.want, body[:min(len(body), 2000)])
		}
		if n := transfer(body); n > maxPage {
			t.Errorf("%s: %d bytes with what it loads", l.name, n)
		}
	}
}
