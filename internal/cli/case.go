package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
)

// caseCommands are what people of the cell do with cases.
type caseCommands struct {
	List     caseList     `cmd:"" help:"List the cases that concern you."`
	Show     caseShow     `cmd:"" help:"Show a case: warnings first, then who asks for what, and what you may do."`
	Document caseDocument `cmd:"" help:"Write a document of a case to a file, checked against its SHA-256."`

	caseActions
}

// watchEvery is how often a watched list is read anew.
const watchEvery = 2 * time.Second

type caseList struct {
	actorFlags
	cellFlag
	State string `placeholder:"STATE" help:"Only cases in this state, or pending: those that wait for you."`
	Watch bool   `help:"Go on until interrupted, and print each case as it changes."`
}

// Run implements the command.
func (c *caseList) Run(ctx context.Context, s *streams) error {
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	all, err := a.cases(ctx, c.State)
	if err != nil {
		return err
	}
	if err := printCases(s, all, true); err != nil || !c.Watch {
		return err
	}
	seen := map[bonded.CaseID]uint64{}
	for {
		for i := range all {
			seen[all[i].Case] = all[i].Number
		}
		select {
		case <-ctx.Done():
			return nil // interrupted, as was meant
		case <-time.After(watchEvery):
		}
		if all, err = a.cases(ctx, c.State); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // interrupted, as was meant
			}
			return err
		}
		var news []apitype.CaseView
		for i := range all {
			if n, ok := seen[all[i].Case]; !ok || n != all[i].Number {
				news = append(news, all[i])
			}
		}
		if len(news) == 0 {
			continue
		}
		if err := printCases(s, news, false); err != nil {
			return err
		}
	}
}

// cases returns every case that concerns the actor.
func (a *actor) cases(ctx context.Context, state string) ([]apitype.CaseView, error) {
	all := []apitype.CaseView{}
	for after := ""; ; {
		page, err := a.ListCases(ctx, state, after)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Cases...)
		if page.Next == "" || page.Next == after {
			return all, nil
		}
		after = page.Next
	}
}

func printCases(s *streams, all []apitype.CaseView, heading bool) error {
	return s.print(all, func(w *tabwriter.Writer) {
		if len(all) == 0 {
			row(w, "nothing found")
			return
		}
		if heading {
			row(w, "CASE", "STATE", "PRIORITY", "PROCESS", "AGENCY", "FILED", "DEADLINE", "YOU MAY")
		}
		for i := range all {
			v := &all[i]
			row(w, v.Case, v.State, v.Priority, v.Process, v.Agency, stamp(v.Filed), stampOf(v.Deadline), operator.Commands(v.Actions...))
		}
	})
}

// oneCase names a case.
type oneCase struct {
	actorFlags
	Case string `arg:"" help:"Case id, such as case_eu_…."`
}

// open connects to the cell of the case.
func (c *oneCase) open(s *streams) (*actor, bonded.CaseID, error) {
	id, err := bonded.ParseCaseID(c.Case)
	if err != nil {
		return nil, id, err
	}
	a, err := c.connect(s, id.Cell)
	return a, id, err
}

type caseShow struct {
	oneCase
	Reveal bool `help:"Show the values that name the people the request is about."`
}

// Run implements the command.
func (c *caseShow) Run(ctx context.Context, s *streams) error {
	a, id, err := c.open(s)
	if err != nil {
		return err
	}
	v, err := a.Case(ctx, id)
	if err != nil {
		return err
	}
	f, err := a.file(ctx, v, c.Reveal)
	if err != nil {
		return err
	}
	return s.print(f, func(w *tabwriter.Writer) { printFile(w, f) })
}

// file returns what the case shows, with what its statements say where the
// front door shows them to the actor.
func (a *actor) file(ctx context.Context, v *apitype.CaseView, reveal bool) (*operator.File, error) {
	d, err := a.Dossier(ctx, v.Case)
	switch code := bonded.CodeOf(err); {
	case err == nil:
	case code == bonded.CodeForbidden || code == bonded.CodeWithheld || code == bonded.CodeConflict || code == bonded.CodeStale:
		d = nil // not for people of this role, or not yet
	default:
		return nil, err
	}
	return operator.NewFile(v, d, reveal)
}

