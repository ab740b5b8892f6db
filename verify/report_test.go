package verify_test

import (
	"crypto/ed25519"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bonded/verify"
)

func period(t testing.TB, name string) verify.ReportPeriod {
	t.Helper()
	p, err := verify.ParseReportPeriod(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startOf(year int) int64 { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }

// randomWorld fills a year and what is around it with cases.
func randomWorld(t *rapid.T) *reportWorld {
	w := newReportWorld(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
	for range rapid.IntRange(0, 60).Draw(t, "cases") {
		w.add(startOf(2026) + int64(w.pick(500)-100)*86400)
	}
	return w
}

// trueCounts opens a report by its salts: counts by table, row and column.
func trueCounts(r *verify.Report, salts *verify.ReportSalts) map[string]map[string]int64 {
	out := map[string]map[string]int64{}
	name := func(table string, row *verify.ReportRow) string {
		return fmt.Sprint(table, " ", row.Kind, " ", row.Key)
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		for j := range t.Rows {
			m := map[string]int64{}
			for c := range t.Columns {
				if n := t.Rows[j].Cells[c].Count; n != nil {
					m[t.Columns[c]] = int64(*n)
				}
			}
			out[name(t.ID, &t.Rows[j])] = m
		}
	}
	for _, s := range salts.Cells {
		if n, err := strconv.ParseInt(s.Count, 10, 64); err == nil {
			out[name(s.Table, &r.Table(s.Table).Rows[s.Row])][s.Column] = n
		}
	}
	return out
}

// recount counts the requests of a period anew, from what the test remembers.
func (w *reportWorld) recount(p verify.ReportPeriod) map[string]map[string]int64 {
	from, to := p.From.Unix(), p.To.Unix()
	out := map[string]map[string]int64{}
	for _, c := range w.cases {
		if c.received >= to || c.decided != 0 && c.decided < from {
			continue
		}
		rows := []string{"requests total []", "requests closed []"}
		if c.open {
			rows[1] = fmt.Sprint("requests open ", []string{c.country, "eu", c.kind, c.process, c.class})
		}
		for _, row := range rows {
			m := out[row]
			if m == nil {
				m = map[string]int64{}
				out[row] = m
			}
			if c.received >= from {
				m["requests_received"]++
				m["targets_named"] += int64(c.targets)
			} else {
				m["carried_in"]++
			}
			if c.decided == 0 || c.decided >= to {
				m["requests_pending"]++
				continue
			}
			m[c.outcome]++
			m["subjects_affected"] += int64(c.subjects)
		}
	}
	return out
}

func TestReportEqualsNaiveRecount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		p, _ := verify.ParseReportPeriod(rapid.SampledFrom([]string{"2026-H1", "2026-H2", "2026", "2026-02-03/2026-08-09"}).Draw(t, "period"))
		r, salts, err := verify.NewReport(w.input(p))
		if err != nil {
			t.Fatal(err)
		}
		got, want := trueCounts(r, salts), w.recount(p)
		tab := r.Table("requests")
		for j := range tab.Rows {
			name := fmt.Sprint("requests ", tab.Rows[j].Kind, " ", tab.Rows[j].Key)
			row, sum := got[name], int64(0)
			for i, sign := range []int64{1, 1, 0, 0, -1, -1, -1, -1, -1, -1, -1} {
				v, ok := row[tab.Columns[i]]
				if !ok || v != want[name][tab.Columns[i]] {
					t.Fatalf("%s, %s: %d (%v), counted anew: %d", name, tab.Columns[i], v, ok, want[name][tab.Columns[i]])
				}
				sum += sign * v
			}
			if sum != 0 {
				t.Fatalf("%s does not add up: %d", name, sum)
			}
			delete(want, name)
		}
		for name, row := range want {
			if name != "requests closed []" {
				t.Fatalf("the report lacks %s: %v", name, row)
			}
		}
		if again, err := verify.ParseReport(r.Encode()); err != nil || !cmp.Equal(r, again) {
			t.Fatalf("does not read back: %v %s", err, cmp.Diff(r, again))
		}
	})
}

