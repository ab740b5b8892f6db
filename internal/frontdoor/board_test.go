//go:build unix

package frontdoor_test

import (
	"testing"

	"bonded"
	"bonded/internal/apitype"
)

// A board shows what goes on to those who may read every case, and nobody else.
func TestBoardShowsWhatGoesOn(t *testing.T) {
	w := staffed(t)
	first, second := w.file(w.request()), w.file(w.request())
	w.act(second, "intake", "intake", "take")
	b, err := w.door.Board(w.ctx, w.call("legal-1"), apitype.BoardOpen, "")
	w.must(err)
	if b.States["submitted"] != 1 || len(b.Cases) != 2 || b.Open != 2 || b.Next != "" {
		t.Fatalf("the board has %v and %d cases", b.States, len(b.Cases))
	}
	seen := map[bonded.CaseID]string{}
	for i := range b.Cases {
		seen[b.Cases[i].Case] = b.Cases[i].State
		if i > 0 && b.Cases[i].Deadline != nil && b.Cases[i-1].Deadline != nil && b.Cases[i].Deadline.Before(*b.Cases[i-1].Deadline) {
			t.Error("the most urgent is not first")
		}
	}
	if seen[first] != "submitted" || seen[second] == "" {
		t.Errorf("the board shows %v", seen)
	}
	for _, who := range []string{"officer", "auditor", "nobody", "admin"} {
		if _, err := w.door.Board(w.ctx, w.call(who), apitype.BoardOpen, ""); bonded.CodeOf(err) != bonded.CodeWithheld {
			t.Errorf("%s: %v", who, err)
		}
	}
}
