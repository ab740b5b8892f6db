package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/intake"
	"bonded/internal/regulation"
)

// ground is where the rows of a test go: routed by the shipped packs, kept in
// memory by idempotency key, held against a list of fields.
type ground struct {
	table  *regulation.Table
	fields []string

	mu     sync.Mutex
	calls  int
	stored map[string]*apitype.PutResult // by key and place
	fault  func(call int) error          // of a whole call; may be nil
}

func newGround(t *testing.T, fields ...string) *ground {
	t.Helper()
	packs, err := regulation.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	table, err := regulation.NewTable(packs)
	if err != nil {
		t.Fatal(err)
	}
	return &ground{table: table, fields: fields, stored: map[string]*apitype.PutResult{}}
}

func (g *ground) Route(f apitype.Facts) (*apitype.RouteAnswer, error) {
	d, err := g.table.Route(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), regulation.Facts{
		Residence: f.Residence, Citizenship: f.Citizenship, Collected: f.Collected, Service: f.Service, OperatorClass: f.OperatorClass,
	}, regulation.Deployment{Default: "eu", Cells: []regulation.Cell{{ID: "eu", Jurisdictions: []bonded.Jurisdiction{"DE"}}}})
	if err != nil {
		return nil, err
	}
	return &apitype.RouteAnswer{Cell: d.Cell}, nil
}

func (g *ground) BatchPut(_ context.Context, cell bonded.CellID, key string, req *apitype.BatchPutRequest) (*apitype.BatchPutResult, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if g.fault != nil {
		if err := g.fault(g.calls); err != nil {
			return nil, err
		}
	}
	out := new(apitype.BatchPutResult)
	for i, it := range req.Items {
		var p *apitype.Problem
		if len(it.Values) == 0 {
			p = &apitype.Problem{Code: bonded.CodeInvalid, Message: "no values given", Field: fmt.Sprintf("items[%d].values", i)}
		}
		for name, v := range it.Values {
			if at := fmt.Sprintf("items[%d].values.%s", i, name); !slices.Contains(g.fields, name) {
				p = &apitype.Problem{Code: bonded.CodeUnknownField, Message: "no such field", Field: at}
			} else if string(v) == `"wrong"` {
				p = &apitype.Problem{Code: bonded.CodeWrongType, Message: "not of the type", Field: at}
			}
		}
		if p != nil {
			out.Items = append(out.Items, apitype.PutItemResult{Error: p})
			continue
		}
		place := fmt.Sprintf("%s/%d", key, i)
		if g.stored[place] == nil {
			g.stored[place] = &apitype.PutResult{Subject: bonded.SubjectID{Cell: cell, ID: bonded.NewID()}}
		}
		out.Items = append(out.Items, apitype.PutItemResult{Result: g.stored[place]})
	}
	return out, nil
}

// an importing is one import with its files.
type importing struct {
	t       *testing.T
	g       *ground
	state   string
	rejects bytes.Buffer
}

const plainMap = `collection: users
purpose: onboarding
id: id
fields: {name: full_name}
facts: {residence: {column: country}}
`

func newImport(t *testing.T, g *ground) *importing {
	t.Helper()
	return &importing{t: t, g: g, state: filepath.Join(t.TempDir(), "state")}
}

func (i *importing) run(mapping, csv string) (*intake.Summary, error) {
	i.t.Helper()
	m, err := intake.ParseMapping("map.yaml", []byte(mapping))
	if err != nil {
		i.t.Fatal(err)
	}
	i.rejects.Reset()
	return intake.Run(i.t.Context(), strings.NewReader(csv), i.g, intake.Options{Mapping: m, State: i.state, Rejects: &i.rejects})
}

func (i *importing) must(mapping, csv string) *intake.Summary {
	i.t.Helper()
	sum, err := i.run(mapping, csv)
	if err != nil {
		i.t.Fatal(err)
	}
	return sum
}

func TestImportGoesOnWithTheSameRejects(t *testing.T) {
	i := newImport(t, newGround(t, "name"))
	csv := "id,full_name,country\n1,Ada,DE\n2,,DE\n3,wrong,DE\n,Bo,DE\n5,Cy,Germany\n6,Di,DE\n"
	for _, resumed := range []int{0, 2} {
		sum := i.must(plainMap, csv)
		if sum.Rows != 6 || sum.People["eu"] != 2 || sum.Rejected[bonded.CodeInvalid] != 3 || sum.Rejected[bonded.CodeWrongType] != 1 || sum.Resumed != resumed {
			t.Errorf("%+v, want 2 people, %d of them there already, and 4 rejected", sum, resumed)
		}
		want := "line,column,code,rule,message\n3,,invalid,,no values given\n4,full_name,wrong_type,,not of the type\n5,id,invalid,,no id\n6,country,invalid,,unknown country code\n"
		if got := i.rejects.String(); got != want {
			t.Errorf("rejects:\n%swant, in the order of lines and with the columns of the file:\n%s", got, want)
		}
		if f := sum.First[bonded.CodeInvalid]; f.Line != 3 || f.Message != "no values given" {
			t.Errorf("the first invalid row is %+v, want line 3", f)
		}
	}
	if len(i.g.stored) != 2 {
		t.Errorf("%d rows are stored, want 2", len(i.g.stored))
	}
}

