package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/verify"
)

// caseActions are the commands that decide on a case, each by one signed
// decision.
type caseActions struct {
	Take       caseTake       `cmd:"" help:"Intake: take a case that came in."`
	Preserve   casePreserve   `cmd:"" help:"Intake: freeze what the case names while it is verified."`
	Forward    caseForward    `cmd:"" help:"Intake: hand a verified case to legal; of an emergency, after the call back."`
	Reject     caseReject     `cmd:"" help:"Intake, legal: refuse a case, with a reject code."`
	Clarify    caseClarify    `cmd:"" help:"Legal: ask the officer a question."`
	Narrow     caseNarrow     `cmd:"" help:"Legal: offer the officer a narrower scope."`
	Refer      caseRefer      `cmd:"" help:"Legal: wait for another authority."`
	Respond    caseRespond    `cmd:"" help:"Legal: enter what the other authority answered."`
	RefuseTask caseRefuseTask `cmd:"" help:"Legal: refuse single tasks."`
	Approve    caseApprove    `cmd:"" help:"Legal: approve the tasks as they stand; two people do."`
	Proceed    caseProceed    `cmd:"" help:"Legal: go on to the custodians where nobody is to be told before."`
	Challenge  caseChallenge  `cmd:"" help:"Legal, guardian: object, or hand on the person's objection."`
	Rule       caseRule       `cmd:"" help:"Legal: enter what a court decided."`
	Emergency  caseEmergency  `cmd:"" help:"Legal: put the scope of an emergency before the custodians."`
	Ratify     caseRatify     `cmd:"" help:"Legal: enter the instrument that an emergency owed."`
	Secrecy    caseSecrecy    `cmd:"" help:"Legal: extend, end or challenge a gag."`
	Hold       caseHold       `cmd:"" help:"Intake, legal: extend or release a hold."`
	Close      caseClose      `cmd:"" help:"Legal: close a case."`
	Fraud      caseFraud      `cmd:"" help:"Intake, legal: mark an emergency as forged, and suspend its agency."`
}

// actFlags are what every decision needs.
type actFlags struct {
	oneCase
	Reason string `help:"Why, in at most 4,096 bytes; no personal data of the subject."`
}

// A decided case is what a decision came to.
type decidedView struct {
	apitype.CaseResult
	Action string `json:"action"`
	From   string `json:"from"`
}

// act reads the case, has fill complete the decision, signs it and hands it in.
func (c *actFlags) act(ctx context.Context, s *streams, action string, fill func(*actor, *apitype.CaseView, *verify.CaseDecision) error) error {
	// 1. The case as it stands, and who acts.
	a, id, err := c.open(s)
	if err != nil {
		return err
	}
	role, err := a.role(ctx)
	if err != nil {
		return err
	}
	v, err := a.Case(ctx, id)
	if err != nil {
		return err
	}
	d, err := operator.Decide(v, a.Person(), role, action, time.Now())
	if err != nil {
		return err
	}

	// 2. What the action needs.
	d.Reason = c.Reason
	if fill != nil {
		if err := fill(a, v, d); err != nil {
			return err
		}
	}

	// 3. Signed and handed in.
	st, err := a.sign(verify.LabelDecision, d)
	if err != nil {
		return err
	}
	res, err := a.PersonClient.Decide(ctx, id, st)
	if err != nil {
		return err
	}
	return s.print(decidedView{*res, action, v.State}, func(w *tabwriter.Writer) {
		row(w, "case", res.Case)
		if res.State == v.State {
			row(w, "state", res.State+", as before")
		} else {
			row(w, "state", v.State+" → "+res.State)
		}
		row(w, "entry", res.Number)
		if action == "approve" && res.State == v.State {
			row(w, "left to do", "another person of role legal approves the same tasks")
		}
	})
}

// upload puts a document on file and returns its SHA-256.
func (a *actor) upload(ctx context.Context, id bonded.CaseID, path string) (string, error) {
	b, err := readInput(path, "the document")
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	sum := hex.EncodeToString(h[:])
	if _, err := a.PutDocument(ctx, id, sum, b); err != nil {
		return "", fmt.Errorf("document %s: %w", sum, err)
	}
	return sum, nil
}

func needsReason(reason string) error {
	if reason == "" {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--reason", Message: "this decision says why", Hint: "name no person in it: it may be read by others"}
	}
	return nil
}

type caseTake struct{ actFlags }

// Run implements the command.
func (c *caseTake) Run(ctx context.Context, s *streams) error { return c.act(ctx, s, "take", nil) }

type casePreserve struct{ actFlags }

// Run implements the command.
func (c *casePreserve) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "preserve", nil)
}

type caseForward struct {
	actFlags
	Called string `placeholder:"NUMBER" help:"Number that you called back, as it stands in the register; emergencies need it."`
}

