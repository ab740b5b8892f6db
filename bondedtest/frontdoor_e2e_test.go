//go:build unix

package bondedtest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// TestE2EFrontDoor leads requests to the front door of one cell, with people
// and custodians as processes of their own.
func TestE2EFrontDoor(t *testing.T) {
	o := openDoor(t)
	var good goodCase
	t.Run("a good request is delivered and opens", func(t *testing.T) { good = goodRequest(o.on(t)) })
	t.Run("a bad request is refused with code, field and hint", func(t *testing.T) { badRequests(o.on(t)) })
	if good.id.IsZero() {
		t.Fatal("the good request did not come through: attacks on it tell nothing")
	}
	t.Run("attacks open nothing", func(t *testing.T) { attackCases(o.on(t), good) })
	t.Run("a secret case is kept and then told", func(t *testing.T) { secretCase(o.on(t)) })
	t.Run("a share that was handed on opens nothing", func(t *testing.T) { reshareCases(o.on(t)) })
	t.Run("both books hold", func(t *testing.T) { wantBooksHold(t, o.d, "") })
}

// A goodCase is a case that was delivered, with what firm-1 computed for it.
type goodCase struct {
	id       bonded.CaseID
	partials [][]byte
}

func goodRequest(o *door) goodCase {
	t := o.t
	s := o.named()
	letters := o.outbox()
	id := o.before(s)
	o.approve(id, "firm-1", "firm-3", "independent-2")
	g := goodCase{id: id, partials: o.compute(id, "firm-1", nil)}
	v := o.work(id, "firm-3", "independent-2")
	o.wantOpens(id, s)
	if n := events(v, verify.EventOpening); n != 1 {
		t.Errorf("%d openings", n)
	}
	poll(t, "a letter before and one after", func() error {
		if n := o.outbox() - letters; n != 2 {
			return bonded.Errorf(bonded.CodeStale, "%d letters", n)
		}
		return nil
	})
	// Both people who signed for the requester see the same end.
	if got := o.bonded("request", "status", id.String(), "--as", doorOfficer, "--key", o.key(doorOfficer)); !strings.Contains(got, v.State) && !strings.Contains(got, "closed") {
		t.Errorf("status shows the requester no state %s:\n%s", v.State, got)
	}
	return g
}

// badRequests files what a rule forbids. Each is spoiled after it was made, so
// that the program of an honest requester does not refuse it first.
func badRequests(o *door) {
	t := o.t
	s := o.named()
	officer := o.asOfficer(doorOfficer)
	cases := len(allCases(o))
	for _, c := range []struct {
		name, code, field string
		spoil             func(*verify.CaseRequest)
	}{
		{"no target", "bulk", "tasks[0].targets", func(r *verify.CaseRequest) { r.Tasks[0].Targets = nil }},
		{"a star for a field", "too_broad", "tasks[0].fields_wanted[1]", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted[1] = "*" }},
		{"a star for a target", "", "tasks[0].targets[0].value", func(r *verify.CaseRequest) { r.Tasks[0].Targets[0].Value = "*" }},
		{"an open end", "incomplete", "authorisation.valid_to", func(r *verify.CaseRequest) { r.Authorisation.ValidTo = time.Time{} }},
		{"a process type nobody knows", "no_legal_basis", "authorisation.process_type", func(r *verify.CaseRequest) { r.Authorisation.ProcessType = "mlatt" }},
		{"a class the process type does not open", "no_legal_basis", "tasks[0].data_class", func(r *verify.CaseRequest) { r.Tasks[0].DataClass = "source_code" }},
		{"no document", "incomplete", "authorisation.documents", func(r *verify.CaseRequest) { r.Authorisation.Documents = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := o.made(doorOfficer, o.text(doorOfficer, doorAgency, s, ""))
			c.spoil(r)
			_, err := officer.FileCase(o.ctx(), signed(t, o, r))
			wantReject(t, err, c.code, c.field)
		})
	}
	// What was refused at the door is a case that ended there.
	for _, v := range allCases(o)[cases:] {
		if v.State != "rejected" || v.RejectCode == "" {
			t.Errorf("a bad request became a case in state %s, reject code %q", v.State, v.RejectCode)
		}
	}

	t.Run("a bad signature", func(t *testing.T) {
		st := signed(t, o, o.made(doorOfficer, o.text(doorOfficer, doorAgency, s, "")))
		st.Signatures[0].Value[9] ^= 1
		_, err := officer.FileCase(o.ctx(), st)
		wantReject(t, err, "not_authenticated", "signatures")
	})
	t.Run("a document that is another one", func(t *testing.T) {
		r := o.made(doorOfficer, o.text(doorOfficer, doorAgency, s, ""))
		res, err := officer.FileCase(o.ctx(), signed(t, o, r))
		must(t, err)
		_, err = officer.PutDocument(o.ctx(), res.Case, r.Authorisation.Documents[0].SHA256, []byte("another order"))
		wantCode(t, err, bonded.CodeInvalid)
		v, err := officer.Case(o.ctx(), res.Case)
		must(t, err)
		if v.State != "draft" {
			t.Errorf("a case without its document is %s", v.State)
		}
	})
	t.Run("a document that cannot be read", func(t *testing.T) {
		r := o.made(doorOfficer, o.text(doorOfficer, doorAgency, o.on(t).named(), ""))
		r.Authorisation.Documents[0].MediaType = "application/pdf" // it is text
		res, err := officer.FileCase(o.ctx(), signed(t, o, r))
		must(t, err)
		_, err = officer.PutDocument(o.ctx(), res.Case, r.Authorisation.Documents[0].SHA256, []byte("Order of the court, file 4711\n"))
		wantReject(t, err, "incomplete", "authorisation.documents")
	})
	t.Run("a suspended agency", func(t *testing.T) {
		o := o.on(t)
		o.agency("lka-gone", "Agency lka-gone")
		o.officer("officer-gone", "lka-gone")
		o.suspend("lka-gone")
		st, err := verify.NewStatement(o.made("officer-gone", o.text("officer-gone", "lka-gone", s, "")))
		must(t, err)
		st.Sign(verify.LabelRequest, "officer-gone", o.keys("officer-gone").Signing)
		_, err = o.asOfficer("officer-gone").FileCase(o.ctx(), st)
		wantReject(t, err, "not_authenticated", "agency")
	})
}

