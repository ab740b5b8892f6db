package regulation_test

import (
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bonded"
	"bonded/internal/regulation"
	"bonded/internal/yamlstrict"
)

var deployments = map[string]regulation.Deployment{
	"dev": {Default: "eu", Cells: []regulation.Cell{
		{ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}}, {ID: "eu", Jurisdictions: []bonded.Jurisdiction{"EU"}},
	}},
	"all": {Default: "eu", Cells: []regulation.Cell{
		{ID: "ru", Jurisdictions: []bonded.Jurisdiction{"RU"}},
		{ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}},
		{ID: "eu", Jurisdictions: []bonded.Jurisdiction{"EU"}},
	}},
	"east": {Default: "ru", Cells: []regulation.Cell{
		{ID: "ru", Jurisdictions: []bonded.Jurisdiction{"RU"}}, {ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}},
	}},
}

type routeCase struct {
	Name        string                `yaml:"name" required:"true"`
	Residence   []bonded.Jurisdiction `yaml:"residence"`
	Citizenship []bonded.Jurisdiction `yaml:"citizenship"`
	Collected   []bonded.Jurisdiction `yaml:"collected"`
	Service     []bonded.Jurisdiction `yaml:"service"`
	Class       []string              `yaml:"class"`
	On          regulation.Date       `yaml:"on"`
	Deployment  string                `yaml:"deployment"`
	Cell        bonded.CellID         `yaml:"cell"`
	Rule        string                `yaml:"rule"`
	All         []string              `yaml:"all"`
	Unverified  bool                  `yaml:"unverified"`
	Code        bonded.Code           `yaml:"code"`
	Field       string                `yaml:"field"`
}