// published is the linear system that a report publishes about its requests and
// refusals: hidden cells are unknowns within their bands.
func published(r *verify.Report) (lo, hi []float64, eqs [][]float64, hidden []string) {
	var rows []map[int]float64
	unknown := func(c *verify.ReportCell, name string) int {
		l, h := 0.0, 1e6
		switch {
		case c.Count != nil:
			l, h = float64(*c.Count), float64(*c.Count)
		case c.Low != nil && c.High != nil:
			l, h = float64(*c.Low), float64(*c.High)
		}
		if c.Count == nil {
			hidden = append(hidden, name)
		} else {
			hidden = append(hidden, "")
		}
		lo, hi = append(lo, l), append(hi, h)
		return len(lo) - 1
	}
	refused := map[string][]int{} // by jurisdiction and process type
	codes := map[string][]int{}
	for _, id := range []string{"requests", "refusals", "secrecy"} {
		t := r.Table(id)
		signs := map[string][]float64{"requests": {1, 1, 0, 0, -1, -1, -1, -1, -1, -1, -1}, "secrecy": {1, 1, 0, 0, -1, -1, 0, 0, 0}, "refusals": {0}}[id]
		columns := make([]map[int]float64, len(signs))
		for j := range t.Rows {
			row := &t.Rows[j]
			eq := map[int]float64{}
			for i, s := range signs {
				if id == "requests" && s == 0 || id == "secrecy" && i > 5 && i < 8 {
					continue
				}
				v := unknown(&row.Cells[i], fmt.Sprint(id, " ", row.Kind, row.Key, " ", t.Columns[i]))
				if s != 0 {
					eq[v] = s
				}
				if columns[i] == nil {
					columns[i] = map[int]float64{}
				}
				columns[i][v] = 1
				if row.Kind == verify.RowTotal {
					columns[i][v] = -1
				}
				group := row.Kind
				if row.Kind == verify.RowOpen && id == "requests" {
					group += row.Key[0] + row.Key[3]
				} else if row.Kind == verify.RowOpen && id == "refusals" {
					group += row.Key[0] + row.Key[1]
				}
				if id == "requests" && t.Columns[i] == "requests_refused" {
					refused[group] = append(refused[group], v)
				}
				if id == "refusals" {
					codes[group] = append(codes[group], v)
				}
			}
			if len(eq) > 0 {
				rows = append(rows, eq)
			}
		}
		for _, c := range columns {
			if c != nil {
				rows = append(rows, c)
			}
		}
	}
	for g, vs := range refused {
		eq := map[int]float64{}
		for _, v := range vs {
			eq[v] = 1
		}
		for _, v := range codes[g] {
			eq[v] = -1
		}
		rows = append(rows, eq)
	}
	for _, eq := range rows {
		dense := make([]float64, len(lo))
		for v, s := range eq {
			dense[v] = s
		}
		eqs = append(eqs, dense)
	}
	return lo, hi, eqs, hidden
}

// attack checks that no hidden cell of a report can be narrowed below k values
// by solving the system that it publishes. Of a year it looks at closed cases
// only: its open rows say what both halves together say, which is less hidden
// than each (spec/report.md).
func attack(t interface{ Fatalf(string, ...any) }, r *verify.Report) {
	lo, hi, eqs, hidden := published(r)
	year := r.Period.To.Sub(r.Period.From) > 200*24*time.Hour
	for v, name := range hidden {
		if name == "" || year && strings.Contains(name, " open[") {
			continue
		}
		least, most := extreme(lo, hi, eqs, v, 1), extreme(lo, hi, eqs, v, -1)
		if values := math.Floor(most+1e-6) - math.Ceil(least-1e-6) + 1; values < float64(r.K) {
			t.Fatalf("%s can only be %v to %v", name, least, most)
		}
	}
}

func TestNoHiddenCellIsSolvable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		p, _ := verify.ParseReportPeriod(rapid.SampledFrom([]string{"2026-H1", "2026"}).Draw(t, "period"))
		in := w.input(p)
		in.K = uint64(rapid.IntRange(2, 6).Draw(t, "k"))
		r, _, err := verify.NewReport(in)
		if err != nil {
			t.Fatal(err)
		}
		attack(t, r)
	})
}

// The counts of this case are such that, without further cells hidden, all
// zeros would follow: as many came out in one way as came in.
func TestZerosThatWouldFollowAreHidden(t *testing.T) {
	w := newReportWorld(func(int) int { return 0 })
	for i := range 20 {
		c := &toldCase{country: "DE", kind: "police", process: "eu_epoc", class: "content", targets: 1, open: true}
		c.id[0] = byte(i + 1)
		at := startOf(2026) - 86400*int64(i%3) // of 13 before
		w.enter(c, at, verify.CaseEntry{Event: verify.EventTransition, From: "draft", State: "submitted", Detail: "routine domestic"})
		w.enter(c, startOf(2026)+86400, verify.CaseEntry{Event: verify.EventDelivery, Detail: "full", Subjects: 1})
	}
	r, _, err := verify.NewReport(w.input(period(t, "2026-H1")))
	if err != nil {
		t.Fatal(err)
	}
	row := r.Table("requests").Rows[0]
	got := ""
	for i := range row.Cells {
		got += row.Cells[i].String() + " "
	}
	if got != "5-9 10-19 7 20 20-24 <5 <5 <5 <5 <5 <5 withheld " {
		t.Errorf("row is %s", got)
	}
	attack(t, r)
}

