package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/verify"
)

// A said is one line of what somebody is about to sign.
type said struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A decision that was drafted and waits to be signed.
type drafted struct {
	id     bonded.CaseID
	digest [32]byte // SHA-256 of the body
	data   *webauthn.SessionData
}

// draft drafts the decision that a form describes. Nothing is decided by it:
// its author's browser looks at it, and signs it or not.
func (x *visit) draft() (any, error) {
	// 1. The case as it stands is the case that the form was about.
	f, err := x.readCase(true)
	if err != nil {
		return nil, err
	}
	action := x.form("action")
	if x.form("state") != f.v.State || x.form("number") != strconv.FormatUint(f.v.Number, 10) {
		return nil, &bonded.Error{Code: bonded.CodeConflict, Message: x.T("decide.moved"), Hint: x.T("decide.moved_hint")}
	}
	d, err := operator.Decide(f.v, x.who.Person, x.who.Role, action, x.c.cfg.Now())
	if err != nil {
		return nil, err
	}

	// 2. What the action needs.
	d.Reason = strings.TrimSpace(strings.ReplaceAll(x.form("reason"), "\r\n", "\n"))
	if err := x.fill(f, d); err != nil {
		return nil, err
	}

	// 3. For its author's passkey.
	st, err := verify.NewStatement(d)
	if err != nil {
		return nil, err
	}
	options, data, keys, err := x.stepUp()
	if err != nil {
		return nil, err
	}
	name := x.c.begun.add(&ceremony{kind: "decide", session: x.session.Hash, data: &drafted{f.v.Case, sha256.Sum256(st.Body), data}}, x.c.cfg.Now())
	return struct {
		begun
		Body    []byte      `json:"body"`
		Title   string      `json:"title"`
		Summary []said      `json:"summary"`
		Keys    []sealedKey `json:"keys"`
	}{begun{name, options}, st.Body, x.T("caseact." + action), x.summary(f, d), keys}, nil
}

func (x *visit) form(name string) string { return x.r.PostFormValue(name) }

// needReason names the actions that say why.
var needReason = []string{"clarify", "refer", "challenge", "secrecy_challenge", "fraud"}

// fill adds to a decision what its action needs.
func (x *visit) fill(f *caseFile, d *verify.CaseDecision) (err error) {
	if d.Reason == "" && slices.Contains(needReason, d.Action) {
		return missing("reason", x.T("decide.why_missing"))
	}
	switch d.Action {
	case "forward":
		if d.Detail = strings.TrimSpace(x.form("called")); d.Detail == "" && f.v.Priority == "emergency" {
			return missing("called", x.T("decide.called_missing"))
		}
	case "reject":
		if d.Code = x.form("code"); d.Code == "" {
			if d.Tasks, err = x.refusals(f); err != nil {
				return err
			}
			if len(d.Tasks) == 0 {
				return missing("code", x.T("decide.code_missing"))
			}
			return nil
		}
		return operator.RejectCode(d.Code)
	case "refuse_task":
		if d.Tasks, err = x.refusals(f); err == nil && len(d.Tasks) == 0 {
			err = missing("tasks", x.T("decide.tasks_missing"))
		}
		return err
	case "narrow":
		d.Tasks, err = x.narrowing(f)
		return err
	case "respond":
		return x.answered(d)
	case "approve":
		if f.d == nil {
			return &bonded.Error{Code: bonded.CodeStale, Message: x.T("decide.no_dossier"), Hint: x.T("decide.later")}
		}
		d.Digest, err = operator.ApproveTasks(f.v, f.d, x.form("digest"))
		return err
	case "challenge":
		if x.form("for") == "subject" {
			d.Role = "subject"
		}
	case "rule":
		d.Role = "court"
		if err := x.answered(d); err != nil {
			return err
		}
		return x.upload(d)
	case "ratify":
		return x.upload(d)
	case "secrecy_extend":
		var end *time.Time
		if g := f.v.Secrecy; g != nil {
			if end = g.Until; end == nil {
				end = g.ReviewAt
			}
		}
		if err := x.until(d, end, x.c.cfg.Now().AddDate(1, 0, 0)); err != nil {
			return err
		}
		return x.upload(d)
	case "hold_extend":
		end := held(f.v)
		if end == nil {
			return x.until(d, nil, time.Time{})
		}
		return x.until(d, end, end.Add(f.process.Extend.Duration()))
	}
	return nil
}

func missing(field, message string) error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: message}
}

// answered reads whether a court or authority lets the case go on.
func (x *visit) answered(d *verify.CaseDecision) error {
	switch x.form("answer") {
	case "on":
		return nil
	case "end":
		if d.Code = x.form("code"); d.Code == "" {
			return missing("code", x.T("decide.code_missing"))
		}
		return operator.RejectCode(d.Code)
	}
	return missing("answer", x.T("decide.answer_missing"))
}