func TestRoutesOfShippedPacks(t *testing.T) {
	text, err := os.ReadFile("testdata/routes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []routeCase
	if err := yamlstrict.Decode("testdata/routes.yaml", text, &cases); err != nil {
		t.Fatal(err)
	}
	table := shipped(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			on := day(t, "2026-11-23")
			if c.On.String() != "" {
				on = c.On.First()
			}
			facts := regulation.Facts{Residence: c.Residence, Citizenship: c.Citizenship, Collected: c.Collected, Service: c.Service, OperatorClass: c.Class}
			d, err := table.Route(on, facts, deployments[or(c.Deployment, "dev")])
			if got := bonded.CodeOf(err); got != c.Code {
				t.Fatalf("err = %v, want code %q", err, c.Code)
			}
			if d.Cell != c.Cell || d.RuleID != c.Rule || d.Unverified != c.Unverified {
				t.Errorf("cell %q by %q, unverified %v; want %q by %q, %v", d.Cell, d.RuleID, d.Unverified, c.Cell, c.Rule, c.Unverified)
			}
			if c.All != nil && !slices.Equal(d.Rules, c.All) {
				t.Errorf("rules %v, want %v", d.Rules, c.All)
			}
			if e, ok := errors.AsType[*bonded.Error](err); ok {
				if e.Field != c.Field {
					t.Errorf("field %q, want %q", e.Field, c.Field)
				}
				if e.Hint == "" {
					t.Error("no hint")
				}
				if c.Code != bonded.CodeInvalid && !slices.Equal(e.Rules, d.Rules) {
					t.Errorf("error names rules %v, want %v", e.Rules, d.Rules)
				}
			} else if d.Reason == "" || len(d.Considered) == 0 {
				t.Errorf("a decision without reason or rules considered: %+v", d)
			}
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestRouteSaysWhatItAssumed(t *testing.T) {
	d, _ := shipped(t).Route(day(t, "2026-11-23"), regulation.Facts{Residence: []bonded.Jurisdiction{"RU"}}, deployments["all"])
	if want := "citizenship not given, residence stands for it"; !strings.HasSuffix(d.Reason, want) {
		t.Errorf("reason %q does not end with %q", d.Reason, want)
	}
	d, _ = shipped(t).Route(day(t, "2026-11-23"), regulation.Facts{Residence: []bonded.Jurisdiction{"JP"}}, deployments["dev"])
	if want := "no pack covers JP, so nothing is known of its law"; !strings.Contains(d.Reason, want) {
		t.Errorf("reason %q does not say %q", d.Reason, want)
	}
}

func TestRouteWantsItsDefaultCell(t *testing.T) {
	_, err := shipped(t).Route(day(t, "2026-11-23"), regulation.Facts{Residence: []bonded.Jurisdiction{"DE"}}, regulation.Deployment{Default: "eu"})
	if bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("err = %v, want bad_config", err)
	}
}

func TestOrderOfRulesPacksAndCellsDoesNotMatter(t *testing.T) {
	packs, err := regulation.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	table := shipped(t)
	countries := []bonded.Jurisdiction{"CN", "RU", "DE", "US", "JP"}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(countries), 0, 3, rapid.ID[bonded.Jurisdiction])
		f := regulation.Facts{
			Residence:     rapid.SliceOfNDistinct(rapid.SampledFrom(countries), 1, 3, rapid.ID[bonded.Jurisdiction]).Draw(t, "residence"),
			Citizenship:   some.Draw(t, "citizenship"),
			Collected:     some.Draw(t, "collected"),
			OperatorClass: rapid.SliceOfDistinct(rapid.SampledFrom(table.OperatorClasses()), rapid.ID[string]).Draw(t, "class"),
		}
		on := time.Date(rapid.IntRange(2014, 2027).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		d := deployments[rapid.SampledFrom([]string{"dev", "all", "east"}).Draw(t, "deployment")]
		want, wantErr := table.Route(on, f, d)

		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		mixed := slices.Clone(packs)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		for i := range mixed {
			rules := slices.Clone(mixed[i].Rules)
			r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
			mixed[i].Rules = rules
		}
		other, err := regulation.NewTable(mixed)
		if err != nil {
			t.Fatal(err)
		}
		cells := slices.Clone(d.Cells)
		r.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		got, gotErr := other.Route(on, f, regulation.Deployment{Cells: cells, Default: d.Default})
		if diff := cmp.Diff(want, got); diff != "" || bonded.CodeOf(wantErr) != bonded.CodeOf(gotErr) {
			t.Fatalf("another order decides otherwise: %v, %v\n%s", wantErr, gotErr, diff)
		}
		if gotErr == nil && got.Home != "" && !slices.ContainsFunc(d.Cells, func(c regulation.Cell) bool {
			return c.ID == got.Cell && slices.Contains(c.Jurisdictions, got.Home)
		}) {
			t.Fatalf("cell %s does not stand in the home %s", got.Cell, got.Home)
		}
	})
}

// TestOfficeholdersRouteByCountry counts the people of a real file by cell.
// The file is public and too large to keep here: name it in
// BONDED_OFFICEHOLDERS.
func TestOfficeholdersRouteByCountry(t *testing.T) {
	name := os.Getenv("BONDED_OFFICEHOLDERS")
	if name == "" {
		t.Skip("BONDED_OFFICEHOLDERS does not name the file of officeholders (person_id,country,…)")
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	table := shipped(t)
	people := map[string]bool{}
	got := map[string]int{}
	for _, row := range rows[1:] {
		if people[row[0]] {
			continue
		}
		people[row[0]] = true
		d, err := table.Route(day(t, "2026-11-23"), regulation.Facts{
			Residence: []bonded.Jurisdiction{bonded.Jurisdiction(row[1])}, OperatorClass: []string{"cii_operator"},
		}, deployments["dev"])
		if err != nil {
			got[string(bonded.CodeOf(err))+" "+d.RuleID]++
			continue
		}
		got[string(d.Cell)]++
	}
	want := map[string]int{"cn": 2956, "eu": 3514, "no_cell ru-localise": 450}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
}

func BenchmarkRoute(b *testing.B) {
	table := shipped(b)
	on := day(b, "2026-11-23")
	f := regulation.Facts{Residence: []bonded.Jurisdiction{"CN"}, OperatorClass: []string{"cii_operator"}}
	for b.Loop() {
		if _, err := table.Route(on, f, deployments["dev"]); err != nil {
			b.Fatal(err)
		}
	}
}
