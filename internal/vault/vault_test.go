//go:build unix

package vault_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/seal"
	"bonded/internal/vault"
	"bonded/verify"
)

func TestPutThenGetReturnsWhatWasWritten(t *testing.T) {
	for _, suite := range []seal.Suite{seal.AES256GCM, seal.SM4GCM} {
		t.Run(suite.String(), func(t *testing.T) {
			c := newCell(t, func(c *cell) { c.suite = suite })
			v := values("name", `"李娜 𠀀 Ærøskøbing"`, "email", `"Li.Na@Example.com"`, "age", "42", "vip", "true", "born", `"1990-02-03"`, "extra", `{"a":[1,2]}`)
			p := c.create(v)
			if !p.Created || p.Version != 1 || p.Subject.Cell != "eu" || p.Entry == "" {
				t.Errorf("put: %+v", p)
			}
			got, err := c.get(p, "name", "email", "age", "vip", "born", "extra")
			must(t, err)
			if d := cmp.Diff(v, got.Values); d != "" {
				t.Error(d)
			}
			row := c.lastRow(verify.OpRead)
			if row.Outcome != verify.OutcomeAllowed || row.RowRef.String() != got.Entry || row.Principal != "app" || len(row.Items) != 1 || row.Items[0].Subject != p.Subject.ID {
				t.Errorf("row: %+v", row)
			}
			masked, err := c.v.Mask(t.Context(), c.call("app"), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Fields: []string{"email"}}})
			must(t, err)
			if string(masked.Values["email"]) != `"L****@Example.com"` {
				t.Errorf("masked: %s", masked.Values["email"])
			}
		})
	}
}

func TestFindIsByNormalisedEqualityAndReturnsIDs(t *testing.T) {
	c := newCell(t)
	a := c.create(values("name", `"Anna Weiß"`, "phone", `"030 1234567"`))
	b := c.create(values("name", `"anna  WEISS"`, "phone", `"+49 30 7654321"`))
	find := func(where map[string]string) []bonded.SubjectID {
		t.Helper()
		r, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: where})
		must(t, err)
		var ids []bonded.SubjectID
		for _, f := range r.Records {
			ids = append(ids, f.Subject)
		}
		return ids
	}
	if d := cmp.Diff([]bonded.SubjectID{a.Subject, b.Subject}, find(map[string]string{"name": "Anna Weiss"})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]bonded.SubjectID{a.Subject}, find(map[string]string{"name": "ANNA WEISS", "phone": "+49301234567"})); d != "" {
		t.Error(d)
	}
	if got := find(map[string]string{"name": "Nobody"}); got != nil {
		t.Errorf("found %v", got)
	}
	if row := c.lastRow(verify.OpFind); !row.Resolved || len(row.Items) != 1 || len(row.Items[0].Index) != 1 {
		t.Errorf("row: %+v", row)
	}
}

