package operator

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/nearest"
	"bonded/verify"
)

// Decide begins a decision on a case as the front door showed it: the state
// and number in it are those that its author saw. Errors: forbidden if the
// action is for people of another role; conflict if the front door did not say
// that the author can do this now. Either comes before anything is uploaded.
func Decide(v *apitype.CaseView, person, role, action string, now time.Time) (*verify.CaseDecision, error) {
	if roles := verify.DecisionRoles(action); !slices.Contains(roles, role) {
		return nil, &bonded.Error{
			Code: bonded.CodeForbidden, Message: Commands(action) + " is not for people of role " + role, Rules: []string{"role." + action},
			Hint: "it is for people of role " + strings.Join(roles, " or "),
		}
	}
	if !slices.Contains(v.Actions, action) {
		hint := "bonded case show says how it came to this; nothing is for you to do now"
		if len(v.Actions) > 0 {
			hint = "you may " + Commands(v.Actions...)
		}
		return nil, &bonded.Error{Code: bonded.CodeConflict, Message: "the case is " + v.State + ": " + Commands(action) + " is not possible now", Hint: hint}
	}
	return &verify.CaseDecision{
		Format: verify.LabelDecision, Case: v.Case, Person: person, Role: role, Action: action,
		State: v.State, Number: v.Number, Time: now.UTC().Truncate(time.Second),
	}, nil
}

// Commands lists actions as they are typed: hold_extend is hold extend,
// refuse_task is refuse-task.
func Commands(actions ...string) string {
	return strings.NewReplacer("hold_", "hold ", "secrecy_", "secrecy ", "_", "-").Replace(strings.Join(actions, ", "))
}

// warnings are what the front door warns of, in words.
var warnings = map[string]string{
	"case.forged":                "the request was found to be forged: nothing goes on but a refusal",
	"guard.agency_verified":      "the agency is not verified any more, or suspended: nothing goes on until it is verified anew",
	"guard.officer_verified":     "the officer is not in force any more, or suspended: nothing goes on until they are verified anew",
	"new_account_under_30_days":  "the officer's entry is younger than 30 days",
	"first_request_is_emergency": "the officer's first request claims an emergency",
	"document_reused_hash":       "a document of this case came with another request as well",
	"secrecy_without_end":        "secrecy is asked for without an end or a date of review",
}

// Warning puts a warning of the front door into words, the code behind them.
func Warning(code string) string {
	if text, ok := warnings[code]; ok {
		return text + " (" + code + ")"
	}
	return code
}

// Role returns the role that somebody has in the register, and checks that key
// is the one that stands there. Errors: forbidden if they are not in force, or
// under another key.
func Role(list *apitype.RegistryList, person, key string) (string, error) {
	for i := range list.Entries {
		e := &list.Entries[i]
		if e.Kind != verify.RegistryPerson || e.ID != person || e.State != "in_force" {
			continue
		}
		p := new(verify.Person)
		if err := decode(e, p); err != nil {
			return "", err
		}
		if p.Key != key {
			return "", &bonded.Error{Code: bonded.CodeForbidden, Field: person, Message: "the register has another key of this person", Hint: "name the key file that was registered, or have a registrar register this one"}
		}
		return p.Role, nil
	}
	return "", &bonded.Error{Code: bonded.CodeForbidden, Field: person, Message: "nobody of this id is in force in the register", Hint: "bonded register list shows how the entry stands"}
}

// RejectCode checks a reason to refuse against the rules of the front door.
// The error has code invalid and often the nearest right code.
func RejectCode(code string) error {
	r, err := rules.Shipped()
	if err != nil {
		return err
	}
	var known []string
	for _, c := range r.RejectCodes() {
		known = append(known, string(c.ID))
	}
	if slices.Contains(known, code) {
		return nil
	}
	return &bonded.Error{Code: bonded.CodeInvalid, Field: "--code", Message: "the rules know no such reject code", Hint: nearest.Hint(code, known)}
}

