package portal

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"bonded"
	"bonded/internal/locale"
	"bonded/internal/ui"
	"bonded/verify"
)

// menuItems are the pages in their order, by the key of their words.
var menuItems = []struct{ key, file string }{
	{"portal.menu_cell", "index.html"},
	{"portal.menu_ledger", "ledger.html"},
	{"portal.menu_report", "report.html"},
	{"portal.menu_statement", "statement.html"},
	{"portal.menu_verify", "verify.html"},
	{"portal.menu_mydata", "my-data.html"},
}

// A view is one page in one language.
type view struct {
	*locale.Printer
	*builder

	file string
}

// put writes a page.
func (x *view) put(title string, content templ.Component) error {
	p := &ui.Page{
		Printer: x.Printer, Title: title + " · " + x.where(x.Printer), Site: x.T("portal.site"), Where: x.where(x.Printer), Home: "index.html",
		Asset: func(name string) string { return "../" + x.folder + name }, Integrity: x.integrity, Policy: x.policyText(),
		Foot: foot(x),
	}
	for _, it := range menuItems {
		p.Menu = append(p.Menu, ui.Item{Key: it.key, Href: it.file, Current: it.file == x.file || it.file == "ledger.html" && strings.HasPrefix(x.file, "ledger-")})
	}
	for _, tag := range x.words.Languages() {
		p.Tongues = append(p.Tongues, ui.Tongue{Tag: tag, Name: x.words.Name(tag), Href: "../" + tag + "/" + x.file, Current: tag == x.Lang})
	}
	if x.Wasm != nil {
		p.Scripts = append(p.Scripts, execFile)
	}
	p.Scripts = append(p.Scripts, "verify.js", "portal.js")
	var buf bytes.Buffer
	if err := ui.Frame(p).Render(templ.WithChildren(context.Background(), content), &buf); err != nil {
		return err
	}
	x.files[x.Lang+"/"+x.file] = buf.Bytes()
	return nil
}

func (b *builder) integrity(name string) string { return b.assets[name].Integrity }

func (b *builder) putPages(tag string) error {
	x := &view{Printer: b.words.Printer(tag), builder: b}
	pages := pagesOf(b.Entries)
	type page struct {
		file, title string
		content     templ.Component
	}
	list := []page{
		{"index.html", x.T("portal.menu_cell"), cellPage(x)},
		{"report.html", x.T("portal.menu_report"), reportPage(x)},
		{"statement.html", x.T("portal.menu_statement"), statementPage(x)},
		{"verify.html", x.T("portal.menu_verify"), verifyPage(x)},
		{"my-data.html", x.T("portal.menu_mydata"), myDataPage(x)},
	}
	for i, entries := range pages {
		list = append(list, page{ledgerPage(i + 1), x.T("portal.menu_ledger"), explorerPage(x, entries, i+1, len(pages))})
	}
	for _, p := range list {
		x.file = p.file
		if err := x.put(p.title, p.content); err != nil {
			return err
		}
	}
	return nil
}

// putIndex writes the page that lets a reader choose the language.
func (b *builder) putIndex() error {
	x := b.words.Printer(locale.Base)
	p := &ui.Page{
		Printer: x, Title: b.where(x), Site: x.T("portal.site"), Where: b.where(x),
		Home: "en/index.html", Asset: func(name string) string { return b.folder + name }, Integrity: b.integrity, Policy: b.policyText(), Narrow: true,
	}
	var buf bytes.Buffer
	if err := ui.Frame(p).Render(templ.WithChildren(context.Background(), indexPage(b)), &buf); err != nil {
		return err
	}
	b.files["index.html"] = buf.Bytes()
	return nil
}