// until reads a new end: after the present one, and no later than most if that
// is not zero. The front door checks it again.
func (x *visit) until(d *verify.CaseDecision, end *time.Time, most time.Time) error {
	text := x.form("until")
	if text == "" {
		return missing("until", x.T("decide.until_missing"))
	}
	at, err := operator.Time("until", text)
	switch {
	case err != nil:
		return missing("until", x.T("decide.not_a_day"))
	case end != nil && !at.After(*end):
		return missing("until", x.T("decide.until_early", "time", *end))
	case !most.IsZero() && at.After(most):
		return missing("until", x.T("decide.until_late", "time", most))
	}
	d.Until = &at
	return nil
}

// refusals reads which tasks are refused.
func (x *visit) refusals(f *caseFile) ([]verify.TaskChange, error) {
	var args []string
	for i := range f.v.Tasks {
		if code := x.form("task_" + strconv.Itoa(i)); code != "" {
			args = append(args, strconv.Itoa(i)+"="+code)
		}
	}
	return operator.Refusals(args, len(f.v.Tasks))
}

// narrowing reads what is taken away from tasks. A task whose part of the form
// is as it was stays as it is.
func (x *visit) narrowing(f *caseFile) ([]verify.TaskChange, error) {
	n := operator.Narrowing{}
	for i := range f.v.Tasks {
		t, at := &f.v.Tasks[i], strconv.Itoa(i)
		if x.form("narrow_"+at) == "" {
			continue
		}
		fields := x.r.PostForm["fields_"+at]
		if len(fields) == 0 {
			return nil, missing("fields_"+at, x.T("decide.fields_missing"))
		}
		if len(fields) == len(t.FieldsWanted) {
			fields = nil
		}
		most := 0
		if s := x.form("max_" + at); s != "" {
			v, err := strconv.Atoi(s)
			if err != nil || v < 1 {
				return nil, missing("max_"+at, x.T("decide.max_wrong"))
			}
			if v > max(1, t.MaxSubjects) {
				return nil, missing("max_"+at, x.N("case.at_most", max(1, t.MaxSubjects)))
			}
			if v != max(1, t.MaxSubjects) {
				most = v
			}
		}
		from, to, err := x.lessTime(t, at)
		if err != nil {
			return nil, err
		}
		if fields == nil && most == 0 && from == "" && to == "" {
			return nil, missing("fields_"+at, x.T("decide.nothing_narrowed", "n", i+1))
		}
		n.Tasks, n.Fields = append(n.Tasks, i), append(n.Fields, strings.Join(fields, ","))
		n.From, n.To, n.MaxSubjects = append(n.From, from), append(n.To, to), append(n.MaxSubjects, most)
	}
	if len(n.Tasks) == 0 {
		return nil, missing("tasks", x.T("decide.tasks_missing"))
	}
	return n.Changes(f.v.Tasks)
}

// lessTime reads the shorter window of a task, empty where it stays as it is.
func (x *visit) lessTime(t *apitype.CaseTaskView, i string) (from, to string, err error) {
	begin, end := t.From, t.To
	for _, w := range []struct {
		name string
		was  **time.Time
		into *string
	}{{"from_" + i, &begin, &from}, {"to_" + i, &end, &to}} {
		s := x.form(w.name)
		if s == "" || s == day(*w.was) {
			continue
		}
		at, err := operator.Time(w.name, s)
		switch {
		case err != nil:
			return "", "", missing(w.name, x.T("decide.not_a_day"))
		case t.From != nil && at.Before(*t.From) || t.To != nil && at.After(*t.To):
			return "", "", missing(w.name, x.T("decide.window_wide", "window", x.window(t.From, t.To)))
		}
		*w.was, *w.into = &at, s
	}
	if begin != nil && end != nil && !begin.Before(*end) {
		return "", "", missing("to_"+i, x.T("decide.window_turned"))
	}
	return from, to, nil
}

// upload puts the document that a decision rests on on file, and names it.
func (x *visit) upload(d *verify.CaseDecision) error {
	file, _, err := x.r.FormFile("document")
	if errors.Is(err, http.ErrMissingFile) {
		return missing("document", x.T("decide.document_missing"))
	}
	if err != nil {
		return missing("document", x.T("decide.document_missing"))
	}
	defer file.Close() //nolint:errcheck // only read from
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(file, apitype.MaxDocument+1)); err != nil || n > apitype.MaxDocument || n == 0 {
		return missing("document", x.T("decide.document_size"))
	}
	sum := sha256.Sum256(b.Bytes())
	d.Digest = hex.EncodeToString(sum[:])
	_, err = x.c.cfg.Cases.PutDocument(x.r.Context(), &x.call, d.Case, d.Digest, b.Bytes())
	return err
}

