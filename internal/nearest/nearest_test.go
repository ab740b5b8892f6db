package nearest_test

import (
	"testing"

	"bonded/internal/nearest"
)

func TestHintNamesTheWordThatWasMeant(t *testing.T) {
	known := []string{"purposes", "purpose", "listen", "keyholder", "witness_policy", "id"}
	for _, c := range []struct{ word, want string }{
		{"purpsoes", "did you mean purposes?"},
		{"Listen", "did you mean listen?"},
		{"witness-policy", "did you mean witness_policy?"},
		{"keyhodler", "did you mean keyholder?"},
		{"di", "did you mean id?"},
		{"zzz", "known here: id, keyholder, listen, purpose, purposes, witness_policy"},
		{"", "known here: id, keyholder, listen, purpose, purposes, witness_policy"},
	} {
		if got := nearest.Hint(c.word, known); got != c.want {
			t.Errorf("Hint(%q) = %q, want %q", c.word, got, c.want)
		}
	}
	if got := nearest.Hint("x", nil); got != "" {
		t.Errorf("Hint without known words = %q, want none", got)
	}
}