func TestFieldUnknownToTheCellStopsTheImport(t *testing.T) {
	i := newImport(t, newGround(t, "name", "email"))
	var csv strings.Builder
	csv.WriteString("id,full_name,mail,country\n1,,ada@example.org,DE\n2,Bo,bo@example.org,DE\n") // the second row has every field
	for n := range 10*intake.BatchRows - 2 {
		fmt.Fprintf(&csv, "%d,Ada,,DE\n", n+3)
	}
	plainMap := strings.Replace(plainMap, "}\n", ", email: mail}\n", 1)
	typo := strings.Replace(plainMap, "name: full", "nome: full", 1)
	sum, err := i.run(typo, csv.String())
	e, ok := errors.AsType[*bonded.Error](err)
	if !ok || e.Code != bonded.CodeUnknownField || e.Field != "fields.nome" || !sum.Nothing() || i.g.calls != 1 {
		t.Errorf("%v after %d calls with %+v, want unknown_field at fields.nome after one call", err, i.g.calls, sum)
	}

	// Nothing was stored: the map that is right begins anew, with the same files.
	if sum = i.must(plainMap, csv.String()); sum.People["eu"] != 10*intake.BatchRows {
		t.Errorf("%+v, want everybody", sum)
	}
}

func TestFieldUnknownToTheCellKeepsWhatIsStored(t *testing.T) {
	i := newImport(t, newGround(t, "name"))
	two := strings.Replace(plainMap, "}\n", ", nick: nick}\n", 1)
	csv := "id,full_name,nick,country\n1,Ada,,DE\n2,Bo,,DE\n3,,C,DE\n"
	if _, err := i.run(two, csv); bonded.CodeOf(err) != bonded.CodeUnknownField || len(i.g.stored) != 2 {
		t.Fatalf("%v, want unknown_field when two rows without it are stored", err)
	}
	i.g.fields = append(i.g.fields, "nick") // the schema was what lacked it
	if sum := i.must(two, csv); sum.People["eu"] != 3 || len(i.g.stored) != 3 {
		t.Errorf("%+v and %d stored, want three people, each once", sum, len(i.g.stored))
	}
}

func TestConstantFactsAreCheckedBeforeTheRows(t *testing.T) {
	for facts, field := range map[string]string{
		"{residence: {column: country}, operator_class: [no_such_class]}":       "facts.operator_class",
		"{residence: {column: country}, citizenship: {values: [Germany]}}":      "facts.citizenship",
		"{citizenship: {column: country}}":                                      "facts.residence",
		"{residence: {values: [DE]}, operator_class: [cii_operator, no_class]}": "facts.operator_class",
	} {
		i := newImport(t, newGround(t, "name"))
		sum, err := i.run(strings.Replace(plainMap, "{residence: {column: country}}", facts, 1), "id,full_name,country\n1,Ada,DE\n")
		e, ok := errors.AsType[*bonded.Error](err)
		if !ok || e.Code != bonded.CodeInvalid || e.Field != field || !sum.Nothing() || i.g.calls != 0 {
			t.Errorf("%s: %v, want invalid at %s before any call", facts, err, field)
		}
		if _, err := os.Stat(i.state); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a state is left of an import that never began", facts)
		}
	}
}

func TestImportTellsAChangedMapFromAChangedFile(t *testing.T) {
	i := newImport(t, newGround(t, "name", "email"))
	csv := "id,full_name,country\n1,Ada,DE\n"
	i.must(plainMap, csv)
	if sum := i.must("# a comment\n"+plainMap, csv); sum.Resumed != 1 {
		t.Errorf("%+v: a comment made another map of it", sum)
	}
	_, err := i.run(strings.Replace(plainMap, "name: full_name", "email: full_name", 1), csv)
	if bonded.CodeOf(err) != bonded.CodeConflict || !strings.Contains(err.Error(), "the map is not the one") {
		t.Errorf("%v, want that the map is another", err)
	}
	_, err = i.run(plainMap, strings.Replace(csv, "Ada", "Bo", 1))
	if bonded.CodeOf(err) != bonded.CodeConflict || !strings.Contains(err.Error(), "the file is not the one") {
		t.Errorf("%v, want that the file is another", err)
	}
	if len(i.g.stored) != 1 {
		t.Errorf("%d rows are stored, want 1", len(i.g.stored))
	}
}

func TestImportKeepsItsStateWhenACellFails(t *testing.T) {
	i := newImport(t, newGround(t, "name"))
	var csv strings.Builder
	csv.WriteString("id,full_name,country\n")
	for n := range 10 * intake.BatchRows {
		fmt.Fprintf(&csv, "%d,Ada,DE\n", n)
	}
	const in = 2 * intake.BatchRows // the first row, 99 and 100
	i.g.fault = func(call int) error {
		if call > 3 {
			return bonded.Errorf(bonded.CodeBusy, "cell eu does not answer")
		}
		return nil
	}
	if sum, err := i.run(plainMap, csv.String()); bonded.CodeOf(err) != bonded.CodeBusy || sum.People["eu"] != in {
		t.Fatalf("%+v, %v, want busy after the first row and two batches", sum, err)
	}
	i.g.fault = nil
	if sum := i.must(plainMap, csv.String()); sum.People["eu"] != 10*intake.BatchRows || sum.Resumed != in || len(i.g.stored) != 10*intake.BatchRows {
		t.Errorf("%+v and %d stored, want everybody once", sum, len(i.g.stored))
	}
}