// summary says a decision in words, from its body.
func (x *visit) summary(f *caseFile, d *verify.CaseDecision) []said {
	out := []said{
		{x.T("decide.case"), x.processTitle(f.v.Process) + " · " + plain(f.v.Agency) + " · " + d.Case.String()},
		{x.T("decide.as"), plain(x.who.Name) + " · " + x.T("role."+x.who.Role)},
		{x.T("decide.what"), x.T("caseact." + d.Action + "_does")},
	}
	add := func(name, text string) {
		if text != "" {
			out = append(out, said{name, plain(text)})
		}
	}
	if d.Code != "" {
		add(x.T("decide.code"), x.rejectText(d.Code)+" ("+d.Code+")")
	}
	for _, c := range d.Tasks {
		add(x.T("decide.task", "n", c.Task+1), x.change(&c))
	}
	switch d.Role {
	case "subject":
		add(x.T("decide.for"), x.T("decide.for_subject"))
	case "court":
		add(x.T("decide.for"), x.T("decide.for_court"))
	}
	if d.Until != nil {
		add(x.T("decide.until"), x.Minute(*d.Until))
	}
	if d.Action == "forward" {
		add(x.T("decide.called"), d.Detail)
	}
	add(x.T("decide.reason"), d.Reason)
	switch {
	case d.Action == "approve":
		add(x.T("decide.digest"), d.Digest)
		for i := range f.v.Tasks {
			add(x.T("decide.task", "n", i+1), x.taskLine(&f.v.Tasks[i]))
		}
	case d.Digest != "":
		add(x.T("decide.document"), d.Digest)
	}
	return out
}

// change says what happens to one task.
func (x *visit) change(c *verify.TaskChange) string {
	if c.Code != "" {
		return x.T("decide.refused", "why", x.rejectText(c.Code))
	}
	var parts []string
	if len(c.FieldsWanted) > 0 {
		parts = append(parts, x.T("decide.only_fields", "fields", strings.Join(c.FieldsWanted, ", ")))
	}
	if c.MaxSubjects > 0 {
		parts = append(parts, x.N("case.at_most", c.MaxSubjects))
	}
	if c.From != nil {
		parts = append(parts, x.T("decide.from", "time", x.Date(*c.From)))
	}
	if c.To != nil {
		parts = append(parts, x.T("decide.to", "time", x.Date(*c.To)))
	}
	return strings.Join(parts, "; ")
}

// taskLine says one task in a line.
func (x *visit) taskLine(t *apitype.CaseTaskView) string {
	parts := []string{x.Or("casekind."+t.Kind, t.Kind), x.className(t.DataClass), strings.Join(t.FieldsWanted, ", "), x.N("case.at_most", max(1, t.MaxSubjects)), x.window(t.From, t.To)}
	if t.Reason != "" {
		parts = append(parts, x.rejectText(t.Reason))
	}
	return plain(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; "))
}

func (x *visit) window(from, to *time.Time) string {
	switch {
	case from != nil && to != nil:
		return x.T("case.window", "from", x.Date(*from), "to", x.Date(*to))
	case from != nil:
		return x.T("decide.from", "time", x.Date(*from))
	case to != nil:
		return x.T("decide.to", "time", x.Date(*to))
	}
	return ""
}

// decide hands in what was signed: the very draft, confirmed by a passkey of
// the same person in the same session. The front door checks the signature.
func (x *visit) decide() (any, error) {
	id, err := x.caseID()
	if err != nil {
		return nil, err
	}
	var q struct {
		Ceremony   string          `json:"ceremony"`
		Credential json.RawMessage `json:"credential"`
		Statement  struct {
			Body       []byte `json:"body"`
			Signatures []struct {
				Signer string `json:"signer"`
				Value  []byte `json:"value"`
			} `json:"signatures"`
		} `json:"statement"`
	}
	if err := x.read(&q); err != nil {
		return nil, err
	}
	data, err := x.c.begun.take("decide", q.Ceremony, x.session.Hash, x.c.cfg.Now())
	if err != nil {
		return nil, err
	}
	d := data.(*drafted) //nolint:errcheck // of this kind
	if d.id != id || d.digest != sha256.Sum256(q.Statement.Body) || len(q.Statement.Signatures) != 1 || q.Statement.Signatures[0].Signer != x.who.Person {
		return nil, &bonded.Error{Code: bonded.CodeForbidden, Rules: []string{ruleDraft}, Field: "statement", Message: "this is not the decision that was drafted here", Hint: "open the case again and decide anew"}
	}
	if err := x.confirm(d.data, q.Credential); err != nil {
		return nil, err
	}
	st := &verify.Statement{Body: q.Statement.Body, Signatures: []verify.Signature{{Signer: x.who.Person, Value: q.Statement.Signatures[0].Value}}}
	res, err := x.c.cfg.Cases.Decide(x.r.Context(), &x.call, id, st)
	if err != nil {
		return nil, err
	}
	return map[string]string{"next": caseLink(id, "?done="+strconv.FormatUint(res.Number, 10)), "state": res.State}, nil
}
