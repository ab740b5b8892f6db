package regulation_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"bonded"
	"bonded/internal/regulation"
	"bonded/packs"
)

func shipped(t testing.TB) *regulation.Table {
	t.Helper()
	all, err := regulation.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	table, err := regulation.NewTable(all)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func day(t testing.TB, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestShippedPacksCoverTheFirstCountries(t *testing.T) {
	covered := map[bonded.Jurisdiction]bool{}
	for _, p := range shipped(t).Packs() {
		for _, j := range p.Covers {
			covered[j] = true
		}
	}
	for _, j := range []bonded.Jurisdiction{"CN", "DE", "FR", "NO", "RU", "IN", "GB", "BR", "US"} {
		if !covered[j] {
			t.Errorf("no shipped pack covers %s", j)
		}
	}
}

func TestKnownCountryHasTheISOList(t *testing.T) {
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if regulation.KnownCountry(bonded.Jurisdiction([]rune{a, b})) {
				n++
			}
		}
	}
	if n != 249 {
		t.Errorf("%d countries, want 249", n)
	}
	for _, j := range []bonded.Jurisdiction{"EU", "UK", "cn", "", "C", "CHN", "ZZ", "XK", "A ", " A", "\nC"} {
		if regulation.KnownCountry(j) {
			t.Errorf("%q passes as a country", j)
		}
	}
}

// A small pack that holds; each case below spoils it in one way.
const sound = `id: xx
version: 1.0.0
jurisdiction: CN
as_of: 2026-01
title: t
operator_classes: {bank: a bank}
sources:
  s: {title: a source}
rules:
  - id: r1
    title: t
    instrument: i
    lifecycle:
      - {date: 2020, status: in_force, cite: [s]}
      - {date: 2021-06, status: amended, cite: [s]}
    when: {residence: [CN], operator_class: [bank]}
    residency: {store_in: CN, at: always, copies_abroad: prohibited}
    cite: [s]
    confidence: high
`

func TestParseErrorsNamePlaceAndHint(t *testing.T) {
	if _, err := regulation.Parse("xx/1.0.0.yaml", []byte(sound)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, now, field, message, hint string }{
		"unknown key":         {"instrument: i", "instrment: i", "p:12:5", "unknown key instrment", "did you mean instrument?"},
		"missing key":         {"    confidence: high\n", "", "p:10:5", "each entry of rules lacks the key confidence", "add confidence: to it"},
		"unknown status":      {"status: amended", "status: amende", "p:15:33", "wrong value: expected a Status", "unknown status; did you mean amended?"},
		"bad date":            {"date: 2020,", "date: 2020-13,", "p:14:16", "wrong value: expected a Date", "not a date; write 2026-01-31, 2026-01 or 2026"},
		"dates out of order":  {"date: 2021-06", "date: 2019-06", "p:14:7", "lifecycle entries are in order of date", "move 2019-06 up"},
		"unknown country":     {"store_in: CN", "store_in: UK", "p:17:27", "unknown country code", "did you mean GB?"},
		"lower-case country":  {"residence: [CN]", "residence: [cn]", "p:16:23", "unknown country code", "did you mean CN?"},
		"unknown copies":      {"copies_abroad: prohibited", "copies_abroad: never", "p:17:58", "unknown rule for copies", "use allowed, allowed_with_basis or prohibited"},
		"undescribed class":   {"operator_class: [bank]", "operator_class: [banc]", "p:10:3", "rule r1 names an operator class that the pack does not describe", "add it to operator_classes"},
		"unlisted source":     {"    cite: [s]\n", "    cite: [z]\n", "p:10:3", "r1 cites a source that the pack does not list", "add it to sources"},
		"memory, not marked":  {"    cite: [s]\n", "    cite: [memory]\n", "p:18:11", "rests on memory alone", "add unverified: true, or a source"},
		"entry from memory":   {"amended, cite: [s]", "amended, cite: [memory]", "p:15:48", "rests on memory alone", "add unverified: true, or a source"},
		"marked, but sourced": {"    cite: [s]\n", "    cite: [s]\n    unverified: true\n", "p:19:17", "marked unverified, but cites a source", "remove one of them"},
		"no effect":           {"    residency: {store_in: CN, at: always, copies_abroad: prohibited}\n", "", "p:10:5", "a rule has exactly one effect", "give residency or opening_abroad"},
		"binds nobody":        {"    when: {residence: [CN], operator_class: [bank]}\n", "", "p:10:5", "a residency rule says whom it binds", "add when:"},
		"bad confidence":      {"confidence: high", "confidence: sure", "p:19:17", "unknown confidence", "use high, medium or low"},
		"bad version":         {"version: 1.0.0", "version: 1.0", "p:2:10", "a version is three numbers", "as in 1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(sound, c.old, c.now, 1)
			if text == sound {
				t.Fatal("the case changes nothing")
			}
			_, err := regulation.Parse("p", []byte(text))
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig {
				t.Fatalf("err = %v, want bad_config", err)
			}
			if e.Field != c.field || e.Message != c.message || e.Hint != c.hint {
				t.Errorf("got  %s | %s | %s\nwant %s | %s | %s", e.Field, e.Message, e.Hint, c.field, c.message, c.hint)
			}
		})
	}
}

