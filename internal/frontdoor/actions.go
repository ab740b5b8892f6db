package frontdoor

import (
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// An action is something that people do by a signed decision. Where it leads
// to another state, the rules say from where and under which guards.
type action struct {
	roles   []rules.Role // in the register, of those who may sign it
	conveys []string     // other roles that a decision may be in: an order or objection that is handed on
	by      rules.Role   // whose part the rules see; absent: the signer's own
	to      []rules.State
	may     func(*kase, time.Time) bool // for actions that lead to no state: whether it makes sense now
	do      func(*step, *act) error
}

var (
	byIntake    = []rules.Role{rules.RoleIntake}
	byLegal     = []rules.Role{rules.RoleLegal}
	byRequester = []rules.Role{rules.RoleRequester}
	byEither    = []rules.Role{rules.RoleIntake, rules.RoleLegal}
)

// actions is every action by its name in a decision.
var actions map[string]action

func init() { //nolint:gochecknoinits // the table and its functions name each other
	actions = map[string]action{
		"take":     {roles: byIntake, to: []rules.State{rules.StateVerifying}, do: moveTo(rules.StateVerifying)},
		"preserve": {roles: byIntake, to: []rules.State{rules.StatePreserved}, do: moveTo(rules.StatePreserved)},
		"forward":  {roles: byIntake, to: []rules.State{rules.StateUnderReview}, do: (*step).forward},
		"reject":   {roles: byEither, to: []rules.State{rules.StateRejected}, do: (*step).reject},

		"clarify":     {roles: byLegal, to: []rules.State{rules.StateClarification}, do: moveTo(rules.StateClarification)},
		"answer":      {roles: byRequester, to: []rules.State{rules.StateUnderReview}, do: moveTo(rules.StateUnderReview)},
		"narrow":      {roles: byLegal, to: []rules.State{rules.StateNarrowed}, do: (*step).narrow},
		"accept":      {roles: byRequester, to: []rules.State{rules.StateUnderReview}, do: (*step).accept},
		"refer":       {roles: byLegal, to: []rules.State{rules.StateAwaitingOtherAuthority}, do: moveTo(rules.StateAwaitingOtherAuthority)},
		"respond":     {roles: byLegal, to: []rules.State{rules.StateUnderReview}, do: (*step).respond},
		"refuse_task": {roles: byLegal, may: in(rules.StateUnderReview), do: (*step).refuseTasks},
		"approve":     {roles: byLegal, to: []rules.State{rules.StateNoticePending, rules.StatePreserved}, do: (*step).approve},
		"emergency":   {roles: byLegal, may: emergencyReady, do: (*step).emergency},
		"proceed":     {roles: byLegal, to: []rules.State{rules.StateAwaitingQuorum}, do: (*step).proceed},

		"challenge": {
			roles: []rules.Role{rules.RoleLegal, rules.RoleGuardian}, conveys: []string{string(rules.RoleSubject)},
			to: []rules.State{rules.StateChallenged}, do: (*step).challenge,
		},
		"rule": {
			roles: byLegal, conveys: []string{string(rules.RoleCourt)}, by: rules.RoleCourt,
			to: []rules.State{rules.StateAwaitingQuorum, rules.StateRejected}, do: (*step).rule,
		},
		"ratify":   {roles: byLegal, to: []rules.State{rules.StateRatified}, do: moveTo(rules.StateRatified)},
		"close":    {roles: byLegal, to: []rules.State{rules.StateClosed}, do: moveTo(rules.StateClosed)},
		"withdraw": {roles: byRequester, to: []rules.State{rules.StateWithdrawn}, do: moveTo(rules.StateWithdrawn)},

		"secrecy_extend":    {roles: byLegal, may: secret, do: (*step).extendSecrecy},
		"secrecy_end":       {roles: byLegal, may: secret, do: (*step).endSecrecyBy},
		"secrecy_challenge": {roles: []rules.Role{rules.RoleLegal, rules.RoleGuardian}, may: unchallenged, do: (*step).challengeSecrecy},
		"hold_extend":       {roles: byEither, may: held, do: (*step).extendHold},
		"hold_release":      {roles: byEither, may: held, do: (*step).releaseHold},
		"fraud":             {roles: byEither, may: fraudulent, do: (*step).fraud},
	}
}

func in(states ...rules.State) func(*kase, time.Time) bool {
	return func(c *kase, _ time.Time) bool { return slices.Contains(states, c.state) }
}

func secret(c *kase, _ time.Time) bool { return c.Secrecy.active() }
func held(c *kase, _ time.Time) bool   { return c.Hold.active() }

func unchallenged(c *kase, _ time.Time) bool {
	return c.Secrecy.active() && c.Secrecy.State != secrecyChallenged
}

func emergencyReady(c *kase, _ time.Time) bool {
	return c.state == rules.StateUnderReview && rules.Priority(c.row.Priority) == rules.PriorityEmergency && !c.Asked && c.Scope == nil
}

func fraudulent(c *kase, _ time.Time) bool {
	return rules.Priority(c.row.Priority) == rules.PriorityEmergency && !c.Fraud && c.state != rules.StateDraft
}

// moveTo is an action that does no more than the step itself.
func moveTo(to rules.State) func(*step, *act) error {
	return func(st *step, a *act) error { return st.move(to, a) }
}

// forward hands a verified case to legal; of an emergency, after the call back.
func (st *step) forward(a *act) error {
	a.detail = ""
	if rules.Priority(st.c.row.Priority) == rules.PriorityEmergency {
		a.detail = "called_back"
	}
	return st.move(rules.StateUnderReview, a)
}

// reject refuses the whole case, with one code or one for each task.
func (st *step) reject(a *act) error {
	c, d := st.c, a.decision
	for i := range d.Tasks {
		n, code := d.Tasks[i].Task, d.Tasks[i].Code
		if n < 0 || n >= len(c.Tasks) || !st.s.knownCode(code) {
			return invalid("tasks["+strconv.Itoa(i)+"]", "not a task of the case, or not a reject code of the rules", "")
		}
		st.refuseTask(n, code)
	}
	if d.Code != "" && !st.s.knownCode(d.Code) {
		return invalid("code", "not a reject code of the rules", "see spec/frontdoor-rules.md")
	}
	if err := st.move(rules.StateRejected, st.rejecting(a)); err != nil {
		return err
	}
	for i := range c.Tasks {
		st.refuseTask(i, c.Reject)
	}
	return nil
}

// rejecting sets the code that the case is rejected with.
func (st *step) rejecting(a *act) *act {
	st.c.Reject = a.decision.Code
	for i := range st.c.Tasks {
		if st.c.Reject == "" {
			st.c.Reject = st.c.Tasks[i].Code
		}
	}
	a.detail = st.c.Reject
	return a
}

// refuseTask refuses one task, unless it is refused already.
func (st *step) refuseTask(i int, code string) {
	if t := &st.c.Tasks[i]; t.Code == "" {
		t.Status, t.Code = rules.TaskRefused, code
	}
}

func (s *Service) knownCode(code string) bool {
	_, ok := s.rules.RejectCode(rules.RejectCode(code))
	return ok
}

// narrow offers the requester a narrower scope.
func (st *step) narrow(a *act) error {
	f, err := st.file()
	if err != nil {
		return err
	}
	if err := verify.CheckNarrowing(f.tasks, a.decision.Tasks); err != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "tasks", Message: err.Error(), Hint: "a narrowing only takes away"}
	}
	for i := range a.decision.Tasks {
		if st.c.refused(f, a.decision.Tasks[i].Task) {
			return invalid("tasks", "a task that is refused is not narrowed", "")
		}
	}
	st.c.Drafters, st.c.Approved = append(st.c.Drafters, a.person), nil
	return st.move(rules.StateNarrowed, a)
}