// Refusals reads TASK=CODE arguments, each refusing one task of a case with so
// many tasks.
func Refusals(args []string, tasks int) ([]verify.TaskChange, error) {
	var out []verify.TaskChange
	seen := map[int]bool{}
	for _, a := range args {
		number, code, ok := strings.Cut(a, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "TASK=CODE", Message: "not the number of a task and a reject code", Hint: "write for example 0=too_broad"}
		}
		if err := taskThere(n, tasks, seen); err != nil {
			return nil, err
		}
		if err := RejectCode(code); err != nil {
			return nil, err
		}
		out = append(out, verify.TaskChange{Task: n, Code: code})
	}
	return out, nil
}

func taskThere(n, tasks int, seen map[int]bool) error {
	switch {
	case n < 0 || n >= tasks:
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--task", Message: "the case has no task " + itoa(n), Hint: "it has 0 to " + itoa(tasks-1)}
	case seen[n]:
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--task", Message: "task " + itoa(n) + " is named twice"}
	}
	seen[n] = true
	return nil
}

// A Narrowing is what somebody takes away from tasks. The lists go together by
// position: the first of each belongs to the first task. A shorter list, or an
// empty word in it, leaves that task as it is.
type Narrowing struct {
	Tasks       []int
	Fields      []string // names with commas between them
	From, To    []string // RFC 3339, or a day
	MaxSubjects []int
}

// Changes returns the narrowing of the tasks that a case shows. Errors have
// code invalid: a field that was not asked for, more people, a wider window, or
// nothing taken away. The front door checks the whole again.
func (n *Narrowing) Changes(tasks []apitype.CaseTaskView) ([]verify.TaskChange, error) {
	if most := max(len(n.Fields), len(n.From), len(n.To), len(n.MaxSubjects)); most > len(n.Tasks) {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--task", Message: "more changes than tasks", Hint: "name --task before each group of changes"}
	}
	seen := map[int]bool{}
	var out []verify.TaskChange
	for i, number := range n.Tasks {
		if err := taskThere(number, len(tasks), seen); err != nil {
			return nil, err
		}
		c, err := n.change(i, number, &tasks[number])
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	return out, nil
}

func (n *Narrowing) change(i, number int, t *apitype.CaseTaskView) (*verify.TaskChange, error) {
	c := &verify.TaskChange{Task: number}
	wrong := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: "task " + itoa(number) + ": " + message, Hint: hint}
	}
	if i < len(n.Fields) && n.Fields[i] != "" {
		for f := range strings.SplitSeq(n.Fields[i], ",") {
			f = strings.TrimSpace(f)
			if !slices.Contains(t.FieldsWanted, f) {
				return nil, wrong("--fields", "the request does not ask for "+f, nearest.Hint(f, t.FieldsWanted))
			}
			c.FieldsWanted = append(c.FieldsWanted, f)
		}
	}
	for _, w := range []struct {
		flag string
		list []string
		into **time.Time
	}{{"--from", n.From, &c.From}, {"--to", n.To, &c.To}} {
		if i >= len(w.list) || w.list[i] == "" {
			continue
		}
		at, err := Time(w.flag, w.list[i])
		if err != nil {
			return nil, err
		}
		*w.into = &at
	}
	if c.From != nil && (t.From == nil || c.From.Before(*t.From)) || c.To != nil && (t.To == nil || c.To.After(*t.To)) {
		return nil, wrong("--from, --to", "the window is wider than the request's", "")
	}
	if i < len(n.MaxSubjects) {
		c.MaxSubjects = n.MaxSubjects[i]
	}
	if c.MaxSubjects < 0 || c.MaxSubjects > max(1, t.MaxSubjects) {
		return nil, wrong("--max-subjects", "more people than the request names", "at most "+itoa(max(1, t.MaxSubjects)))
	}
	if (len(c.FieldsWanted) == 0 || len(c.FieldsWanted) == len(t.FieldsWanted)) && c.From == nil && c.To == nil &&
		(c.MaxSubjects == 0 || c.MaxSubjects == max(1, t.MaxSubjects)) {
		return nil, wrong("--fields", "nothing is taken away", "name fewer --fields, a smaller --max-subjects, or a shorter window with --from and --to")
	}
	return c, nil
}

// Time reads a time as RFC 3339 writes it, or a day, which begins at midnight
// UTC.
func Time(flag, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, &bonded.Error{Code: bonded.CodeInvalid, Field: flag, Message: "not a time", Hint: "write 2026-12-31, or 2026-12-31T18:00:00Z"}
}
