package verify

import (
	"crypto/sha256"
	"strconv"
	"strings"

	"bonded/internal/canon"
)

// A columnKind says how a column adds up and how it is hidden.
type columnKind uint8

const (
	columnFlow   columnKind = iota // a count of what happened in the period
	columnStart                    // a count of what stood at its start
	columnEnd                      // a count of what stands at its end
	columnPeople                   // a count of people or targets: hidden with the requests of its row, in wide bands
	columnStat                     // a figure over a count of the row: hidden with it
	columnPlain                    // about the firm itself: never hidden
)

// A reportColumn is one column of a table.
type reportColumn struct {
	name string
	kind columnKind
	sign int    // in the equation of the row; 0 if it has no part in it
	of   string // of a figure or a count of people: the columns of the row it is hidden with, one after the other
}

// A reportTable defines one table of the report.
type reportTable struct {
	id      string
	dims    []string
	columns []reportColumn
	counted bool // has rows by key, a row of closed cases, and a total
	note    string
}

const notYet = "no such cases are taken yet"

// reportTables are all tables in their order, after report-layout.yaml.
var reportTables = []reportTable{
	{id: "requests", dims: []string{"jurisdiction", "cell", "requester_kind", "process_type", "data_class"}, counted: true, columns: []reportColumn{
		{name: "requests_received", sign: 1},
		{name: "carried_in", kind: columnStart, sign: 1},
		{name: "targets_named", kind: columnPeople, of: "requests_received"},
		{name: "subjects_affected", kind: columnPeople, of: "requests_received"},
		{name: "requests_opened_full", sign: -1},
		{name: "requests_opened_part", sign: -1},
		{name: "requests_refused", sign: -1},
		{name: "requests_withdrawn", sign: -1},
		{name: "requests_lapsed", sign: -1},
		{name: "requests_no_data", sign: -1},
		{name: "requests_pending", kind: columnEnd, sign: -1},
		{name: "percent_some_data", kind: columnStat, of: "requests_opened_full requests_opened_part requests_refused requests_withdrawn requests_lapsed requests_no_data"},
	}},
	{id: "refusals", dims: []string{"jurisdiction", "process_type", "reject_code"}, counted: true, columns: []reportColumn{{name: "count"}}},
	{id: "narrowing_and_challenge", dims: []string{"jurisdiction", "process_type"}, counted: true, columns: []reportColumn{
		{name: "narrowed"},
		{name: "challenged_by_firm"},
		{name: "challenged_by_subject"},
		{name: "challenges_won"},
		{name: "challenges_lost"},
		{name: "challenges_open", kind: columnEnd},
	}},
	{id: "emergency", dims: []string{"jurisdiction"}, counted: true, columns: []reportColumn{
		{name: "received"},
		{name: "opened"},
		{name: "refused"},
		{name: "ratified"},
		{name: "unratified"},
		{name: "found_fraudulent"},
		{name: "median_minutes_to_decision", kind: columnStat, of: "opened refused"},
	}},
	{id: "preservation", dims: []string{"jurisdiction"}, counted: true, columns: []reportColumn{
		{name: "received"}, {name: "subjects_held", kind: columnPeople, of: "received"}, {name: "extended"}, {name: "turned_into_production"}, {name: "released"},
	}},
	{id: "notice", dims: []string{"jurisdiction"}, counted: true, columns: []reportColumn{
		{name: "told_before"}, {name: "told_after"}, {name: "deferred_by_secrecy"}, {name: "authority_informs"}, {name: "not_told_other"},
	}},
	{id: "secrecy", dims: []string{"jurisdiction"}, counted: true, columns: []reportColumn{
		{name: "active_at_start", kind: columnStart, sign: 1},
		{name: "new", sign: 1},
		{name: "reviewed"},
		{name: "extended"},
		{name: "ended", sign: -1},
		{name: "active_at_end", kind: columnEnd, sign: -1},
		{name: "median_age_days", kind: columnStat, of: "active_at_end"},
		{name: "oldest_age_days", kind: columnStat, of: "active_at_end"},
		{name: "challenged"},
	}},
	{id: "national_security_bands", dims: []string{"jurisdiction", "option", "category"}, columns: plainColumns("band_low", "band_high"), note: notYet},
	{id: "cross_border", dims: []string{"jurisdiction", "route"}, counted: true, columns: []reportColumn{{name: "count"}, {name: "opened"}}},
	{id: "exports", dims: []string{"from_cell", "to_jurisdiction", "basis"}, columns: plainColumns("distinct_subjects", "sensitive_subjects", "counter_band", "exempt_subjects"), note: notYet},
	{id: "rights", dims: []string{"jurisdiction", "right"}, columns: plainColumns("received", "done", "refused", "past_deadline", "median_days"), note: notYet},
	{
		id: "source_access", dims: []string{"jurisdiction", "requester_kind", "product"}, note: notYet,
		columns: plainColumns("sessions", "hours", "files_viewed", "findings_raised", "findings_fixed", "releases", "rebuild_match"),
	},
	{
		id: tableCustody, dims: []string{"as_of"}, columns: plainColumns("quorum_n", "threshold_m", "organisations", "jurisdictions", "ceremonies", "refreshes", "custodians_changed"),
		note: "organisations are the roles of the key set; certificates name no jurisdiction",
	},
	{id: tableOperations, columns: []reportColumn{
		{name: "decrypt_operations_total"}, // of all that follow, unexplained among them, but the two parts of by_application_policy
		{name: "by_application_policy", kind: columnPlain},
		{name: "proven", kind: columnPlain},
		{name: "vault_asserted", kind: columnPlain},
		{name: "by_job", kind: columnPlain},
		{name: "by_front_door"},
		{name: "by_subject", kind: columnPlain},
		{name: "by_recovery_drill", kind: columnPlain},
		{name: "unexplained", kind: columnPlain},
	}, note: "counted in the vault's journal and the keyholder's book; by_application_policy is proven and vault_asserted; unexplained are key releases without an entry"},
}