// accept takes the narrowing that was offered. It is entered as one.
func (st *step) accept(a *act) error {
	if st.c.state != rules.StateNarrowed {
		return conflict("no narrower scope is offered", "")
	}
	f, err := st.file()
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(f.decisions) {
		if d.Action == verify.ActionNarrow {
			for _, change := range d.Tasks {
				st.c.Tasks[change.Task].Status, st.c.Tasks[change.Task].Narrowed = rules.TaskNarrowed, true
			}
			break
		}
	}
	a.event = verify.EventNarrowing
	return st.move(rules.StateUnderReview, a)
}

// respond brings the answer of another authority: on to review, or, with a
// code, to the end.
func (st *step) respond(a *act) error {
	if st.c.state != rules.StateAwaitingOtherAuthority {
		return conflict("no other authority is asked", "")
	}
	if a.decision.Code != "" {
		return st.reject(a)
	}
	return st.move(rules.StateUnderReview, a)
}

// refuseTasks refuses single tasks; with the last one the case is rejected.
func (st *step) refuseTasks(a *act) error {
	c := st.c
	if c.state != rules.StateUnderReview {
		return conflict("tasks are refused under review", "")
	}
	if len(a.decision.Tasks) == 0 {
		return invalid("tasks", "no task is named", "")
	}
	for i := range a.decision.Tasks {
		n, code := a.decision.Tasks[i].Task, a.decision.Tasks[i].Code
		if n < 0 || n >= len(c.Tasks) || !st.s.knownCode(code) || c.Tasks[n].Code != "" {
			return invalid("tasks["+strconv.Itoa(i)+"]", "not an open task of the case, or not a reject code of the rules", "")
		}
		st.refuseTask(n, code)
	}
	c.Approved = nil
	if !slices.ContainsFunc(c.Tasks, func(t task) bool { return t.Code == "" }) {
		return st.move(rules.StateRejected, st.rejecting(a))
	}
	return st.note(verify.EventNarrowing, "task_refused", a)
}