// signed is a request signed by the officer of the tests.
func signed(t *testing.T, o *door, r *verify.CaseRequest) *verify.Statement {
	t.Helper()
	st, err := verify.NewStatement(r)
	must(t, err)
	st.Sign(verify.LabelRequest, doorOfficer, o.keys(doorOfficer).Signing)
	return st
}

// wantReject checks that a request was refused with a reject code, where, and
// with a hint. An empty code stands for any.
func wantReject(t *testing.T, err error, code, field string) {
	t.Helper()
	wantCode(t, err, bonded.CodeRefusedRequest)
	e, ok := errors.AsType[*bonded.Error](err)
	if !ok {
		t.Fatalf("got %v, not a coded error", err)
	}
	if len(e.Rules) == 0 || code != "" && !slices.Contains(e.Rules, code) || e.Field != field {
		t.Errorf("refused with %v at %s, want %s at %s", e.Rules, e.Field, code, field)
	}
	if e.Message == "" || e.Hint == "" {
		t.Errorf("refused with %q and hint %q: both are needed", e.Message, e.Hint)
	}
}

// allCases lists every case that legal may see.
func allCases(o *door) []apitype.CaseView {
	o.t.Helper()
	legal, _, err := o.As("legal-1")
	must(o.t, err)
	var out []apitype.CaseView
	for after := ""; ; {
		page, err := legal.ListCases(o.ctx(), "", after)
		must(o.t, err)
		out = append(out, page.Cases...)
		if after = page.Next; after == "" {
			slices.SortStableFunc(out, func(a, b apitype.CaseView) int { return a.Filed.Compare(b.Filed) })
			return out
		}
	}
}

// secretCase leads a case under secrecy with an end: until then nothing of it
// is in the feed, then it is all there, and the monitor has nothing to say.
func secretCase(o *door) {
	t := o.t
	s := o.named()
	letters := o.outbox()
	until := time.Now().Add(35 * time.Second).UTC().Truncate(time.Second)
	id := o.file(doorOfficer, o.text(doorOfficer, doorAgency, s, "  flags: [secrecy_order]\n  secrecy:\n    basis: {law: StPO, article: 101a}\n    from: "+
		time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)+"\n    until: "+until.Format(time.RFC3339)+"\n    scope: both\n"))
	o.approved(id)
	o.decide("legal-2", id, "proceed", nil)
	_, err := o.AwaitScope(o.ctx(), "legal-1", id)
	must(t, err)
	o.approve(id, "firm-1", "firm-2", "independent-1")
	o.work(id, "firm-1", "firm-2", "independent-1")
	o.wantOpens(id, s)
	o.decide("legal-1", id, "close", nil)
	// Each look reads the feed first and the clock of the cell after it: what is
	// there while the gag is in force is there too early.
	for {
		shown := o.revealed(id)
		v := o.view(id)
		if v.Secrecy == nil || v.Secrecy.State == "ended" || v.Secrecy.State == "notified" {
			break
		}
		if shown > 0 {
			t.Fatalf("%d entries of a secret case are open before its end", shown)
		}
		if n := o.outbox() - letters; n != 0 {
			t.Fatalf("%d letters to the person before the end of the secrecy", n)
		}
		o.monitor()
		if time.Now().After(until.Add(patience)) {
			t.Fatalf("secrecy to %s is still %s", until, v.Secrecy.State)
		}
	}
	if time.Now().Before(until) {
		t.Errorf("the secrecy ended before %s", until)
	}
	poll(t, "the entries of the case in the feed", func() error {
		if n := o.revealed(id); n < 5 {
			return bonded.Errorf(bonded.CodeStale, "%d entries", n)
		}
		return nil
	})
	poll(t, "one letter to the person", func() error {
		if n := o.outbox() - letters; n != 1 {
			return bonded.Errorf(bonded.CodeStale, "%d letters", n)
		}
		return nil
	})
	o.monitor()
}

// revealed counts the entries of a case in the public feed.
func (o *door) revealed(id bonded.CaseID) (n int) {
	o.t.Helper()
	mine := map[int64]bool{}
	for _, e := range o.view(id).Entries {
		if e.Index != nil {
			mine[*e.Index] = true
		}
	}
	admin := o.admin()
	for from := uint64(0); ; {
		feed, err := admin.Openings(o.ctx(), from)
		must(o.t, err)
		for _, c := range feed.Openings {
			if mine[c.Index] {
				n++
			}
		}
		if len(feed.Openings) == 0 || feed.Next == from {
			return n
		}
		from = feed.Next
	}
}

// monitor has the monitor look once: it must hold.
func (o *door) monitor() {
	o.t.Helper()
	o.bonded("monitor", "--directory", o.d.Layout.Directory(), "--cell", "eu", "--once")
}