// scriptData is what a page tells its script.
func (x *view) scriptData() map[string]any {
	say := map[string]string{}
	for _, k := range x.Keys() {
		if rest, ok := strings.CutPrefix(k, "say."); ok {
			say[rest] = x.T(k)
		}
		for _, words := range []string{"caseevent.", "casestate.", "officer.process."} { // of opened entries
			if strings.HasPrefix(k, words) {
				say[k] = x.T(k)
			}
		}
	}
	d := map[string]any{
		"cell": x.Cell, "lang": x.Lang, "ledger": strings.TrimSuffix(x.cell.Ledger, "/") + "/", "api": strings.TrimSuffix(x.cell.API, "/"),
		"assets": x.folder, "say": say, "size": x.Checkpoint.Size, "feed": x.Feed,
		"report": x.Report != nil, "statement": x.Input.Statement != nil,
	}
	if x.Wasm != nil {
		d["wasm"], d["wasm_sha256"] = wasmFile, fmt.Sprintf("%x", verify.PortalDigest(x.Wasm))
	}
	return d
}

// where names cell and operator in the head of a page.
func (b *builder) where(p *locale.Printer) string {
	if b.Operator == "" {
		return p.T("portal.where", "cell", string(b.Cell))
	}
	return p.T("portal.where_of", "cell", string(b.Cell), "operator", b.Operator)
}

func (x *view) cellTitle() string {
	if x.Operator == "" {
		return x.T("portal.cell_title", "cell", string(x.Cell))
	}
	return x.T("portal.cell_title_of", "cell", string(x.Cell), "operator", x.Operator)
}

// jurisdictions in words; the codes where there are none.
func (x *view) jurisdictions() string {
	var out []string
	for _, j := range x.cell.Jurisdictions {
		out = append(out, x.country(j))
	}
	return strings.Join(out, x.T("portal.comma"))
}

// country is the name of a jurisdiction in the language of the page.
func (x *view) country(j bonded.Jurisdiction) string {
	r, err := language.ParseRegion(string(j))
	if err != nil {
		return string(j)
	}
	names := display.Regions(language.Make(x.Lang))
	if names == nil || names.Name(r) == "" {
		return string(j)
	}
	return names.Name(r)
}

// witnessed is when a quorum last saw the checkpoint of this build.
func (x *view) witnessed() time.Time { return x.Checkpoint.WitnessTime() }

// quorumWords says how many witnesses have to cosign: the smallest number that
// always is enough.
func (x *view) witnessCount() int { return len(x.builder.policy.Witnesses()) }

// people is how many custodians a role needs of how many.
func (x *view) people(r *verify.CustodianRole) string {
	return x.T("portal.of_people", "k", r.Threshold, "n", len(r.Members))
}

// member names a custodian, with their organisation where the operator says it.
func (x *view) member(id string) string {
	if name := x.Organisations[id]; name != "" {
		return x.T("portal.member_of", "id", id, "organisation", name)
	}
	return id
}

func (x *view) members(r *verify.CustodianRole) string {
	var out []string
	for i := range r.Members {
		out = append(out, x.member(r.Members[i].ID))
	}
	return strings.Join(out, x.T("portal.comma"))
}

// kind names an entry: what it is, or that it is sealed.
func (x *view) kind(e *Entry) string {
	switch {
	case e.Leaf.Kind != verify.LeafCase:
		return x.T("portalkind." + kindName(e.Leaf.Kind))
	case e.sealed():
		return x.T("portal.sealed")
	case e.Opened.Entry.Type == "": // not to be opened
		return x.T("portal.entry_withheld")
	}
	return x.Or("portalentry."+e.Opened.Entry.Type, e.Opened.Entry.Type)
}

// tile names how many leaves of a kind there are.
func (x *view) tile(k verify.LeafKind) string {
	return x.N("portaltile."+kindName(k), int(min(x.Counts[k], math.MaxInt32)))
}

// inRun says what a row of several entries is of, such as "40 sealed, 10 anchors".
func (x *view) inRun(r run) string {
	var sealed, covers, register, dates, anchors int
	for i := range r {
		switch {
		case r[i].sealed():
			sealed++
		case r[i].is(verify.EntryCover):
			covers++
		case r[i].is(verify.EntryRegistry):
			register++
		case r[i].is(verify.EntryExtension):
			dates++
		default:
			anchors++
		}
	}
	var parts []string
	for _, c := range []struct {
		key string
		n   int
	}{{"portal.run_sealed", sealed}, {"portal.run_covers", covers}, {"portal.run_register", register}, {"portal.run_dates", dates}, {"portal.run_anchors", anchors}} {
		if c.n > 0 {
			parts = append(parts, x.N(c.key, c.n))
		}
	}
	return strings.Join(parts, x.T("portal.comma"))
}