func TestBadInputIsRefusedEnteredAndNamesItsField(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	elsewhere := bonded.SubjectID{Cell: "cn", ID: bonded.NewID()}
	put := func(f func(*apitype.PutRequest)) func(*vault.Call) error {
		return func(call *vault.Call) error {
			q := &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna"`), Facts: germany}}
			f(q)
			_, err := c.v.Put(t.Context(), call, q)
			return err
		}
	}
	get := func(f func(*apitype.GetRequest)) func(*vault.Call) error {
		return func(call *vault.Call) error {
			q := &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name"}}}
			f(q)
			_, err := c.v.Get(t.Context(), call, q)
			return err
		}
	}
	long := `"` + strings.Repeat("x", apitype.MaxField+1) + `"`
	for name, tc := range map[string]struct {
		do    func(*vault.Call) error
		why   func(*vault.Call)
		as    string
		code  bonded.Code
		field string
	}{
		"unknown collection":     {do: put(func(q *apitype.PutRequest) { q.Collection = "nope" }), code: bonded.CodeUnknownCollection, field: "collection"},
		"unknown field":          {do: put(func(q *apitype.PutRequest) { q.Values = values("shoe", `"44"`) }), code: bonded.CodeUnknownField, field: "values.shoe"},
		"field that is a value":  {do: put(func(q *apitype.PutRequest) { q.Values = values("Anna Weiss", `"44"`) }), code: bonded.CodeUnknownField, field: "values.?"},
		"text for integer":       {do: put(func(q *apitype.PutRequest) { q.Values = values("age", `"44"`) }), code: bonded.CodeWrongType, field: "values.age"},
		"fraction for integer":   {do: put(func(q *apitype.PutRequest) { q.Values = values("age", `4.5`) }), code: bonded.CodeWrongType, field: "values.age"},
		"number for text":        {do: put(func(q *apitype.PutRequest) { q.Values = values("name", `4`) }), code: bonded.CodeWrongType, field: "values.name"},
		"no day of the calendar": {do: put(func(q *apitype.PutRequest) { q.Values = values("born", `"2025-02-30"`) }), code: bonded.CodeWrongType, field: "values.born"},
		"oversize":               {do: put(func(q *apitype.PutRequest) { q.Values = values("name", long) }), code: bonded.CodeTooLarge, field: "values.name"},
		"not UTF-8":              {do: put(func(q *apitype.PutRequest) { q.Values = values("name", "\"a\xff\"") }), code: bonded.CodeInvalidUTF8, field: "values.name"},
		"half a surrogate":       {do: put(func(q *apitype.PutRequest) { q.Values = values("name", `"a\ud800b"`) }), code: bonded.CodeInvalidUTF8, field: "values.name"},
		"phone without digits":   {do: put(func(q *apitype.PutRequest) { q.Values = values("phone", `"abc"`) }), code: bonded.CodeInvalid, field: "values.phone"},
		"no facts":               {do: put(func(q *apitype.PutRequest) { q.Facts = nil }), code: bonded.CodeInvalid, field: "facts"},
		"person of another cell": {do: put(func(q *apitype.PutRequest) {
			q.Facts = &apitype.Facts{Residence: []bonded.Jurisdiction{"CN"}, OperatorClass: []string{"cii_operator"}}
		}), code: bonded.CodeWrongCell, field: "facts"},
		"home without a cell": {do: put(func(q *apitype.PutRequest) {
			q.Facts = &apitype.Facts{Residence: []bonded.Jurisdiction{"RU"}, Citizenship: []bonded.Jurisdiction{"RU"}, Collected: []bonded.Jurisdiction{"RU"}}
		}), code: bonded.CodeNoCell},
		"subject of another cell":     {do: put(func(q *apitype.PutRequest) { q.Subject = &elsewhere }), code: bonded.CodeWrongCell, field: "subject"},
		"unknown subject":             {do: put(func(q *apitype.PutRequest) { q.Subject = &bonded.SubjectID{Cell: "eu", ID: bonded.NewID()} }), code: bonded.CodeWithheld, field: "subject"},
		"no purpose":                  {do: get(func(*apitype.GetRequest) {}), why: func(c *vault.Call) { c.Why.Purpose = "" }, code: bonded.CodeMissingPurpose, field: "purpose"},
		"unknown purpose":             {do: get(func(*apitype.GetRequest) {}), why: func(c *vault.Call) { c.Why.Purpose = "curiosity" }, code: bonded.CodeUnknownPurpose, field: "purpose"},
		"purpose of somebody else":    {do: get(func(*apitype.GetRequest) {}), why: func(c *vault.Call) { c.Why.Purpose = "maintenance" }, code: bonded.CodeForbidden},
		"field for another purpose":   {do: get(func(q *apitype.GetRequest) { q.Fields = []string{"fraud"} }), code: bonded.CodeForbidden},
		"reason too long":             {do: get(func(*apitype.GetRequest) {}), why: func(c *vault.Call) { c.Why.Reason = strings.Repeat("x", 257) }, code: bonded.CodeTooLarge, field: "reason"},
		"basis unknown":               {do: get(func(*apitype.GetRequest) {}), why: func(c *vault.Call) { c.Why.Basis = bonded.NewID().Hex() }, code: bonded.CodeExpiredBasis, field: "basis"},
		"no fields":                   {do: get(func(q *apitype.GetRequest) { q.Fields = nil }), code: bonded.CodeInvalid, field: "fields"},
		"get of another cell":         {do: get(func(q *apitype.GetRequest) { q.Subject = &elsewhere }), code: bonded.CodeWrongCell, field: "subject"},
		"outside the grant":           {do: get(func(q *apitype.GetRequest) { q.Fields = []string{"email"} }), as: "narrow", code: bonded.CodeForbidden},
		"principal sits elsewhere":    {do: get(func(*apitype.GetRequest) {}), as: "elsewhere", code: bonded.CodeForbidden},
		"bearer where proofs are due": {do: get(func(*apitype.GetRequest) {}), as: "proofs-only", code: bonded.CodeBearerForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			as := tc.as
			if as == "" {
				as = "app"
			}
			call := c.call(as)
			if tc.why != nil {
				tc.why(call)
			}
			_, records := c.store.Count(0)
			e := wantCode(t, tc.do(call), tc.code)
			if tc.field != "" && e.Field != tc.field {
				t.Errorf("field %q, want %q", e.Field, tc.field)
			}
			if strings.Contains(e.Error(), "Anna") || strings.Contains(e.Error(), "abc") {
				t.Errorf("error holds a value: %v", e)
			}
			all := c.rows()
			row := all[len(all)-1].Row
			if row.Outcome != verify.OutcomeRefused || row.Code != tc.code || row.RequestID != call.RequestID || call.Promise == "" {
				t.Errorf("refusal is not entered: %+v", row)
			}
			if _, after := c.store.Count(0); after != records {
				t.Error("something was stored")
			}
		})
	}
}