func TestReportHoldsAndEveryChangedCellDoesNot(t *testing.T) {
	n := uint64(7)
	w := newReportWorld(func(m int) int { n = n*6364136223846793005 + 1442695040888963407; return int(n>>33) % m })
	for range 80 {
		w.add(startOf(2026) + int64(w.pick(180))*86400)
	}
	in := w.input(period(t, "2026-H1"))
	in.Operations = &verify.ReportTally{Period: in.Period, Proven: 30, Asserted: 4, Jobs: 2, FrontDoor: 7}
	r, salts, err := verify.NewReport(in)
	if err != nil {
		t.Fatal(err)
	}
	operator := ed25519.NewKeyFromSeed(make([]byte, 32))
	sign := func(r *verify.Report) []verify.Signature {
		s := r.Statement()
		s.Sign(verify.LabelReport, "admin", operator)
		return s.Signatures
	}
	evidence := func() *verify.ReportEvidence {
		return &verify.ReportEvidence{
			Ledger: w.ledger(), Public: w.public, Signatures: sign(r), Operator: verify.ReportSigner{Key: operator.Public().(ed25519.PublicKey)}, Salts: salts,
		}
	}
	check, err := verify.CheckReport(r, evidence())
	if err != nil || check.Committed != check.Hidden || check.Hidden == 0 || check.Open == 0 {
		t.Fatalf("%v, %+v", err, check)
	}
	full := evidence()
	full.Closed, full.HasClosed, full.Operations = w.closed, true, in.Operations
	if check, err := verify.CheckReport(r, full); err != nil || check.Closed == 0 {
		t.Fatalf("with closed entries: %v, %+v", err, check)
	}
	if r.Table("openings_by_vault_operation").Rows[0].Cells[5].String() != "5-9" {
		t.Error("what went through the front door is not in a band")
	}

	changed := 0
	for i := range r.Tables {
		for j := range r.Tables[i].Rows {
			for c := range r.Tables[i].Rows[j].Cells {
				other, err := verify.ParseReport(r.Encode())
				if err != nil {
					t.Fatal(err)
				}
				switch cell := &other.Tables[i].Rows[j].Cells[c]; {
				case cell.Count != nil:
					*cell.Count += 5
				case cell.High != nil:
					*cell.High += 5
				case cell.Commitment != nil:
					cell.Commitment[3] ^= 1
				default:
					continue
				}
				e := *full
				e.Signatures = sign(other)
				if _, err := verify.CheckReport(other, &e); verify.VerdictOf(err) != verify.DoesNotHold {
					t.Errorf("table %s, row %d, column %d changed: %v", r.Tables[i].ID, j, c, err)
				}
				changed++
			}
		}
	}
	if changed < 200 {
		t.Errorf("only %d cells were changed", changed)
	}
	if e := evidence(); true {
		e.Signatures = e.Signatures[:0]
		if _, err := verify.CheckReport(r, e); verify.VerdictOf(err) != verify.DoesNotHold {
			t.Errorf("unsigned: %v", err)
		}
	}
	if e := evidence(); true {
		e.Public = e.Public[1:]
		if _, err := verify.CheckReport(r, e); verify.VerdictOf(err) != verify.CannotTell {
			t.Errorf("an opening is missing: %v", err)
		}
	}
	late := *r
	late.Entries = late.Entries[1:]
	e := *full
	e.Signatures = sign(&late)
	if _, err := verify.CheckReport(&late, &e); verify.VerdictOf(err) != verify.DoesNotHold {
		t.Errorf("a case set aside: %v", err)
	}
}

func TestSecretCaseIsInTheTotalAndNowhereElse(t *testing.T) {
	w := newReportWorld(func(int) int { return 0 })
	c := &toldCase{country: "KP", kind: "security_service", process: "secret_order", class: "content", targets: 1}
	c.id[0] = 1
	w.enter(c, startOf(2026), verify.CaseEntry{Event: verify.EventTransition, From: "draft", State: "submitted", Detail: "routine direct_foreign"})
	w.enter(c, startOf(2026), verify.CaseEntry{Event: verify.EventSecrecy, Detail: "active"})
	r, salts, err := verify.NewReport(w.input(period(t, "2026-H1")))
	if err != nil {
		t.Fatal(err)
	}
	none := newReportWorld(func(int) int { return 0 })
	none.index = w.index
	blank, _, err := verify.NewReport(none.input(period(t, "2026-H1")))
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Tables {
		for j := range r.Tables[i].Rows {
			for c := range r.Tables[i].Rows[j].Cells {
				if a, b := r.Tables[i].Rows[j].Cells[c].String(), blank.Tables[i].Rows[j].Cells[c].String(); a != b {
					t.Errorf("table %s shows %s with the case and %s without", r.Tables[i].ID, a, b)
				}
			}
		}
	}
	if got := trueCounts(r, salts)["requests total []"]["requests_received"]; got != 1 {
		t.Errorf("the total counts %d", got)
	}
	if len(r.Encode()) != len(blank.Encode()) {
		t.Error("the reports differ in size")
	}
}