// Run implements the command.
func (c *caseForward) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "forward", func(_ *actor, v *apitype.CaseView, d *verify.CaseDecision) error {
		if v.Priority == "emergency" && c.Called == "" {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--called", Message: "an emergency goes on only after a call back", Hint: "call the number of the register (bonded register list), never one from the request, and name it here"}
		}
		d.Detail = c.Called
		return nil
	})
}

type caseReject struct {
	actFlags
	Code string   `placeholder:"CODE" help:"Reject code for the whole case."`
	Task []string `placeholder:"TASK=CODE" help:"Reject code of one task, such as 0=too_broad; one for each task instead of --code."`
}

// Run implements the command.
func (c *caseReject) Run(ctx context.Context, s *streams) error {
	if c.Code == "" && len(c.Task) == 0 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--code", Message: "a refusal names its reason", Hint: "give --code, or --task TASK=CODE for each task"}
	}
	if c.Code != "" {
		if err := operator.RejectCode(c.Code); err != nil {
			return err
		}
	}
	return c.act(ctx, s, "reject", func(_ *actor, v *apitype.CaseView, d *verify.CaseDecision) (err error) {
		d.Code = c.Code
		d.Tasks, err = operator.Refusals(c.Task, len(v.Tasks))
		return err
	})
}

type caseClarify struct{ actFlags }

// Run implements the command.
func (c *caseClarify) Run(ctx context.Context, s *streams) error {
	if err := needsReason(c.Reason); err != nil {
		return err
	}
	return c.act(ctx, s, "clarify", nil)
}

type caseNarrow struct {
	actFlags
	Task        []int    `required:"" placeholder:"N" help:"Task to narrow; may be given more than once. The first --fields, --from, --to and --max-subjects belong to the first task."`
	Fields      []string `sep:"none" placeholder:"A,B" help:"Fields that are left."`
	MaxSubjects []int    `placeholder:"N" help:"People at most."`
	From        []string `sep:"none" placeholder:"TIME" help:"Later beginning of the window."`
	To          []string `sep:"none" placeholder:"TIME" help:"Earlier end of the window."`
}

// Run implements the command.
func (c *caseNarrow) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "narrow", func(_ *actor, v *apitype.CaseView, d *verify.CaseDecision) (err error) {
		n := operator.Narrowing{Tasks: c.Task, Fields: c.Fields, From: c.From, To: c.To, MaxSubjects: c.MaxSubjects}
		d.Tasks, err = n.Changes(v.Tasks)
		return err
	})
}

type caseRefer struct{ actFlags }

// Run implements the command.
func (c *caseRefer) Run(ctx context.Context, s *streams) error {
	if err := needsReason(c.Reason); err != nil {
		return err
	}
	return c.act(ctx, s, "refer", nil)
}

type caseRespond struct {
	actFlags
	Accept bool   `xor:"answer" required:"" help:"The other authority does not object."`
	Code   string `xor:"answer" required:"" placeholder:"CODE" help:"It objects: reject code."`
}

// Run implements the command.
func (c *caseRespond) Run(ctx context.Context, s *streams) error {
	if c.Code != "" {
		if err := operator.RejectCode(c.Code); err != nil {
			return err
		}
	}
	return c.act(ctx, s, "respond", func(_ *actor, _ *apitype.CaseView, d *verify.CaseDecision) error {
		d.Code = c.Code
		return nil
	})
}

type caseRefuseTask struct {
	actFlags
	Tasks []string `arg:"" name:"task=code" help:"Number of a task and its reject code, such as 0=too_broad."`
}

// Run implements the command.
func (c *caseRefuseTask) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "refuse_task", func(_ *actor, v *apitype.CaseView, d *verify.CaseDecision) (err error) {
		d.Tasks, err = operator.Refusals(c.Tasks, len(v.Tasks))
		return err
	})
}

type caseApprove struct {
	actFlags
	Digest string `placeholder:"HEX" help:"Digest of the tasks that you looked at, from case show: others are not approved."`
}

// Run implements the command. The digest is computed here, from the request
// and decisions as they were signed.
func (c *caseApprove) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "approve", func(a *actor, v *apitype.CaseView, d *verify.CaseDecision) (err error) {
		dossier, err := a.Dossier(ctx, v.Case)
		if err != nil {
			return err
		}
		d.Digest, err = operator.ApproveTasks(v, dossier, c.Digest)
		return err
	})
}

type caseProceed struct{ actFlags }

// Run implements the command.
func (c *caseProceed) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "proceed", nil)
}

type caseChallenge struct {
	actFlags
	ForSubject bool `help:"The objection is the person's; you hand it on."`
}

