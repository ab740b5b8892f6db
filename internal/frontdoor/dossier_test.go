//go:build unix

package frontdoor_test

import (
	"testing"

	"bonded"
	"bonded/internal/operator"
	"bonded/verify"
)

// TestPeopleOfTheCellReadTheDossierBeforeThereIsAScope lets legal compute what
// it approves from the statements themselves.
func TestPeopleOfTheCellReadTheDossierBeforeThereIsAScope(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")

	// 1. Legal sees request, officer and decisions, and no scope.
	d, err := w.door.Dossier(w.ctx, w.call("legal-1"), id)
	w.must(err)
	if d.Request == nil || d.Officer == nil || d.Agency == nil || len(d.Decisions) != 2 || d.Opening != nil || len(d.ScopeHead) != 0 {
		t.Errorf("dossier before the scope: %+v", d)
	}
	digest, err := operator.ApproveTasks(w.view(id, "legal-1"), d, "")
	w.must(err)
	for _, who := range []string{"legal-1", "legal-2"} {
		w.act(id, who, "legal", "approve", func(d *verify.CaseDecision) { d.Digest = digest })
	}
	w.state(id, "notice_pending")

	// 2. The officer and custodians do not.
	for _, who := range []string{"officer", "custodian:" + w.custodians[0].id} {
		if _, err := w.door.Dossier(w.ctx, w.call(who), id); bonded.CodeOf(err) != bonded.CodeWithheld {
			t.Errorf("%s: %v", who, err)
		}
	}
}
