package request_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"bonded"
	"bonded/internal/request"
	"bonded/verify"
)

// filled is the template with everything in angle brackets filled in.
func filled() string {
	s := strings.ReplaceAll(request.Template, "<case_eu_…>", "case_eu_1")
	return regexp.MustCompile(`<([^>\n]*)>`).ReplaceAllString(s, "$1")
}

var folder = fstest.MapFS{"order.pdf": {Data: []byte("%PDF-1.7")}, "empty.pdf": {}}

var by = request.Asker{Recipient: []byte("recipient"), Nonce: "n1", Now: time.Date(2026, 11, 21, 8, 0, 0, 7, time.FixedZone("", 3600))}

func TestTemplateIsARequest(t *testing.T) {
	f, err := request.Parse("request.yaml", []byte(filled()))
	if err != nil {
		t.Fatal(err)
	}
	r, docs, err := f.Request(folder, by)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("%PDF-1.7"))
	a := &r.Authorisation
	if r.Format != verify.LabelRequest || r.Cell != "eu" || r.Officer != "officer-7" || r.Nonce != "n1" || string(r.Recipient) != "recipient" ||
		!r.Filed.Equal(by.Now.Truncate(time.Second)) || r.Filed.Location() != time.UTC ||
		a.ProcessType != "eu_epoc" || a.Offence == nil || a.Approvals[0].Role != "judge" || a.LegalBasis[0].Article != "5" ||
		a.Documents[0] != (verify.CaseDocument{SHA256: hex.EncodeToString(sum[:]), MediaType: "application/pdf", Language: "de", Name: "order.pdf", Size: 8}) ||
		len(r.Tasks) != 1 || r.Tasks[0].Targets[0] != (verify.CaseTarget{Format: "email", Value: "ada@example.org"}) || r.Tasks[0].MaxSubjects != 1 {
		t.Errorf("%+v", r)
	}
	if len(docs) != 1 || docs[0].SHA256 != a.Documents[0].SHA256 || string(docs[0].Bytes) != "%PDF-1.7" {
		t.Errorf("%+v", docs)
	}
	// What is signed reads back as the request.
	st, err := verify.NewStatement(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.DecodeBody(new(verify.CaseRequest)); err != nil {
		t.Error(err)
	}
}

// Everything the template shows behind a number sign is readable too.
func TestTemplateHoldsUncommented(t *testing.T) {
	s := filled()
	for _, line := range []string{"flags: ", "secrecy:", "  basis: {law", "  from: 2026-11-20", "  until: ", "  scope: ", "contract_basis", "from: 2026-01", "to: 2026-06", "note: "} {
		s = strings.Replace(s, "# "+line, line, 1)
	}
	f, err := request.Parse("request.yaml", []byte(s))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := f.Request(folder, by)
	if err != nil || r.Authorisation.Secrecy == nil || r.Authorisation.Offence == nil || r.Tasks[0].From == nil || r.Authorisation.Flags[0] != "secrecy_order" {
		t.Errorf("%v %+v", err, r)
	}
}

func TestRequestsThatCannotStandAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, old, text string
		field           string // line and column, or nothing
		says            string
	}{
		{"template left as it is", "officer: officer-7", "officer: <officer-7>", "7:10", "not filled in"},
		{"star for a field", "[name, phone]", `[name, "*"]`, "", "not the name of a field"},
		{"no field", "[name, phone]", "[]", "", "names no field"},
		{"no target", "    targets:                  # people, each by an id or by an indexed field\n      - format: email         # subject, record, token, or the name of an indexed field\n        value: ada@example.org\n", "    targets: []\n", "", "names nobody"},
		{"star for a target", "value: ada@example.org", `value: "*"`, "", "names nobody"},
		{"open end", "  valid_to: 2027-02-20T00:00:00Z   # an instrument without an end is refused\n", "", "", "valid_to"},
		{"end before the start", "valid_to: 2027-02-20", "valid_to: 2025-02-20", "", "ends before it begins"},
		{"preservation without an end", "kind: disclose  ", "kind: preserve  ", "", "without an end"},
		{"unknown member", "data_class:", "dataclass:", "", "dataclass"},
		{"unknown kind", "kind: disclosure", "kind: disclosures", "", "no such kind"},
		{"nobody approved", "kind: issuing  ", "kind: issuing\n      second: 1 ", "", ""},
		{"no people", "max_subjects: 1", "max_subjects: 0", "", "number of people"},
		{"priority of another kind", "priority: routine", "priority: asap", "", "no such priority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := filled()
			if !strings.Contains(s, c.old) {
				t.Fatalf("the template has no %q", c.old)
			}
			_, err := request.Parse("request.yaml", []byte(strings.Replace(s, c.old, c.text, 1)))
			if bonded.CodeOf(err) != bonded.CodeConfig || !strings.Contains(err.Error(), "request.yaml:"+c.field) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "ada@example.org") {
				t.Error("the error names the person")
			}
		})
	}
}

func TestDocumentsThatAreNotThereAreRefused(t *testing.T) {
	for name, file := range map[string]string{"missing": "gone.pdf", "empty": "empty.pdf", "outside": "../order.pdf", "absolute": "/etc/hostname"} {
		f, err := request.Parse("request.yaml", []byte(strings.Replace(filled(), "file: order.pdf", "file: "+file, 1)))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = f.Request(folder, by)
		if code := bonded.CodeOf(err); code != bonded.CodeInvalid && code != bonded.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(filled())
	f.Add(request.Template)
	f.Add("cell: eu\nkind: disclosure\ntasks: []\n")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := request.Parse("request.yaml", []byte(s))
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeConfig {
				t.Fatalf("err = %v", err)
			}
			return
		}
		q, _, err := r.Request(folder, by)
		if err != nil {
			return
		}
		st, err := verify.NewStatement(q)
		if err != nil {
			return // times beyond the year 9999
		}
		if err := st.DecodeBody(new(verify.CaseRequest)); err != nil {
			t.Fatalf("what is signed cannot be read: %v", err)
		}
	})
}

func TestCheckNamesThePathOfWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		field string
		spoil func(*request.File)
	}{
		{"", func(*request.File) {}},
		{"officer", func(f *request.File) { f.Officer = "" }},
		{"authorisation.reference", func(f *request.File) { f.Authorisation.Reference = "" }},
		{"authorisation.valid_to", func(f *request.File) { f.Authorisation.ValidTo = time.Time{} }},
		{"authorisation.approvals[0].approver", func(f *request.File) { f.Authorisation.Approvals[0].Approver = "" }},
		{"authorisation.secrecy.basis.law", func(f *request.File) {
			f.Authorisation.Secrecy = &request.Secrecy{From: by.Now, Scope: "both"}
		}},
		{"tasks[0].targets[0].value", func(f *request.File) { f.Tasks[0].Targets[0].Value = "*" }},
		{"tasks[0].fields_wanted[1]", func(f *request.File) { f.Tasks[0].FieldsWanted[1] = "*" }},
		{"tasks", func(f *request.File) { f.Tasks = nil }},
	} {
		f, err := request.Parse("request.yaml", []byte(filled()))
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(f)
		var e *bonded.Error
		if err := f.Check(); c.field == "" && err != nil || c.field != "" && (!errors.As(err, &e) || e.Code != bonded.CodeInvalid || e.Field != c.field) {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}
