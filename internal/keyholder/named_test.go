package keyholder_test

import (
	"testing"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// TestProofCoversNothingBeyondWhatWasNamed holds a vault that says it resolved
// the items to what the client named.
func TestProofCoversNothingBeyondWhatWasNamed(t *testing.T) {
	w := newWorld(t)
	p, other := w.create(), w.create()
	session, key, _ := openSession(t, w, "sessions-only")
	subject := func(p person) string { return bonded.SubjectID{Cell: "eu", ID: p.subject}.String() }
	record := func(p person) string { return bonded.RecordID{Cell: "eu", ID: p.record}.String() }
	second := person{subject: p.subject, record: bonded.NewID(), version: p.version}
	put := func(p person, fields ...string) wire.Item {
		it := wire.Item{Subject: p.subject, Record: p.record}
		for _, f := range fields {
			it.Fields = append(it.Fields, wire.FieldVersion{Name: f})
		}
		return it
	}
	fresh := func(index string) wire.Item {
		it := wire.Item{Create: true, Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "name"}}}
		if index != "" {
			it.Index = []wire.IndexValue{{Field: index}}
		}
		return it
	}
	search := func(fields ...string) wire.Item {
		it := wire.Item{}
		for _, f := range fields {
			it.Index = append(it.Index, wire.IndexValue{Field: f})
		}
		return it
	}
	both := []wire.Named{{Subject: subject(p), Record: record(p), Fields: []string{"name"}}, {Subject: subject(other), Fields: []string{"name"}}}

	counter := uint64(0)
	for name, c := range map[string]struct {
		op    verify.Operation
		named []wire.Named
		items []wire.Item
		ok    bool
	}{
		"as named":                 {verify.OpRead, both[:1], []wire.Item{p.read("name")}, true},
		"some fields":              {verify.OpRead, []wire.Named{{Subject: subject(p), Record: record(p), Fields: []string{"email", "name"}}}, []wire.Item{p.read("name")}, true},
		"a record chosen":          {verify.OpRead, both, []wire.Item{p.read("name"), other.read("name")}, true},
		"one left out":             {verify.OpMask, both, []wire.Item{other.read("name")}, true},
		"a token":                  {verify.OpTokenRead, []wire.Named{{Token: "tok", Fields: []string{"name"}}}, []wire.Item{p.read("name")}, true},
		"a token without field":    {verify.OpTokenRead, []wire.Named{{Token: "tok"}}, []wire.Item{p.read("name")}, true},
		"a search":                 {verify.OpFind, []wire.Named{{Fields: []string{"email", "name"}}}, []wire.Item{search("name", "email")}, true},
		"a new record":             {verify.OpWrite, []wire.Named{{Subject: subject(p), Fields: []string{"name"}}}, []wire.Item{put(second, "name")}, true},
		"a new person":             {verify.OpWrite, []wire.Named{{Fields: []string{"email", "name"}}}, []wire.Item{fresh("name")}, true},
		"another field":            {verify.OpRead, both[:1], []wire.Item{p.read("email")}, false},
		"another record":           {verify.OpRead, both[:1], []wire.Item{second.read("name")}, false},
		"another person":           {verify.OpRead, both[:1], []wire.Item{other.read("name")}, false},
		"two for one":              {verify.OpRead, both[:1], []wire.Item{p.read("name"), second.read("name")}, false},
		"two of one, one left out": {verify.OpRead, both, []wire.Item{other.read("name"), other.read("name")}, false},
		"token, another field":     {verify.OpTokenRead, []wire.Named{{Token: "tok", Fields: []string{"email"}}}, []wire.Item{p.read("name")}, false},
		"token, two fields":        {verify.OpTokenRead, []wire.Named{{Token: "tok"}}, []wire.Item{p.read("name", "email")}, false},
		"token, everybody":         {verify.OpTokenRead, []wire.Named{{Token: "tok", Fields: []string{"name"}}}, []wire.Item{p.read("name"), other.read("name")}, false},
		"token, a write":           {verify.OpWrite, []wire.Named{{Token: "tok", Fields: []string{"name"}}}, []wire.Item{put(p, "name")}, false},
		"search, another field":    {verify.OpFind, []wire.Named{{Fields: []string{"email"}}}, []wire.Item{search("name")}, false},
		"search, fewer fields":     {verify.OpFind, []wire.Named{{Fields: []string{"email", "name"}}}, []wire.Item{search("email")}, false},
		"search, a dictionary":     {verify.OpFind, []wire.Named{{Fields: []string{"email"}}}, []wire.Item{search("email"), search("email")}, false},
		"search, nothing named":    {verify.OpFind, nil, []wire.Item{search("email")}, false},
		"write, another field":     {verify.OpWrite, []wire.Named{{Subject: subject(p), Record: record(p), Fields: []string{"name"}}}, []wire.Item{put(p, "email")}, false},
		"write, another record":    {verify.OpWrite, []wire.Named{{Subject: subject(p), Record: record(p), Fields: []string{"name"}}}, []wire.Item{put(second, "name")}, false},
		"created, one named":       {verify.OpWrite, []wire.Named{{Subject: subject(p), Fields: []string{"name"}}}, []wire.Item{fresh("")}, false},
		"created, another index":   {verify.OpCreate, []wire.Named{{Fields: []string{"name"}}}, []wire.Item{fresh("email")}, false},
		"created, index unnamed":   {verify.OpCreate, nil, []wire.Item{fresh("email")}, false},
		"written, none named":      {verify.OpWrite, []wire.Named{{Fields: []string{"name"}}}, []wire.Item{put(p, "name")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.entry(c.op, c.items...)
			e.Auth.Principal, e.Auth.Resolved = "sessions-only", true
			counter++
			prove(&e, session, key, counter, c.named)
			res := w.unlock(e)
			if c.ok {
				if res.Entries[0].Code != "" {
					t.Errorf("refused: %q %q", res.Entries[0].Code, res.Entries[0].Rule)
				}
				return
			}
			wantRefused(t, res, bonded.CodeProof, "keyholder.named")
		})
	}
}