func TestLoadWantsFileNamedAsPack(t *testing.T) {
	_, err := regulation.Load(fstest.MapFS{"xx/2.0.0.yaml": {Data: []byte(sound)}})
	var e *bonded.Error
	if !errors.As(err, &e) || e.Hint != "rename it to xx/1.0.0.yaml" {
		t.Errorf("err = %v, want a hint at the right name", err)
	}
}

func TestNewTableTakesNewestVersionAndRefusesSharedRuleID(t *testing.T) {
	version := func(id, v string) regulation.Pack {
		text := strings.NewReplacer("id: xx", "id: "+id, "1.0.0", v, "title: t\nop", "title: t "+v+"\nop").Replace(sound)
		p, err := regulation.Parse(id, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	table, err := regulation.NewTable([]regulation.Pack{version("xx", "1.10.0"), version("xx", "1.9.0")})
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Packs()[0].Name(); got != "xx@1.10.0" {
		t.Errorf("table uses %s, want xx@1.10.0", got)
	}
	if _, err := regulation.NewTable([]regulation.Pack{version("xx", "1.0.0"), version("yy", "1.0.0")}); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("two packs with one rule id: %v, want bad_config", err)
	}
}

func TestLifecycleHoldsFromTheFirstDayOfItsDate(t *testing.T) {
	p, err := regulation.Parse("p", []byte(sound))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		day  string
		want regulation.Status
	}{{"2019-12-31", ""}, {"2020-01-01", "in_force"}, {"2021-05-31", "in_force"}, {"2021-06-01", "amended"}, {"2099-01-01", "amended"}} {
		if e, _ := p.Rules[0].Lifecycle.On(day(t, c.day)); e.Status != c.want {
			t.Errorf("on %s: %q, want %q", c.day, e.Status, c.want)
		}
	}
	last, _ := p.Rules[0].Lifecycle.On(time.Date(2021, 5, 31, 23, 0, 0, 0, time.FixedZone("west", -2*3600)))
	if last.Status != "amended" {
		t.Errorf("the day is not counted in UTC: %s", last.Status)
	}
}

func TestForbidsFollowTheLifecycle(t *testing.T) {
	table := shipped(t)
	if got := table.Forbids(day(t, "2021-10-31")); len(got) != 0 {
		t.Errorf("before the law: %v", got)
	}
	got := table.Forbids(day(t, "2026-11-23"))
	if len(got) != 1 || got[0].RuleID != "cn-pipl-38-bases" || got[0].HeldIn != "CN" || got[0].Unverified {
		t.Errorf("forbids = %+v, want cn-pipl-38-bases, verified", got)
	}
	if next, ok := table.NextChange(day(t, "2025-12-31")); !ok || !next.Equal(day(t, "2026-01-01")) {
		t.Errorf("next change = %v, %v", next, ok)
	}
	if next, ok := table.NextChange(day(t, "2026-11-23")); ok {
		t.Errorf("a change that no pack knows: %v", next)
	}

	p, err := regulation.Parse("p", []byte(sound))
	if err != nil {
		t.Fatal(err)
	}
	strict, err := regulation.NewTable([]regulation.Pack{p})
	if err != nil {
		t.Fatal(err)
	}
	if got := strict.Forbids(day(t, "2026-01-01")); len(got) != 1 || got[0].RuleID != "r1" {
		t.Errorf("a ban on copies gives %v, want r1", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	names, err := fs.Glob(packs.Files, "*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(packs.Files, n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := regulation.Parse("f", text)
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeConfig {
				t.Fatalf("error without the code: %v", err)
			}
			return
		}
		if _, err := regulation.NewTable([]regulation.Pack{p}); err != nil {
			t.Fatalf("a pack that parses makes no table: %v", err)
		}
	})
}
