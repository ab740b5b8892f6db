package frontdoor

import (
	"encoding/hex"
	"slices"
	"time"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// guard tests one guard of the rules. There is a function for each below, with
// its number in the order of the rules.
func (st *step) guard(g rules.Guard, a *act) error {
	test, ok := guards[g]
	if !ok {
		return bonded.Errorf(bonded.CodeInternal, "the rules name a guard that this version does not test: %s", g)
	}
	if why := test(st, a); why != nil {
		if len(why.Rules) == 0 || why.Rules[0] == "" {
			why.Rules = []string{"guard." + string(g)}
		}
		return why
	}
	return nil
}

var guards = map[rules.Guard]func(*step, *act) *bonded.Error{
	rules.GuardSchemaValid:         guardSchemaValid,
	rules.GuardDocumentsHashed:     guardDocumentsHashed,
	rules.GuardRequesterSigned:     guardRequesterSigned,
	rules.GuardRejectCode:          guardRejectCode,
	rules.GuardRejectCodePerTask:   guardRejectCodePerTask,
	rules.GuardPreserveOnReceipt:   guardPreserveOnReceipt,
	rules.GuardAgencyVerified:      guardAgencyVerified,
	rules.GuardOfficerVerified:     guardOfficerVerified,
	rules.GuardCallBackIfEmergency: guardCallBackIfEmergency,
	rules.GuardPreserveOnly:        guardPreserveOnly,
	rules.GuardHoldEnded:           guardHoldEnded,
	rules.GuardRulesPass:           guardRulesPass,
	rules.GuardTwoPeople:           guardTwoPeople,
	rules.GuardNoticeSent:          guardNoticeSent,
	rules.GuardNoNoticeDue:         guardNoNoticeDue,
	rules.GuardCourtDocument:       guardCourtDocument,
	rules.GuardQuorumSameScope:     guardQuorumSameScope,
	rules.GuardLogProof:            guardLogProof,
	rules.GuardPartialsVerified:    guardLogProof,
	rules.GuardSealedToRecipient:   guardLogProof,
	rules.GuardReceiptHeld:         guardReceiptHeld,
	rules.GuardDangerAttested:      guardDangerAttested,
	rules.GuardCallBackDone:        guardCallBackDone,
	rules.GuardEmergencyScope:      guardEmergencyScope,
	rules.GuardPaperArrived:        guardPaperArrived,
	rules.GuardToldOrSecret:        guardToldOrSecret,
	rules.GuardInstrumentValid:     guardInstrumentValid,
}

// coded makes a guard's refusal of any error: a broken database refuses too.
func coded(err error) *bonded.Error {
	if e, ok := err.(*bonded.Error); ok { //nolint:errorlint // wrapped errors keep their cause below
		return e
	}
	return bonded.Wrap(bonded.CodeOf(err), err, "the case cannot be read")
}

// 1. Every field of the request is there and well formed: [Service.FileCase]
// checked it before it made the case, and nothing else leads to a draft.
func guardSchemaValid(_ *step, a *act) *bonded.Error {
	if !a.checked {
		return forbidden("", "the request was not checked", "file it again")
	}
	return nil
}

// 2. Every document that the request names is stored, sealed, under its hash.
func guardDocumentsHashed(st *step, _ *act) *bonded.Error {
	missing, err := st.missingDocuments()
	if err != nil {
		return coded(err)
	}
	if len(missing) > 0 {
		return conflict("documents that the request names are not there yet", "upload them")
	}
	return nil
}

// 3. The officer's key signed the request.
func guardRequesterSigned(_ *step, a *act) *bonded.Error { return guardSchemaValid(nil, a) }

// 4. The refusal names a reject code of the rules: that of the decision, or,
// of a request that the rules themselves refuse at the door, its own.
func guardRejectCode(st *step, a *act) *bonded.Error {
	if a.decision != nil && st.s.knownCode(a.decision.Code) || a.decision == nil && a.checked && st.s.knownCode(a.detail) {
		return nil
	}
	return invalid("code", "a refusal names a reject code of the rules", "see spec/frontdoor-rules.md")
}

// 5. The refusal names one for every task that is not refused already: one for
// all, or one each.
func guardRejectCodePerTask(st *step, a *act) *bonded.Error {
	if a.decision == nil {
		return invalid("code", "a refusal is somebody's decision", "")
	}
	if a.decision.Code != "" {
		return guardRejectCode(st, a)
	}
	for i := range st.c.Tasks {
		if st.c.Tasks[i].Code == "" {
			return invalid("tasks", "a refusal names a reject code for every task", "name code for all, or tasks[].code for each")
		}
	}
	return nil
}

// 6. The process type says to freeze at once.
func guardPreserveOnReceipt(st *step, _ *act) *bonded.Error {
	if p, ok := st.s.rules.Process(st.c.row.Process); ok && p.PreserveOnReceipt {
		return nil
	}
	return forbidden("", "this process type does not freeze on receipt", "forward the case")
}

// 7. The agency is in force, verified and not suspended.
func guardAgencyVerified(st *step, _ *act) *bonded.Error {
	a, err := st.s.agency(st.q, st.c.row.Agency, st.now)
	if err != nil {
		return coded(err)
	}
	if a == nil || a.Trust != "verified" {
		return forbidden("", "the agency is not verified, or suspended", "verify it out of band and have it registered anew")
	}
	return nil
}

// 8. The officer's level allows what is asked, and their entry is in force.
func guardOfficerVerified(st *step, _ *act) *bonded.Error {
	p, err := st.s.person(st.q, st.c.row.Officer, st.now)
	if err != nil {
		return coded(err)
	}
	if p == nil || p.Agency != st.c.row.Agency {
		return forbidden("", "the officer is not in force, or suspended", "verify them out of band and have them registered anew")
	}
	f, err := st.file()
	if err != nil {
		return coded(err)
	}
	if r := st.s.ladder(f.request, p); r != nil {
		return forbidden("", r.Message, r.Hint)
	}
	return nil
}

// 9. With priority emergency, somebody called back a number of the register.
func guardCallBackIfEmergency(st *step, a *act) *bonded.Error {
	if rules.Priority(st.c.row.Priority) != rules.PriorityEmergency || st.c.CalledBack {
		return nil
	}
	agency, err := st.s.agency(st.q, st.c.row.Agency, st.now)
	if err != nil {
		return coded(err)
	}
	officer, err := st.s.person(st.q, st.c.row.Officer, st.now)
	if err != nil {
		return coded(err)
	}
	if a.decision == nil || agency == nil || officer == nil || !rules.SameNumber(a.decision.Detail, officer.Phone) && !rules.SameNumber(a.decision.Detail, agency.Switchboard) {
		return forbidden("", "an emergency goes on only after a call back to a number of the register",
			"call the officer's or the agency's number as it stands in the register, and name it in detail")
	}
	st.c.CalledBack = true
	return nil
}

// 10. The process type freezes and opens nothing.
func guardPreserveOnly(st *step, _ *act) *bonded.Error {
	if p, ok := st.s.rules.Process(st.c.row.Process); ok && p.Kind == rules.KindPreserve {
		return nil
	}
	return forbidden("", "this process type asks for more than a freeze", "approve its scope")
}

// 11. The hold and its extensions ran out, by witness time, or were released.
func guardHoldEnded(st *step, _ *act) *bonded.Error {
	if h := st.c.Hold; h == nil || h.Released || !st.s.witnessed().Before(h.Until) {
		return nil
	}
	return forbidden("", "the hold has not ended", "release it first, or wait")
}

// 12. The law lets it: the process type opens the classes, approvals are there,
// the agency has the power, fields fit their class, and no blocking rule of
// the packs stands against it.
func guardRulesPass(st *step, _ *act) *bonded.Error {
	f, err := st.file()
	if err != nil {
		return coded(err)
	}
	agency, err := st.s.agency(st.q, st.c.row.Agency, st.now)
	if err != nil {
		return coded(err)
	}
	if agency == nil {
		return forbidden("", "the agency is not in force", "")
	}
	passed, refusal := st.s.rulesPass(f.request, f.tasks, agency, st.now)
	if refusal != nil {
		return forbidden(rejectCodeOf(refusal), refusal.Message, refusal.Hint)
	}
	st.c.Rules = passed
	return nil
}

// 13. Two people of role legal approved the same tasks, and neither drafted a
// narrowing of them.
func guardTwoPeople(st *step, a *act) *bonded.Error {
	if slices.Contains(st.c.Drafters, a.person) {
		return forbidden("separation.narrow_approve", "whoever drafted a narrowing does not approve it", "let another person of role legal approve")
	}
	f, err := st.file()
	if err != nil {
		return coded(err)
	}
	first := st.c.Approved
	switch {
	case first == nil || first.Person == a.person:
		return forbidden("", "the scope needs the approval of a second person", "let another person of role legal approve the same tasks")
	case first.Tasks != st.c.tasksDigest(f):
		return conflict("the tasks have changed since the first approval", "approve them anew")
	}
	return nil
}

// 14. Those who are to be told before were told.
func guardNoticeSent(st *step, _ *act) *bonded.Error {
	if st.c.NoticeSent {
		return nil
	}
	return forbidden("", "the person is not told yet", "wait for the notice to go out")
}

// 15. Notice is deferred by a secrecy entry with an end or review date, or is
// not due before.
func guardNoNoticeDue(st *step, _ *act) *bonded.Error {
	if !st.announces() {
		return nil
	}
	return forbidden("", "the person is to be told before anything opens", "wait for the notice and the time to object")
}

// 16. The order of the court is on file.
func guardCourtDocument(st *step, a *act) *bonded.Error {
	return st.onFile(a, "the order of the court")
}

func (st *step) onFile(a *act, what string) *bonded.Error {
	if a.decision != nil {
		b, err := hex.DecodeString(a.decision.Digest)
		if err == nil && len(b) == 32 {
			have, err := st.q.Documents(st.c.row.ID)
			if err != nil {
				return coded(err)
			}
			if slices.ContainsFunc(have, func(h []byte) bool { return string(h) == string(b) }) {
				return nil
			}
		}
	}
	return invalid("digest", what+" is not on file", "upload the document, then name its SHA-256 in digest")
}

// 17. In every role enough custodians signed the scope of this round.
func guardQuorumSameScope(st *step, a *act) *bonded.Error {
	now := st.s.custody.Load()
	if st.c.Scope == nil || now == nil || st.c.Scope.Epoch != now.custodians.Epoch {
		return conflict("no scope is before the custodians in force", "wait for it")
	}
	if len(a.approvals) == 0 {
		return forbidden("", "no custodian has approved", "")
	}
	if err := st.stillAsks(); err != nil {
		return err
	}
	if err := verify.CheckApprovals(now.custodians, st.c.row.ID, st.c.Scope.Digest, a.approvals[0].Leaf, a.approvals); err != nil {
		return &bonded.Error{Code: bonded.CodeForbidden, Message: "the approvals are no quorum", Err: err, Rules: []string{"guard.quorum_same_scope"}}
	}
	return nil
}

// stillAsks refuses to go on for an agency or officer that was suspended since
// the case was verified, or that is found to have forged it.
func (st *step) stillAsks() *bonded.Error {
	if st.c.Fraud {
		return forbidden("case.forged", "the request was found to be forged", "reject the case")
	}
	if err := guardAgencyVerified(st, nil); err != nil {
		err.Rules = []string{"guard." + string(rules.GuardAgencyVerified)}
		return err
	}
	if err := guardOfficerVerified(st, nil); err != nil {
		err.Rules = []string{"guard." + string(rules.GuardOfficerVerified)}
		return err
	}
	return nil
}

// 18 to 20. The opening is in a cosigned checkpoint, every partial's proof
// holds, and what leaves is sealed to the requester: [Service.release] has seen
// to it before it calls.
func guardLogProof(_ *step, a *act) *bonded.Error {
	if a.proof {
		return nil
	}
	return forbidden("", "nothing is delivered before its opening is witnessed", "")
}

// 21. The requester has fetched the package.
func guardReceiptHeld(st *step, _ *act) *bonded.Error {
	if st.c.Package != nil && st.c.Package.Fetched {
		return nil
	}
	return forbidden("", "the requester has not fetched the package yet", "wait for it, or for the case to close by itself")
}

// 22. The officer signed that a life is in danger, and somebody of a role that
// may attest it stands behind it.
func guardDangerAttested(st *step, _ *act) *bonded.Error {
	f, err := st.file()
	if err != nil {
		return coded(err)
	}
	a := &f.request.Authorisation
	if rules.Priority(a.Priority) == rules.PriorityEmergency && slices.Contains(a.Flags, "emergency") && len(a.Approvals) > 0 && a.Necessity != "" {
		return nil
	}
	return forbidden("", "no danger to a life is attested", "let the case take the ordinary way")
}

// 23. Somebody rang a number of the register, and was answered.
func guardCallBackDone(st *step, _ *act) *bonded.Error {
	if st.c.CalledBack {
		return nil
	}
	return forbidden("", "nobody has called back a number of the register", "")
}

// 24. The scope is within the limits of the rules for emergencies.
func guardEmergencyScope(st *step, _ *act) *bonded.Error {
	f, err := st.file()
	if err != nil {
		return coded(err)
	}
	for i := range f.tasks {
		if st.c.refused(f, i) {
			continue
		}
		if r := st.s.emergencyTask(f.request.Authorisation.ProcessType, &f.tasks[i].CaseTask, i); r != nil {
			return forbidden("", r.Message, "narrow the request: "+r.Hint)
		}
	}
	return nil
}

// 25. The instrument that was owed is on file.
func guardPaperArrived(st *step, a *act) *bonded.Error {
	return st.onFile(a, "the instrument that was owed")
}

// 26. The person was told, or a secrecy entry is in force, or somebody else
// tells them.
func guardToldOrSecret(st *step, _ *act) *bonded.Error {
	if st.c.Secrecy.active() || st.c.Told {
		return nil
	}
	return forbidden("", "the person has not been told, and no secrecy entry defers it", "wait for the notice to go out")
}

// 27. Now is between valid_from and valid_to.
func guardInstrumentValid(st *step, _ *act) *bonded.Error {
	if within(st.now, st.c.ValidFrom, st.c.ValidTo) {
		return nil
	}
	return forbidden("", "the instrument is not valid now", "file a new request under a valid one")
}

func within(t, from, to time.Time) bool { return !t.Before(from) && !t.After(to) }