// runTime is between which times the entries of a row, newest first, were made.
func (x *view) runTime(r run) string {
	from, to := x.Minute(seconds(r[len(r)-1].Leaf.Time)), x.Minute(seconds(r[0].Leaf.Time))
	if from == to {
		return from
	}
	return x.T("portal.run_time", "from", from, "to", to)
}

// openBy is by when an entry is to be opened; empty if it never is.
func (x *view) openBy(e *Entry) string {
	if e.Leaf.OpenBy == 0 {
		return ""
	}
	return x.Minute(seconds(e.Leaf.OpenBy))
}

func kindName(k verify.LeafKind) string {
	switch k {
	case verify.LeafAnchor:
		return "anchor"
	case verify.LeafDirectory:
		return "directory"
	case verify.LeafCase:
		return "case"
	case verify.LeafControl:
		return "control"
	}
	return "other"
}

// opened is what an entry of a case says, as far as it was opened.
func (x *view) opened(e *Entry) string {
	if e.Opened == nil || e.Opened.Entry.Type != verify.EntryCase {
		return ""
	}
	o := e.Opened.Entry
	var parts []string
	for _, v := range []struct{ words, value string }{
		{"caseevent.", o.Event}, {"casestate.", o.State}, {"officer.process.", o.Process}, {"casedetail.", o.Detail},
	} {
		if v.value != "" {
			parts = append(parts, x.Or(v.words+v.value, human(v.value)))
		}
	}
	if o.Jurisdiction != "" {
		parts = append(parts, x.country(bonded.Jurisdiction(o.Jurisdiction)))
	}
	return strings.Join(parts, x.T("portal.comma"))
}

func human(s string) string { return strings.ReplaceAll(s, "_", " ") }

func seconds(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(min(n, 1<<40)), 0).UTC() //nolint:gosec // bounded
}

// command is the check that says the same without this page.
func (x *view) command(args ...string) string {
	return strings.Join(append([]string{"bonded-verify"}, args...), " ")
}

func (x *view) onCell() string { return "--directory cells.json --cell " + string(x.Cell) }

// says is the statement in the language of the page, or in the one there is.
func (x *view) says() (text, lang string) {
	best := x.Stated.Says[0]
	for _, s := range x.Stated.Says {
		if s.Lang == x.Lang || s.Lang == locale.Base && best.Lang != x.Lang {
			best = s
		}
	}
	return best.Text, best.Lang
}

// A tableView is one table of the report.
type tableView struct {
	*verify.ReportTable

	chart *ui.Chart // nil: nothing to draw
}

// tables are those of the report that have rows, the openings first.
func (x *view) tables() (out []*tableView, none []string) {
	const headline = "openings_by_vault_operation"
	for i := range x.Report.Tables {
		t := &x.Report.Tables[i]
		if len(t.Rows) == 0 {
			none = append(none, x.tableName(t.ID))
			continue
		}
		v := &tableView{t, x.chart(t)}
		if t.ID == headline {
			out = slices.Insert(out, 0, v)
		} else {
			out = append(out, v)
		}
	}
	return out, none
}

// people are the columns that count people in a table of requests: of another
// size, they stand in the table alone.
var people = map[string]bool{"targets_named": true, "subjects_affected": true, "subjects_held": true}

// chart draws the last row of a table, which is its total or its only one: what
// is known of each count, and up to what a hidden one may go.
func (x *view) chart(t *verify.ReportTable) *ui.Chart {
	c := &ui.Chart{Title: x.T("portal.chart_of", "table", x.tableName(t.ID)), Series: []ui.Series{{Name: x.T("portal.chart_known")}, {Name: x.T("portal.chart_upto"), UpTo: true}}}
	row := &t.Rows[len(t.Rows)-1]
	for j, column := range t.Columns {
		if strings.HasPrefix(column, "percent_") || strings.HasPrefix(column, "median_") || strings.HasPrefix(column, "oldest_") || strings.HasSuffix(column, "_total") || people[column] {
			continue
		}
		low, high := span(&row.Cells[j])
		c.Labels = append(c.Labels, x.columnName(t.ID, column))
		c.Series[0].Values = append(c.Series[0].Values, low)
		c.Series[1].Values = append(c.Series[1].Values, high-low)
	}
	if len(c.Labels) < 2 || slices.Max(c.Series[0].Values) == 0 {
		return nil // one number, nothing but zeros, or nothing but what is hidden
	}
	return c
}