func TestReportVectors(t *testing.T) {
	n := uint64(1)
	w := newReportWorld(func(m int) int { n = n*6364136223846793005 + 1442695040888963407; return int(n>>33) % m })
	for range 14 {
		w.add(startOf(2026) + int64(w.pick(180))*86400)
	}
	in := w.input(period(t, "2026-H1"))
	in.Operations = &verify.ReportTally{Period: in.Period, Proven: 30, Asserted: 4, Jobs: 2, FrontDoor: 7}
	r, salts, err := verify.NewReport(in)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(o *verify.OpenedCase) any {
		return map[string]any{"index": o.Index, "leaf_hash": plain(o.Hash), "leaf_time": o.Leaf.Time, "entry": entryJSON(o.Entry)}
	}
	lists := [2][]any{}
	for _, o := range w.public {
		lists[0] = append(lists[0], entry(o))
	}
	for _, o := range w.closed {
		lists[1] = append(lists[1], entry(o))
	}
	query, policy, digest := verify.ReportQueryDigest(), verify.ReportPolicyDigest(5), r.Statement().Digest(verify.LabelReport)
	goldenJSON(t, "report.json", map[string]any{
		"note": "public and closed entries, the books' counts of the period, the report they make with salts that count from 1, and its salts", "period": "2026-H1",
		"public": lists[0], "closed": lists[1], "operations": map[string]uint64{"proven": 30, "vault_asserted": 4, "by_job": 2, "by_front_door": 7}, "query_digest": plain(query), "policy_digest": plain(policy),
		"report": string(r.Encode()), "salts": string(salts.Encode()), "digest": plain(digest),
	})
}

// entryJSON is what an entry has, empty fields left out.
func entryJSON(e *verify.CaseEntry) map[string]any {
	m := map[string]any{}
	for name, v := range map[string]string{
		verify.FieldType: e.Type, verify.FieldJurisdiction: e.Jurisdiction, verify.FieldRequester: e.Requester, verify.FieldProcess: e.Process,
		verify.FieldClass: e.Class, verify.FieldEvent: e.Event, verify.FieldFrom: e.From, verify.FieldState: e.State, verify.FieldActor: e.Actor, verify.FieldDetail: e.Detail,
		verify.FieldCase: e.Case.Hex(),
	} {
		if v != "" {
			m[name] = v
		}
	}
	for name, v := range map[string]uint64{verify.FieldNumber: e.Number, verify.FieldTargets: e.Targets, verify.FieldSubjects: e.Subjects, verify.FieldTime: e.Time} {
		if v != 0 {
			m[name] = v
		}
	}
	if e.Previous != [32]byte{} {
		m[verify.FieldPrevious] = plain(e.Previous)
	}
	return m
}

func FuzzParseReport(f *testing.F) {
	w := newReportWorld(func(int) int { return 0 })
	w.add(startOf(2026))
	r, salts, err := verify.NewReport(w.input(period(f, "2026-H1")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Encode())
	f.Add(salts.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := verify.ParseReport(b); err == nil {
			if string(r.Encode()) != string(b) {
				t.Fatal("two spellings")
			}
			_, _ = verify.CheckReport(r, &verify.ReportEvidence{Ledger: &verify.ReportLedger{Checkpoint: &verify.Checkpoint{}}})
		}
		if s, err := verify.ParseReportSalts(b); err == nil && string(s.Encode()) != string(b) {
			t.Fatal("two spellings")
		}
	})
}

func TestReportPeriods(t *testing.T) {
	for name, want := range map[string]string{
		"2026": "2026-01-01 2027-01-01", "2026-H1": "2026-01-01 2026-07-01", "2026-H2": "2026-07-01 2027-01-01",
		"2026-02-28/2026-03-01": "2026-02-28 2026-03-01", "2026-H3": "", "": "", "26": "", "2026-H1x": "", "2026-03-01/2026-03-01": "", "2026-": "",
	} {
		p, err := verify.ParseReportPeriod(name)
		got := ""
		if err == nil {
			got = p.From.Format(time.DateOnly) + " " + p.To.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