func printFile(w *tabwriter.Writer, f *operator.File) {
	v := f.Case
	// 1. What to beware of.
	for _, warning := range v.Warnings {
		row(w, "WARNING", operator.Warning(warning))
	}
	for _, warning := range []string{f.Altered, v.Extra["late"]} {
		if warning != "" {
			row(w, "WARNING", warning)
		}
	}

	// 2. How it stands, who asks, under which law.
	row(w, "case", v.Case)
	state := v.State
	if v.RejectCode != "" {
		state += ", " + v.RejectCode
	}
	row(w, "state", state)
	row(w, "asked by", orDash(v.Officer)+" of "+v.Agency)
	row(w, "process", fmt.Sprintf("%s, %s, filed %s", v.Process, v.Priority, stamp(v.Filed)))
	if v.Deadline != nil {
		row(w, "answer by", stamp(*v.Deadline))
	}
	if a := f.Authorisation; a != nil {
		row(w, "instrument", fmt.Sprintf("%s, valid %s to %s, route %s", a.Reference, stamp(a.ValidFrom), stamp(a.ValidTo), a.TreatyRoute))
		for _, l := range a.LegalBasis {
			row(w, "law", l.Law+", "+l.Article)
		}
		for i := range a.Approvals {
			p := &a.Approvals[i]
			row(w, "approved", fmt.Sprintf("%s by %s (%s), %s, %s", p.Kind, p.Approver, p.Role, p.Reference, stamp(p.Time)))
		}
		row(w, "why", a.Necessity)
	}
	if g := v.Secrecy; g != nil {
		row(w, "secrecy", fmt.Sprintf("%s, until %s, review %s", g.State, stampOf(g.Until), stampOf(g.ReviewAt)))
	}

	// 3. What is asked for.
	for i := range v.Tasks {
		printTask(w, f, i)
	}
	for _, d := range f.Decisions {
		row(w, "decided", strings.Join(strings.Fields(fmt.Sprintf("%s (%s): %s %s %s", d.Person, d.Role, d.Action, d.Code, d.Reason)), " "))
	}
	if f.TasksDigest != "" {
		row(w, "tasks digest", f.TasksDigest)
	}
	if v.Scope != "" {
		row(w, "scope", v.Scope)
	}
	for _, p := range v.Approvals {
		word := "refuses"
		if p.Approve {
			word = "approves"
		}
		row(w, "custodian", fmt.Sprintf("%s (%s) %s %s %s", p.Custodian, p.Role, word, stamp(p.Time), p.Reason))
	}
	for _, x := range []struct{ key, label string }{
		{"first_approval", "first approval by"}, {"question", "question"}, {"offered", "offered"}, {"outcome", "outcome"}, {"hold_until", "frozen until"},
	} {
		if text := v.Extra[x.key]; text != "" {
			row(w, x.label, text)
		}
	}
	for i := range v.Documents {
		d := &v.Documents[i]
		missing := ""
		if !d.Uploaded {
			missing = ", not there yet"
		}
		row(w, "document", fmt.Sprintf("%s, %s, %s, %d bytes, %s%s", d.Name, d.MediaType, d.Language, d.Size, d.SHA256, missing))
	}
	if v.Package != "" {
		row(w, "package", v.Package+", until "+stampOf(v.Expires))
	}

	// 4. What happened, and what comes.
	for i := range v.Entries {
		e := &v.Entries[i]
		place := "not witnessed yet"
		if e.Index != nil {
			place = fmt.Sprintf("ledger %d", *e.Index)
		}
		what := e.Event
		if e.State != "" && e.State != e.From {
			what += " → " + e.State
		}
		row(w, fmt.Sprintf("entry %d", e.Number), strings.Join(strings.Fields(fmt.Sprintf("%s %s by %s %s", stamp(e.Time), what, e.Actor, e.Detail)), " ")+", "+place)
	}
	may := "nothing now"
	if len(v.Actions) > 0 {
		may = operator.Commands(v.Actions...)
	}
	row(w, "you may", may)
}

func printTask(w *tabwriter.Writer, f *operator.File, i int) {
	t := &f.Case.Tasks[i]
	line := fmt.Sprintf("%s: %s %s of %s, fields %s, at most %d people", t.Status, t.Kind, t.DataClass, t.Collection, strings.Join(t.FieldsWanted, ", "), max(1, t.MaxSubjects))
	if t.From != nil || t.To != nil {
		line += fmt.Sprintf(", %s to %s", stampOf(t.From), stampOf(t.To))
	}
	if t.Reason != "" {
		line += ", " + t.Reason
	}
	if t.Matched > 0 {
		line += fmt.Sprintf(", %d found", t.Matched)
	}
	row(w, fmt.Sprintf("task %d", i), line)
	if i < len(f.Targets) {
		for _, g := range f.Targets[i] {
			row(w, "  target", g.Format+" "+g.Value)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type caseDocument struct {
	oneCase
	SHA256 string `arg:"" name:"sha256" help:"SHA-256 of the document, as case show prints it."`
	File   string `required:"" short:"f" placeholder:"FILE" help:"Where to write it, for its owner only. Open it on a machine that may be lost: it is other people's."`
}

// Run implements the command.
func (c *caseDocument) Run(ctx context.Context, s *streams) error {
	a, id, err := c.open(s)
	if err != nil {
		return err
	}
	if b, err := hex.DecodeString(c.SHA256); err != nil || len(b) != sha256.Size {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "sha256", Message: "not 64 hexadecimal digits", Hint: "bonded case show lists the documents"}
	}
	sum := strings.ToLower(c.SHA256)
	err = writeWhole(c.File, func(w io.Writer) error {
		h := sha256.New()
		if err := a.PersonClient.Document(ctx, id, sum, io.MultiWriter(w, h)); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != sum {
			return &bonded.Error{Code: bonded.CodeAltered, Message: "the document that came is not the one of this SHA-256", Hint: "ask again; if it stays so, tell whoever runs the cell"}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.print(map[string]string{"file": c.File, "sha256": sum}, func(w *tabwriter.Writer) { row(w, "written to", c.File) })
}
