//go:build unix

//nolint:bodyclose // answers of a recorder
package console_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/console"
	"bonded/verify"
)

// A pageBrowser asks for pages as one person.
type pageBrowser struct {
	t testing.TB
	h http.Handler

	passkey *console.Authenticator // nil: its owner confirms nothing
}

func (w *pageWorld) as(person, role string) *pageBrowser {
	return &pageBrowser{t: w.t, h: w.console.ServePagesAs(person, "Somebody "+person, role)}
}

// confirmed are the fields of a form with what a passkey says of its act.
func (b *pageBrowser) confirmed(path, act string, pairs ...string) []string {
	b.t.Helper()
	_, body := b.post(path + "/confirm/" + act)
	ceremony, challenge, err := console.Begun([]byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.passkey.Answer(challenge)
	if err != nil {
		b.t.Fatal(err)
	}
	return append(slices.Clone(pairs), "ceremony", ceremony, "credential", answer)
}

func (b *pageBrowser) do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func (b *pageBrowser) get(path string) (*http.Response, string) {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (b *pageBrowser) post(path string, pairs ...string) (*http.Response, string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// TestServePages keeps a cell and its console up, to be looked at.
func TestServePages(t *testing.T) {
	at := os.Getenv("CONSOLE_PAGES")
	if at == "" {
		t.Skip("CONSOLE_PAGES is not set")
	}
	w := newPageWorld(t)
	w.filed = w.file()
	for _, n := range []string{"Ada Lovelace", "Grace Hopper", hostile} {
		w.put("name", n, "email", "ada@example.org", "phone", "+4961155012", "born", "1990-12-10", "alias", "Countess")
	}
	mux := http.NewServeMux()
	for person, role := range map[string]string{"guardian-1": "guardian", "auditor-1": "auditor", "legal-1": "legal", "intake-1": "intake"} {
		mux.Handle(person+".localhost/", w.console.ServePagesAs(person, "Somebody "+person, role))
	}
	srv := &http.Server{Addr: at, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.ListenAndServe() }()
	t.Logf("people: %v", w.filed)
	for range 3600 {
		select {
		case <-t.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// unsafe are pieces that must never stand in a page as they were sent.
var unsafe = []string{"<script>alert", "<img src=x", `"'>`}

var tag = regexp.MustCompile(`<[^>]*>`)

func checkSafe(t *testing.T, what, body string) {
	t.Helper()
	for _, s := range unsafe {
		if strings.Contains(body, s) {
			at := strings.Index(body, s)
			t.Errorf("%s shows %q as it was sent: …%s…", what, s, body[max(0, at-80):min(len(body), at+120)])
		}
	}
	// What somebody typed stands in their own field as they typed it; in a text
	// nothing turns the writing around.
	if text := tag.ReplaceAllString(body, " "); strings.Contains(text, "\u202e") {
		at := strings.Index(text, "\u202e")
		t.Errorf("%s turns writing around: …%s…", what, text[max(0, at-80):min(len(text), at+80)])
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// TestPages goes through every page as those who use them do, and as those who
// would misuse them.
func TestPages(t *testing.T) {
	w := newPageWorld(t)
	w.filed = w.file()
	ada := w.put("name", "Ada Lovelace", "email", "ada@example.org", "phone", "+4961155012", "born", "1990-12-10")
	evil := w.put("name", hostile, "email", "evil@example.org", "alias", hostile)
	desk, auditor := w.as("guardian-1", "guardian"), w.as("auditor-1", "auditor")
	var err error
	desk.passkey, err = w.console.Authenticator(t.Context(), "guardian-1")
	w.must(err)

	t.Run("overview", func(t *testing.T) {
		res, body := desk.get("/console/")
		if res.StatusCode != http.StatusOK || !strings.Contains(body, w.filed.String()) || !strings.Contains(body, "2 of 3 of the role") {
			t.Fatalf("%d: %s", res.StatusCode, body)
		}
		// Auditors read no cases: they see how many there are, and not which.
		if _, body := auditor.get("/console/"); strings.Contains(body, w.filed.String()) || !strings.Contains(body, "People of your role do not read cases") {
			t.Error("an auditor sees which cases have deadlines")
		}
		if _, body := desk.get("/console/?period=month&lang=zh-Hans"); !strings.Contains(body, "概览") {
			t.Error("not in Chinese")
		}
	})

	t.Run("search, reveal, openings, receipt, copy", func(t *testing.T) {
		path := "/console/people/" + ada.Subject.String()
		_, body := desk.post("/console/people", "field", "users.email", "value", "ADA@example.org", "purpose", "support", "reason", "ticket 1")
		if !strings.Contains(body, ada.Subject.String()) || !strings.Contains(body, "a**@example.org") || strings.Contains(body, "Lovelace") {
			t.Fatalf("the search found: %s", body)
		}
		if res, body := desk.get(path); res.StatusCode != http.StatusOK || strings.Contains(body, "ada") || strings.Contains(body, "A***") {
			t.Error("something is shown before a purpose is named")
		}
		_, body = desk.post(path, "purpose", "support")
		if !strings.Contains(body, "A********") || strings.Contains(body, "Lovelace") || strings.Contains(body, "1990") {
			t.Errorf("the records show: %s", body)
		}
		res, body := desk.post(path+"/reveal", "collection", "users", "record", ada.Record.String(), "field", "name", "purpose", "support")
		if res.StatusCode != http.StatusBadRequest || strings.Contains(body, "Lovelace") {
			t.Errorf("a field opened without a reason: %d", res.StatusCode)
		}
		res, body = desk.post(path+"/reveal", "collection", "users", "record", ada.Record.String(), "field", "name", "purpose", "support", "reason", "ticket 1")
		if !strings.Contains(body, "Ada Lovelace") || res.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("the field did not open: %d %s", res.StatusCode, body)
		}
		entry := between(body, "Entered in the journal as ", ".\n")
		entry, _, _ = strings.Cut(entry, ". It is gone")
		_, body = desk.post(path, "purpose", "support", "view", "openings")
		if !strings.Contains(body, ">read<") && !strings.Contains(body, "read</td>") || !strings.Contains(body, "ticket 1") || !strings.Contains(body, entry) {
			t.Errorf("the opening %s is not among the openings: %s", entry, body)
		}
		w.await("the receipt", func() error {
			res, body := desk.post("/console/receipt", "entry", entry, "purpose", "support")
			if res.StatusCode != http.StatusOK {
				return errors.New(body)
			}
			r, err := verify.ParseReceipt([]byte(strings.TrimSpace(body)))
			if err != nil {
				return err
			}
			_, err = verify.CheckReceipt(r, w.cells)
			return err
		})
		if res, body := desk.post(path+"/export", "purpose", "subject_request", "reason", "asked by mail"); res.StatusCode != http.StatusForbidden || strings.Contains(body, "ada@example.org") {
			t.Errorf("a copy that no passkey confirmed: %d", res.StatusCode)
		}
		res, body = desk.post(path+"/export", desk.confirmed(path, "export", "purpose", "subject_request", "reason", "asked by mail")...)
		if !strings.Contains(body, "Ada Lovelace") || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("the copy is %d %s", res.StatusCode, body)
		}
	})

	t.Run("journal", func(t *testing.T) {
		_, body := auditor.get("/console/journal?operation=read&principal=guardian-1")
		if !strings.Contains(body, "ticket 1") || strings.Contains(body, ">export<") {
			t.Errorf("the journal shows %s", body)
		}
		entry := between(body, `href="/console/journal/`, "?purpose")
		if res, body := auditor.get("/console/journal/" + entry); res.StatusCode != http.StatusOK || !strings.Contains(body, "guardian-1") {
			t.Errorf("entry %s: %d", entry, res.StatusCode)
		}
		_, body = auditor.get("/console/journal?subject=" + ada.Subject.String())
		if !strings.Contains(body, "copy") {
			t.Error("the rows of a person are not found")
		}
		if res, _ := auditor.get("/console/journal?from=2999-01-01"); res.StatusCode != http.StatusOK {
			t.Error("a time to come is no error")
		}
		if res, body := auditor.get("/console/journal?operation=nonsense"); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "<form") {
			t.Error("a wrong filter is not told")
		}
		// The privacy desk may not: the refusal is entered.
		if res, body := desk.get("/console/journal"); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "bonded key create guardian-1 --console") {
			t.Errorf("the desk reads the journal: %d", res.StatusCode)
		}
		if _, body := auditor.get("/console/journal?outcome=refused&principal=guardian-1"); !strings.Contains(body, "forbidden") {
			t.Error("the refusal is not entered")
		}
	})

	t.Run("register, custodians, ledger", func(t *testing.T) {
		_, body := desk.get("/console/register")
		if !strings.Contains(body, "Bundeskriminalamt") || !strings.Contains(body, "the confirmation of an independent custodian") {
			t.Errorf("the register shows %s", body)
		}
		if _, body := desk.get("/console/register/agency/waiting"); !strings.Contains(body, "bonded-custodian confirm DIR agency waiting --digest") {
			t.Error("how to confirm is not said")
		}
		if _, body := desk.get("/console/custody"); !strings.Contains(body, "independent-2") || !strings.Contains(body, "Example Notaries") || !strings.Contains(body, "not in the register") {
			t.Errorf("the custodians are %s", body)
		}
		_, body = desk.get("/console/ledger")
		if !strings.Contains(body, "anchor of the journal") {
			t.Errorf("the ledger shows %s", body)
		}
		_, body = desk.get("/console/custody")
		index := between(body, `href="/console/ledger/entry/`, `"`)
		_, body = desk.get("/console/ledger/entry/" + index)
		if !strings.Contains(body, "What was published of it") || !strings.Contains(body, "A key set of the custodians") {
			t.Errorf("entry %s: %s", index, body)
		}
		_, opening := desk.get("/console/ledger/entry/" + index + "/opening")
		_, proof := desk.get("/console/ledger/entry/" + index + "/proof")
		o, err := verify.ParseCaseOpening([]byte(strings.TrimSpace(opening)))
		if err == nil {
			cell, _ := w.cells.Cell("eu")
			policy, perr := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy))
			w.must(perr)
			_, _, err = o.CheckWitnessed("eu", []byte(proof), cell.LedgerKey, policy)
		}
		if err != nil {
			t.Errorf("opening and proof of entry %s: %v", index, err)
		}
		for _, path := range []string{"/console/ledger/entry/99999999", "/console/ledger/entry/-1", "/console/ledger/entry/007", "/console/register/agency/nobody"} {
			if res, _ := desk.get(path); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s answers %d", path, res.StatusCode)
			}
		}
	})

	t.Run("erase and undo", func(t *testing.T) {
		p := w.put("name", "Grace Hopper", "email", "grace@example.org")
		other := w.put("name", "Somebody Else", "email", "else@example.org")
		path, beside := "/console/people/"+p.Subject.String(), "/console/people/"+other.Subject.String()
		id := p.Subject.String()
		form := []string{"purpose", "subject_request", "reason", "asked", "confirm", id[len(id)-6:]}
		desk := &pageBrowser{t: t, h: desk.h, passkey: desk.passkey}
		if res, _ := desk.post(path+"/erase", desk.confirmed(path, "erase", "purpose", "subject_request", "reason", "asked", "confirm", "wrong")...); res.StatusCode != http.StatusBadRequest {
			t.Error("erased without a word")
		}
		once := desk.confirmed(path, "erase", form...)
		stranger := slices.Clone(once)
		stranger[len(stranger)-1] = desk.confirmed(path, "erase")[3] // another challenge's answer
		for name, fields := range map[string][]string{
			"no passkey":          form,
			"another person's":    desk.confirmed(beside, "erase", form...),
			"another act's":       desk.confirmed(path, "export", form...),
			"another challenge's": stranger,
		} {
			if res, _ := desk.post(path+"/erase", fields...); res.StatusCode < 400 {
				t.Errorf("erased by %s confirmation: %d", name, res.StatusCode)
			}
		}
		if _, body := desk.post(path+"/erase", desk.confirmed(path, "erase", form...)...); !strings.Contains(body, "The erasure is scheduled") {
			t.Errorf("not scheduled: %s", body)
		}
		if _, body := desk.post(path, "purpose", "support"); !strings.Contains(body, "is being erased") || strings.Contains(body, "G****") {
			t.Error("somebody who is being erased is shown")
		}
		undo := desk.confirmed(path, "undo", "purpose", "subject_request", "reason", "mistake")
		if res, _ := desk.post(path+"/undo", "purpose", "subject_request", "reason", "mistake"); res.StatusCode != http.StatusForbidden {
			t.Error("taken back without a passkey")
		}
		if _, body := desk.post(path+"/undo", undo...); !strings.Contains(body, "The erasure was taken back") {
			t.Errorf("not taken back: %s", body)
		}
		if res, _ := desk.post(path+"/undo", undo...); res.StatusCode < 400 {
			t.Error("a confirmation counts twice")
		}
		vouched := &pageBrowser{t: t, h: w.console.ServePagesByOIDC("auditor-1", "Somebody", "guardian")}
		if res, body := vouched.post(path + "/confirm/erase"); res.StatusCode != http.StatusForbidden {
			t.Errorf("somebody without a passkey begins to confirm: %d %s", res.StatusCode, body)
		}
	})

	t.Run("markup and writing turned around", func(t *testing.T) {
		_, body := desk.post("/console/people", "field", "users.alias", "value", hostile, "purpose", "support", "reason", hostile, "basis", "")
		checkSafe(t, "the search", body)
		if !strings.Contains(body, evil.Subject.String()) {
			t.Errorf("the person is not found: %s", body)
		}
		path := "/console/people/" + evil.Subject.String()
		_, body = desk.post(path+"/reveal", "collection", "users", "record", evil.Record.String(), "field", "name", "purpose", "support", "reason", hostile)
		checkSafe(t, "the revealed value", body)
		if !strings.Contains(body, "<bdi>&lt;script&gt;") || !strings.Contains(body, "[U+202E]gnirts") {
			t.Errorf("the value is not shown as it is: %s", body)
		}
		for _, v := range []string{"records", "openings", "basis", "copy", "erase"} {
			_, body := desk.post(path, "purpose", "support", "view", v, "reason", hostile)
			checkSafe(t, v, body)
		}
		for _, p := range []string{"/console/register", "/console/register/agency/hostile"} {
			_, body := desk.get(p)
			checkSafe(t, p, body)
			if !strings.Contains(body, "[U+202E]") {
				t.Errorf("%s does not show the name", p)
			}
		}
		id := w.file(func(r *verify.CaseRequest) {
			a := &r.Authorisation
			a.Reference, a.Necessity, a.LegalBasis[0].Law, a.LegalBasis[0].Article = hostile, hostile, hostile, "5\u202e"
			a.Approvals[0].Approver, a.Approvals[0].Reference, a.Documents[0].Name = hostile, hostile, hostile
			r.Tasks[0].Targets[0].Value = "\u202eada@example.org"
		})
		for _, p := range []string{"/console/cases", "/console/cases/" + id.String(), "/console/cases/" + id.String() + "?reveal=1"} {
			_, body := desk.get(p)
			checkSafe(t, p, body)
			if p != "/console/cases" && !strings.Contains(body, "[U+202E]gnirts") {
				t.Errorf("%s does not show what the request says", p)
			}
		}
		_, body = auditor.get("/console/journal?principal=guardian-1")
		checkSafe(t, "the journal", body)
		bad := url.QueryEscape(hostile)
		for _, p := range []string{
			"/console/?period=@", "/console/?lang=@", "/console/people?lang=@", "/console/register?show=@", "/console/register?q=@", "/console/register?from=@",
			"/console/register/@/x", "/console/register/agency/@", "/console/journal?operation=@", "/console/journal?outcome=@", "/console/journal?principal=@",
			"/console/journal?subject=@", "/console/journal?from=@", "/console/journal?to=@", "/console/journal?purpose=@", "/console/journal?before=@",
			"/console/journal/@", "/console/ledger?before=@", "/console/ledger/entry/@", "/console/people/@", "/console/custody?x=@",
		} {
			for _, b := range []*pageBrowser{desk, auditor} {
				_, body := b.get(strings.ReplaceAll(p, "@", bad))
				checkSafe(t, p, body)
			}
		}
		for _, field := range []string{"field", "value", "purpose", "reason", "basis", "after", "view", "page", "record", "collection", "confirm", "entry"} {
			for _, p := range []string{"/console/people", path, path + "/reveal", path + "/export", path + "/erase", path + "/undo", "/console/receipt"} {
				form := map[string]string{"field": "users.email", "value": "x@example.org", "purpose": "support", "reason": "r", "record": evil.Record.String(), "collection": "users", "entry": "1.1.1"}
				form[field] = hostile
				var pairs []string
				for k, v := range form {
					pairs = append(pairs, k, v)
				}
				res, body := desk.post(p, pairs...)
				if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
					checkSafe(t, p+" "+field, body)
				}
			}
		}
	})

	t.Run("people of others", func(t *testing.T) {
		elsewhere := bonded.SubjectID{Cell: "cn", ID: bonded.NewID()}
		unknown := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}
		for _, id := range []bonded.SubjectID{elsewhere, unknown} {
			for _, p := range []string{"", "/export", "/undo"} {
				res, body := desk.post("/console/people/"+id.String()+p, "purpose", "support", "reason", "r")
				if res.StatusCode < 400 || strings.Contains(body, "Lovelace") {
					t.Errorf("%s%s answers %d", id, p, res.StatusCode)
				}
			}
		}
		// A record of one person under the name of another.
		res, body := desk.post("/console/people/"+evil.Subject.String()+"/reveal", "collection", "users", "record", ada.Record.String(), "field", "name", "purpose", "support", "reason", "r")
		if res.StatusCode != http.StatusNotFound || strings.Contains(body, "Lovelace") {
			t.Errorf("a record of somebody else: %d", res.StatusCode)
		}
		// A purpose that the grant does not have, a field that the purpose does not.
		if res, _ := desk.post("/console/people/"+ada.Subject.String(), "purpose", "fraud_check"); res.StatusCode != http.StatusForbidden {
			t.Errorf("another's purpose: %d", res.StatusCode)
		}
		if res, _ := desk.post("/console/people/"+ada.Subject.String()+"/reveal", "collection", "users", "record", ada.Record.String(), "field", "fraud", "purpose", "support", "reason", "r"); res.StatusCode != http.StatusForbidden {
			t.Errorf("a barred field: %d", res.StatusCode)
		}
		// Grants that are none, over, ask for proofs, or are the vault's own.
		for person, words := range map[string]string{"intake-1": "no grant in force in your name", "legal-1": "not in force", "legal-2": "asks for a proof", "front-door": "vault itself", "jobs": "vault itself"} {
			b := w.as(person, "intake")
			for _, p := range []string{"", "/reveal", "/export", "/erase", "/undo"} {
				_, body := b.post("/console/people/"+ada.Subject.String()+p, "purpose", "support", "reason", "r")
				if !strings.Contains(body, words) || strings.Contains(body, "A****") || !strings.Contains(body, "bonded key create") {
					t.Errorf("%s%s: %s", person, p, body)
				}
			}
			if _, body := b.get("/console/journal"); !strings.Contains(body, words) {
				t.Errorf("%s reads the journal", person)
			}
		}
		// An auditor opens nothing.
		if res, body := auditor.post("/console/people/"+ada.Subject.String(), "purpose", "audit"); res.StatusCode != http.StatusForbidden || strings.Contains(body, "A***") {
			t.Errorf("an auditor sees a person: %d", res.StatusCode)
		}
		if _, body := auditor.get("/console/journal?outcome=refused&principal=guardian-1"); strings.Count(body, "<tr>") < 5 {
			t.Error("the refusals are not entered")
		}
		// Nobody signed in sees nothing.
		for _, p := range []string{"/console/", "/console/people", "/console/journal", "/console/ledger", "/console/register", "/console/custody", "/console/live"} {
			rec := httptest.NewRecorder()
			w.console.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, p, nil))
			if rec.Code != http.StatusSeeOther {
				t.Errorf("%s answers %d to a stranger", p, rec.Code)
			}
		}
	})

	t.Run("a stream is no visit", func(t *testing.T) {
		before := time.Now().Add(-20 * time.Minute).Truncate(time.Second)
		cookie, seen := w.console.SignedIn(t.Context(), "guardian-1", before)
		for _, p := range []struct {
			path   string
			visits bool
		}{{"/console/live", false}, {"/console/ledger", true}} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			r := httptest.NewRequest(http.MethodGet, p.path, nil)
			r.AddCookie(cookie)
			if !p.visits {
				r = r.WithContext(ctx)
			}
			rec := httptest.NewRecorder()
			w.console.ServeHTTP(rec, r)
			cancel()
			at, err := seen()
			if err != nil || rec.Code != http.StatusOK || at.After(before) != p.visits {
				t.Errorf("%s: %d, seen at %s, %v", p.path, rec.Code, at, err)
			}
		}
	})
	t.Run("live", func(t *testing.T) {
		srv := httptest.NewServer(desk.h)
		defer srv.Close()
		var open []*http.Response
		for range console.LiveOfPerson {
			res, err := http.Get(srv.URL + "/console/live")
			w.must(err)
			open = append(open, res)
		}
		if res, err := http.Get(srv.URL + "/console/live"); err != nil || res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one stream too many answers %v %v", res.Status, err)
		}
		lines := bufio.NewScanner(open[0].Body)
		seen := ""
		for lines.Scan() && !strings.Contains(seen, "event: change") {
			seen += lines.Text() + "\n"
		}
		if !strings.Contains(seen, "event: begin") || strings.Contains(seen, "guardian") {
			t.Errorf("the stream says %q", seen)
		}
		for _, res := range open {
			_ = res.Body.Close()
		}
	})
}
