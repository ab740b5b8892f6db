package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"bonded/internal/custodian"
	"bonded/internal/terminal"
)

func printCase(out io.Writer, c *custodian.Checked) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(w, what+"\t"+format+"\n", args...)
	}
	a := &c.Request.Authorisation
	line("case", "%s, %s", c.Case, c.State)
	line("asked by", "%s (%s, %s), %s, trust level %d", terminal.Clean(c.Agency.Name), c.Agency.Country, c.Agency.Kind, terminal.Clean(c.Officer.Name), c.Officer.Level)
	line("instrument", "%s, %s, %s, valid to %s", a.ProcessType, terminal.Clean(a.Reference), a.Priority, a.ValidTo.UTC().Format(time.RFC3339))
	for _, l := range a.LegalBasis {
		line("law", "%s, %s", terminal.Clean(l.Law), terminal.Clean(l.Article))
	}
	line("why", "%s", terminal.Clean(a.Necessity))
	for i := range c.Tasks {
		t := &c.Tasks[i]
		name := fmt.Sprintf("task %d", i)
		if t.Refused != "" {
			line(name, "refused: %s", t.Refused)
			continue
		}
		line(name, "%s %s of %s, fields %s, at most %d people", t.Kind, t.DataClass, t.Collection, strings.Join(t.FieldsWanted, ", "), max(1, t.MaxSubjects))
		for _, g := range t.Targets {
			line("  target", "%s %s", g.Format, terminal.Clean(g.Value))
		}
	}
	for _, d := range c.Decisions {
		line("decided", "%s (%s): %s %s", d.Person, d.Role, d.Action, terminal.Clean(d.Reason))
	}
	line("opens", "%d people, %d records, fields %s; %d under quorum custody", c.People, c.Records, strings.Join(c.Fields, ", "), c.Envelopes)
	line("allowed by", "%s", strings.Join(c.Rules, ", "))
	for i := range c.Documents {
		line("document", "%s %s", terminal.Clean(c.Documents[i].Name), c.Documents[i].SHA256)
	}
	line("scope", "%x", c.Digest)
	line("verified here", "request, register, decisions and scope; ledger entry %d, witnessed %s", c.Index, c.Witnessed.UTC().Format(time.RFC3339))
	return w.Flush()
}