func TestPutComparesVersionsAndMergesPartially(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`, "email", `"a@example.com"`))
	put := func(version uint64, partial bool, v apitype.Values) (*apitype.PutResult, error) {
		return c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.Subject, Record: &p.Record, Values: v, Partial: partial, IfVersion: &version}})
	}
	r, err := put(1, true, values("age", "30"))
	must(t, err)
	if r.Version != 2 || r.Created {
		t.Errorf("%+v", r)
	}
	_, err = put(1, true, values("age", "31"))
	wantCode(t, err, bonded.CodeConflict)
	_, err = put(0, true, values("age", "31"))
	wantCode(t, err, bonded.CodeConflict)
	got, err := c.get(p, "name", "email", "age")
	must(t, err)
	if d := cmp.Diff(values("name", `"Anna"`, "email", `"a@example.com"`, "age", "30"), got.Values); d != "" {
		t.Error(d)
	}

	// null takes a value away, and its index value with it.
	_, err = put(2, true, values("email", "null"))
	must(t, err)
	found, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"email": "a@example.com"}})
	must(t, err)
	if len(found.Records) != 0 {
		t.Error("found by a value that was taken away")
	}

	// A whole write leaves nothing else.
	_, err = put(3, false, values("name", `"Berta"`))
	must(t, err)
	got, err = c.get(p, "name", "email", "age")
	must(t, err)
	if d := cmp.Diff(values("name", `"Berta"`), got.Values); d != "" {
		t.Error(d)
	}
	if got.Version != 4 {
		t.Errorf("version %d", got.Version)
	}
}

func TestIdempotencyKeyReplaysIDsAndRefusesAnotherBody(t *testing.T) {
	c := newCell(t)
	call := func(body string) *vault.Call {
		k := c.call("app")
		k.Idempotency, k.BodyHash = "import-1", sha256.Sum256([]byte(body))
		return k
	}
	q := &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna"`), Facts: germany, Tokens: []string{"name"}}}
	first, err := c.v.Put(t.Context(), call("a"), q)
	must(t, err)
	again, err := c.v.Put(t.Context(), call("a"), q)
	must(t, err)
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
	_, err = c.v.Put(t.Context(), call("b"), q)
	wantCode(t, err, bonded.CodeIdempotency)
	if subjects, _ := c.store.Count(0); subjects != 1 {
		t.Errorf("%d subjects", subjects)
	}
}

func TestBatchItemsSucceedAndFailAlone(t *testing.T) {
	c := newCell(t)
	old := c.create(values("name", `"Old"`))
	one := uint64(1)
	nine := uint64(9)
	put, err := c.v.BatchPut(t.Context(), c.call("app"), &apitype.BatchPutRequest{Collection: "users", Items: []apitype.PutItem{
		{Values: values("name", `"A"`, "phone", `"030 1234567"`), Facts: germany},
		{Values: values("phone", `"nope"`), Facts: germany},
		{Subject: &old.Subject, Record: &old.Record, Values: values("age", "1"), Partial: true, IfVersion: &one},
		{Subject: &old.Subject, Record: &old.Record, Values: values("age", "2"), Partial: true, IfVersion: &nine},
	}})
	must(t, err)
	if put.Items[0].Result == nil || put.Items[2].Result == nil {
		t.Fatalf("%+v %+v", put.Items[0].Error, put.Items[2].Error)
	}
	if p := put.Items[1].Error; p == nil || p.Code != bonded.CodeInvalid || p.Field != "items[1].values.phone" {
		t.Errorf("item 1: %+v", p)
	}
	if p := put.Items[3].Error; p == nil || p.Code != bonded.CodeConflict {
		t.Errorf("item 3: %+v", p)
	}
	unknown := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}
	got, err := c.v.BatchGet(t.Context(), c.call("app"), &apitype.BatchGetRequest{Collection: "users", Items: []apitype.GetItem{
		{Subject: &put.Items[0].Result.Subject, Fields: []string{"name"}},
		{Subject: &unknown, Fields: []string{"name"}},
		{Subject: &old.Subject, Record: &old.Record, Fields: []string{"name", "age"}},
	}})
	must(t, err)
	if string(got.Items[0].Result.Values["name"]) != `"A"` || string(got.Items[2].Result.Values["age"]) != "1" {
		t.Errorf("%+v", got.Items)
	}
	if p := got.Items[1].Error; p == nil || p.Code != bonded.CodeWithheld || p.Field != "items[1].subject" {
		t.Errorf("item 1: %+v", p)
	}
	rows := c.rows()
	first, second := rows[len(rows)-2].Row, rows[len(rows)-1].Row
	if len(first.Items) != 2 || second.Refers != first.RowRef || second.Outcome != verify.OutcomeRefused {
		t.Errorf("rows: %+v %+v", first, second)
	}
}