// span is what a count lies between; without an upper end it is taken at its lower.
func span(c *verify.ReportCell) (low, high int64) {
	const most = 1 << 53
	num := func(n *uint64) int64 { return int64(min(*n, most)) } //nolint:gosec // bounded
	switch {
	case c.Count != nil:
		return num(c.Count), num(c.Count)
	case c.Low != nil && c.High != nil:
		return num(c.Low), num(c.High)
	case c.Low != nil:
		return num(c.Low), num(c.Low)
	}
	return 0, 0
}

// issued is when the directory was issued.
func (x *view) issued() string {
	if t, err := time.Parse(time.RFC3339, x.dir.Issued); err == nil {
		return x.Minute(t)
	}
	return x.dir.Issued
}

func (x *view) tableName(id string) string { return x.Or("rtable."+id, human(id)) }

func (x *view) columnName(table, column string) string {
	return x.Or("rcolumn."+table+"."+column, x.Or("rcolumn."+column, human(column)))
}

// cellText is a count as people read it.
func (x *view) cellText(c *verify.ReportCell) string {
	low, high := span(c)
	switch {
	case c.Count != nil:
		return x.Number(low)
	case c.Low != nil && c.High == nil:
		return x.T("portal.cell_atleast", "n", low)
	case c.Low != nil && low == 0:
		return x.T("portal.cell_fewer", "n", high+1)
	case c.Low != nil:
		return x.T("portal.cell_between", "low", low, "high", high)
	case c.Commitment != nil:
		return x.T("portal.cell_withheld")
	}
	return "–"
}

// rowName names a row by its key, or by what it is.
func (x *view) rowName(r *verify.ReportRow) string {
	if r.Kind != verify.RowOpen {
		return x.T("portalrow." + r.Kind)
	}
	var parts []string
	for _, k := range r.Key {
		parts = append(parts, x.dimension(k))
	}
	if len(parts) == 0 {
		return x.T("portal.row_all")
	}
	return strings.Join(parts, " · ")
}

// dimension names a value by which rows are kept apart: a country, or a code that
// the pages of requesters have words for.
func (x *view) dimension(v string) string {
	if j := bonded.Jurisdiction(v); j.Valid() {
		return x.country(j)
	}
	if v == "other" { // what is told too seldom to be named
		return x.T("portal.row_other")
	}
	for _, area := range []string{"officer.process.", "officer.class.", "officer.role."} {
		if x.Has(area + v) {
			return x.T(area + v)
		}
	}
	return human(v)
}

// downloads are the files of the report to take away.
func (x *view) downloads() []string {
	var out []string
	for name := range x.ReportFiles {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func period(r *verify.Report, p *locale.Printer) string {
	return p.T("portal.period", "from", p.Date(r.Period.From), "to", p.Date(r.Period.To.AddDate(0, 0, -1)))
}

// signedBy names who signed the statement.
func (x *view) signedBy() string {
	switch {
	case x.StatedBy != verify.SignerAdmin:
		return x.StatedBy
	case x.Stated.Operator == "":
		return x.T("portal.by_admin")
	}
	return x.T("portal.by_admin_of", "operator", x.Stated.Operator)
}

// steps are those of the verification page, in order, by the name that its
// script fills in and words begin with.
func (x *view) steps() []string {
	out := []string{"directory", "checkpoint", "visit", "ledger", "second", "build"}
	if x.Input.Statement != nil {
		out = append(out, "statement")
	}
	if x.Report != nil {
		out = append(out, "report")
	}
	return out
}