// Run implements the command.
func (c *caseChallenge) Run(ctx context.Context, s *streams) error {
	if err := needsReason(c.Reason); err != nil {
		return err
	}
	return c.act(ctx, s, "challenge", func(_ *actor, _ *apitype.CaseView, d *verify.CaseDecision) error {
		if c.ForSubject {
			d.Role = "subject"
		}
		return nil
	})
}

// documentFlags name a document that a decision rests on.
type documentFlags struct {
	Document string `required:"" type:"existingfile" placeholder:"FILE" help:"The document that the decision rests on; it is put on file first."`
}

// file puts the document on file and names it in the decision.
func (f *documentFlags) file(ctx context.Context, a *actor, d *verify.CaseDecision) (err error) {
	d.Digest, err = a.upload(ctx, d.Case, f.Document)
	return err
}

type caseRule struct {
	actFlags
	documentFlags
	Code string `placeholder:"CODE" help:"The court forbids it: reject code. Without it the case goes on."`
}

// Run implements the command.
func (c *caseRule) Run(ctx context.Context, s *streams) error {
	if c.Code != "" {
		if err := operator.RejectCode(c.Code); err != nil {
			return err
		}
	}
	return c.act(ctx, s, "rule", func(a *actor, _ *apitype.CaseView, d *verify.CaseDecision) error {
		d.Role, d.Code = "court", c.Code
		return c.file(ctx, a, d)
	})
}

type caseEmergency struct{ actFlags }

// Run implements the command.
func (c *caseEmergency) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "emergency", nil)
}

type caseRatify struct {
	actFlags
	documentFlags
}

// Run implements the command.
func (c *caseRatify) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "ratify", func(a *actor, _ *apitype.CaseView, d *verify.CaseDecision) error { return c.file(ctx, a, d) })
}

type caseSecrecy struct {
	Extend    secrecyExtend    `cmd:"" help:"Keep the gag until a later end, by a document that renews it."`
	End       secrecyEnd       `cmd:"" help:"End the gag: the person is told."`
	Challenge secrecyChallenge `cmd:"" help:"Enter that the gag is challenged."`
}

// untilFlags name an end.
type untilFlags struct {
	Until string `required:"" placeholder:"TIME" help:"New end: 2026-12-31, or 2026-12-31T18:00:00Z."`
}

func (f *untilFlags) set(d *verify.CaseDecision) error {
	at, err := operator.Time("--until", f.Until)
	if err != nil {
		return err
	}
	d.Until = &at
	return nil
}

type secrecyExtend struct {
	actFlags
	untilFlags
	documentFlags
}

// Run implements the command.
func (c *secrecyExtend) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "secrecy_extend", func(a *actor, v *apitype.CaseView, d *verify.CaseDecision) error {
		if err := c.set(d); err != nil {
			return err
		}
		if end := gagEnd(v.Secrecy); end != nil && !d.Until.After(*end) {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--until", Message: "an extension names an end after the present one", Hint: "the gag ends at " + stamp(*end) + " as it is"}
		}
		return c.file(ctx, a, d)
	})
}

// gagEnd is when a gag ends by itself, nil if the case has none.
func gagEnd(g *apitype.SecrecyView) *time.Time {
	switch {
	case g == nil:
		return nil
	case g.Until != nil:
		return g.Until
	}
	return g.ReviewAt
}

type secrecyEnd struct{ actFlags }

// Run implements the command.
func (c *secrecyEnd) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "secrecy_end", nil)
}

type secrecyChallenge struct{ actFlags }

// Run implements the command.
func (c *secrecyChallenge) Run(ctx context.Context, s *streams) error {
	if err := needsReason(c.Reason); err != nil {
		return err
	}
	return c.act(ctx, s, "secrecy_challenge", nil)
}

type caseHold struct {
	Extend  holdExtend  `cmd:"" help:"Keep the hold longer, as far as the process type lets it."`
	Release holdRelease `cmd:"" help:"End the hold before its time."`
}

type holdExtend struct {
	actFlags
	untilFlags
}

// Run implements the command.
func (c *holdExtend) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "hold_extend", func(_ *actor, _ *apitype.CaseView, d *verify.CaseDecision) error { return c.set(d) })
}

type holdRelease struct{ actFlags }

// Run implements the command.
func (c *holdRelease) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "hold_release", nil)
}

type caseClose struct{ actFlags }

// Run implements the command.
func (c *caseClose) Run(ctx context.Context, s *streams) error { return c.act(ctx, s, "close", nil) }

type caseFraud struct{ actFlags }

// Run implements the command.
func (c *caseFraud) Run(ctx context.Context, s *streams) error {
	if err := needsReason(c.Reason); err != nil {
		return err
	}
	return c.act(ctx, s, "fraud", nil)
}