func TestTokensOpenTheirFieldUntilDeleted(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`, "age", "30"))
	r, err := c.v.TokenCreate(t.Context(), c.call("app"), &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"name"}})
	must(t, err)
	tok := r.Tokens["name"]
	get := func() (*apitype.GetResult, error) {
		return c.v.Get(t.Context(), c.call("app"), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Token: &tok}})
	}
	got, err := get()
	must(t, err)
	if string(got.Values["name"]) != `"Anna"` || len(got.Values) != 1 {
		t.Errorf("%v", got.Values)
	}
	if row := c.lastRow(verify.OpTokenRead); !row.Resolved {
		t.Errorf("row: %+v", row)
	}
	_, err = c.v.TokenDelete(t.Context(), c.call("app"), &apitype.TokenDeleteRequest{Token: tok})
	must(t, err)
	_, err = get()
	wantCode(t, err, bonded.CodeWithheld)

	_, err = c.v.RecordDelete(t.Context(), c.call("app"), &apitype.RecordDeleteRequest{Collection: "users", Subject: p.Subject, Record: p.Record})
	must(t, err)
	_, err = c.get(p, "name")
	wantCode(t, err, bonded.CodeWithheld)
}

func TestEraseWithoutWindowLeavesATombstoneOnBothSides(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	r, err := c.v.Erase(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if r.State != "erased" || r.Tombstone != 1 || r.BackupsBy == nil {
		t.Fatalf("%+v", r)
	}
	_, err = c.get(p, "name")
	wantCode(t, err, bonded.CodeErased)
	if subjects, records := c.store.Count(0); subjects != 0 || records != 0 {
		t.Errorf("%d subjects, %d records", subjects, records)
	}
	found, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"name": "Anna"}})
	must(t, err)
	if len(found.Records) != 0 {
		t.Error("found an erased person")
	}
	h, err := c.v.History(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if len(h.Entries) < 3 || h.Releases != 1 {
		t.Errorf("history: %d entries, %d releases", len(h.Entries), h.Releases)
	}
}

func TestEraseWaitsForItsWindowAndCanBeUndone(t *testing.T) {
	c := newCell(t, func(c *cell) { c.undo = time.Hour })
	p := c.create(values("name", `"Anna"`))
	erase := func() {
		t.Helper()
		r, err := c.v.Erase(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
		must(t, err)
		if r.State != "scheduled" || r.Due == nil || r.Note != "scheduled; holds may apply" {
			t.Errorf("%+v", r)
		}
	}
	erase()
	_, err := c.get(p, "name")
	wantCode(t, err, bonded.CodeErasing)
	_, err = c.v.EraseUndo(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	_, err = c.get(p, "name")
	must(t, err)
	erase()
	c.skew.Store(int64(61 * time.Minute))
	_, err = c.v.EraseUndo(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	wantCode(t, err, bonded.CodeConflict)
	c.skew.Store(0)
	// Due again once the clock says so; the freshness limit keeps the skew out of reach here.
}

func TestExportGivesAllRecordsAndBases(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`, "age", "30"))
	_, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "visits", PutItem: apitype.PutItem{Subject: &p.Subject, Values: values("page", `"/"`)}})
	must(t, err)
	b, err := c.v.Basis(t.Context(), c.call("app"), &apitype.BasisRequest{Subject: p.Subject, Record: apitype.BasisRecord{
		Processing: apitype.BasisProcessing{LegalBasis: "consent", Purposes: []bonded.Purpose{"support"}},
		Events:     []apitype.BasisEvent{{State: "given", Time: time.Now()}},
	}})
	must(t, err)
	out, err := c.v.Export(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if len(out.Records) != 2 || len(out.Basis) != 1 || string(out.Records[0].Values["name"]) != `"Anna"` {
		t.Errorf("%+v", out)
	}

	// A read may name the basis while it is given, and not after.
	get := func() error {
		call := c.call("app")
		call.Why.Basis = b.Record.ID
		_, err := c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Fields: []string{"name"}}})
		return err
	}
	must(t, get())
	_, err = c.v.Basis(t.Context(), c.call("app"), &apitype.BasisRequest{Subject: p.Subject, Record: apitype.BasisRecord{
		ID: b.Record.ID, Events: []apitype.BasisEvent{{State: "withdrawn", Time: time.Now()}},
	}})
	must(t, err)
	wantCode(t, get(), bonded.CodeExpiredBasis)
}