// approve is one person's approval of the tasks as they stand. The second
// moves the case; of a case that only freezes, the first does.
func (st *step) approve(a *act) error {
	c := st.c
	p, _ := st.s.rules.Process(c.row.Process)
	if c.state != rules.StateUnderReview {
		return conflict("scopes are approved under review", "")
	}
	if err := st.stillAsks(); err != nil {
		return err
	}
	f, err := st.file()
	if err != nil {
		return err
	}
	digest := c.tasksDigest(f)
	if a.decision.Digest != hex.EncodeToString(digest[:]) {
		return conflict("the digest is not that of the tasks as they stand", "extra.tasks in the view of the case has it; compute it yourself by verify.TasksDigest")
	}
	if p.Kind == rules.KindPreserve {
		return st.move(rules.StatePreserved, a)
	}
	if slices.Contains(c.Drafters, a.person) {
		return forbidden("separation.narrow_approve", "whoever drafted a narrowing does not approve it", "let another person of role legal approve")
	}
	if c.Approved == nil || c.Approved.Tasks != digest {
		c.Approved = &firstApproval{Person: a.person, Tasks: digest, Statement: a.content[0]}
		return nil
	}
	a.content = [][32]byte{c.Approved.Statement, a.content[0]}
	return st.move(rules.StateNoticePending, a)
}

// emergency puts the scope of an emergency before the custodians. The case
// stays under review until they agree.
func (st *step) emergency(a *act) error {
	if !emergencyReady(st.c, st.now) {
		return conflict("this is no emergency under review, or its scope is before the custodians already", "")
	}
	if err := st.stillAsks(); err != nil {
		return err
	}
	for _, g := range []rules.Guard{rules.GuardRulesPass, rules.GuardDangerAttested, rules.GuardCallBackDone, rules.GuardEmergencyScope, rules.GuardInstrumentValid} {
		if err := st.guard(g, a); err != nil {
			return err
		}
	}
	st.c.Asked = true
	return st.work(workScope, "", st.now, nil)
}

// proceed goes on to the custodians where no notice is due before.
func (st *step) proceed(a *act) error {
	if err := st.stillAsks(); err != nil {
		return err
	}
	if err := st.move(rules.StateAwaitingQuorum, a); err != nil {
		return err
	}
	if st.c.Secrecy.active() {
		return st.note(verify.EventNotice, "deferred", a)
	}
	return nil
}

// challenge brings the case before a court: by the firm, the guardian, or the
// person, whose objection one of them hands on.
func (st *step) challenge(a *act) error {
	if a.decision.Role == string(rules.RoleSubject) {
		a.by = rules.RoleSubject
	}
	return st.move(rules.StateChallenged, a)
}

// rule enters what a court has decided, with its order on file: the case goes
// on, or, with a reject code, ends.
func (st *step) rule(a *act) error {
	a.by = rules.RoleCourt
	if a.decision.Code == "" {
		return st.move(rules.StateAwaitingQuorum, a)
	}
	if !st.s.knownCode(a.decision.Code) {
		return invalid("code", "not a reject code of the rules", "")
	}
	if err := st.move(rules.StateRejected, st.rejecting(a)); err != nil {
		return err
	}
	for i := range st.c.Tasks {
		st.refuseTask(i, st.c.Reject)
	}
	return nil
}

// fraud marks an emergency that was found to be forged. The agency is
// suspended at once.
func (st *step) fraud(a *act) error {
	if !fraudulent(st.c, st.now) {
		return conflict("only an emergency is marked as fraud, once", "")
	}
	st.c.Fraud = true
	if err := st.note(verify.EventAlarm, "fraud", a); err != nil {
		return err
	}
	return st.s.suspendAgency(st.q, st.c.row.Agency, st.now)
}

// refused reports whether a task is refused, by a decision or by what was
// found out later.
func (c *kase) refused(f *file, i int) bool { return f.tasks[i].Refused != "" || c.Tasks[i].Code != "" }

// standing returns the tasks with what was found out later.
func (c *kase) standing(f *file) []verify.DecidedTask {
	tasks := slices.Clone(f.tasks)
	for i := range tasks {
		if tasks[i].Refused == "" {
			tasks[i].Refused = c.Tasks[i].Code
		}
	}
	return tasks
}

// tasksDigest is what two people approve.
func (c *kase) tasksDigest(f *file) [32]byte { return verify.TasksDigest(f.digest, f.tasks) }