// Tables that are made of something else than the entries of cases.
const (
	tableCustody    = "custody"
	tableOperations = "openings_by_vault_operation"
)

// Routes that cross a border; the others are not counted in that table.
var crossBorderRoutes = []string{"mlat", "cloud_act_agreement", "eu_epo", "letter_rogatory", "direct_foreign"}

func plainColumns(names ...string) []reportColumn {
	out := make([]reportColumn, len(names))
	for i, n := range names {
		out[i] = reportColumn{name: n, kind: columnPlain}
	}
	return out
}

func (t *reportTable) column(name string) int {
	for i := range t.columns {
		if t.columns[i].name == name {
			return i
		}
	}
	return -1
}

// parts returns the columns that column i is hidden with.
func (t *reportTable) parts(i int) (out []int) {
	for name := range strings.FieldsSeq(t.columns[i].of) {
		out = append(out, t.column(name))
	}
	return out
}

func (t *reportTable) columnNames() []string {
	out := make([]string, len(t.columns))
	for i := range t.columns {
		out[i] = t.columns[i].name
	}
	return out
}

// ReportQueryDigest is the digest of what this version counts: names of all
// tables, dimensions and columns, and the part of each column in the sum of its
// row.
func ReportQueryDigest() [32]byte {
	var w canon.Writer
	w.String("bonded/report-query/1")
	w.Uint(uint64(len(reportTables)))
	for i := range reportTables {
		t := &reportTables[i]
		w.String(t.id)
		w.Uint(uint64(len(t.dims)))
		for _, d := range t.dims {
			w.String(d)
		}
		w.Uint(uint64(len(t.columns)))
		for j := range t.columns {
			c := &t.columns[j]
			w.String(c.name)
			w.Byte(byte(c.kind))
			w.Byte(byte(c.sign + 1)) //nolint:gosec // 0, 1 or 2
			w.String(c.of)
		}
	}
	return sha256.Sum256(w.B)
}

// ReportPolicyDigest is the digest of how cells are hidden under k.
func ReportPolicyDigest(k uint64) [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/report-policy/1"), []byte(strconv.FormatUint(k, 10)), []byte("bands of k, doubled; people in 100, 250, 500, 1000")))
}
