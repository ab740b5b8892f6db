package report

import (
	"bytes"
	_ "embed" // the page
	"html/template"
	"strings"

	"bonded/verify"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"sentence": func(s string) string {
		s = strings.ReplaceAll(s, "_", " ")
		return strings.ToUpper(s[:1]) + s[1:] + "."
	},
	"class": func(c verify.ReportCell) string {
		if c.Count == nil {
			return "band"
		}
		return ""
	},
	"aria": func(c verify.ReportCell) string {
		text := c.String()
		switch {
		case text == "":
			return "nothing to show"
		case strings.HasPrefix(text, "<"):
			return "fewer than " + text[1:]
		case strings.HasSuffix(text, "+"):
			return "at least " + strings.TrimSuffix(text, "+")
		case strings.Contains(text, "-"):
			return strings.Replace(text, "-", " to ", 1)
		}
		return text
	},
	"text": func(c verify.ReportCell) string {
		if s := strings.Replace(c.String(), "-", "–", 1); s != "" {
			return s
		}
		return "—"
	},
	"date": func(r *verify.Report) string { return r.GeneratedAt.Format("2 January 2006, 15:04 UTC") },
	"days": func(p verify.ReportPeriod) string {
		return p.From.Format("2 January 2006") + " to " + p.To.AddDate(0, 0, -1).Format("2 January 2006")
	},
}).Parse(pageText))

// headline is the table that stands first on the page.
const headline = "openings_by_vault_operation"

// about says in a sentence what each table is of.
var about = map[string]string{
	"requests":                "What authorities asked for, and what came of it. Received and carried in together are all that follows, pending included.",
	"refusals":                "Why requests were refused. Reasons given less often than the smallest count shown are one row, other.",
	"narrowing_and_challenge": "Requests that were made smaller, and those that somebody took to a court.",
	"emergency":               "Requests made as emergencies: their paper is due after, and forged ones are found out.",
	"preservation":            "Data kept from erasure at an authority's request. Keeping opens nothing.",
	"notice":                  "Whether the people concerned were told.",
	"secrecy":                 "Orders not to tell anybody. Each has an end, or a date of review.",
	"cross_border":            "Requests from another state, by the way they came.",
	"custody":                 "Who must agree before anything opens: the people who hold the shares of the key.",
	headline:                  "Every time that keys were released, by what. Each release has an entry in the journal and in the keyholder's book; one without would stand under unexplained.",
}

type pageTable struct {
	*verify.ReportTable
	About string
	Empty bool
}

type pageData struct {
	*verify.Report
	Title  string
	Head   *pageTable
	Others []*pageTable
	None   []*pageTable
}

func page(r *verify.Report) ([]byte, error) {
	d := &pageData{Report: r, Title: title(r)}
	for i := range r.Tables {
		t := &pageTable{ReportTable: &r.Tables[i], About: about[r.Tables[i].ID], Empty: len(r.Tables[i].Rows) == 0}
		switch {
		case t.ID == headline:
			d.Head = t
		case t.Empty:
			d.None = append(d.None, t)
		default:
			d.Others = append(d.Others, t)
		}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, d)
	return b.Bytes(), err
}
