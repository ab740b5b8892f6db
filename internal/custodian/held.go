package custodian

import (
	"slices"

	"bonded/internal/apitype"
	"bonded/verify"
)

// ending are the decisions after which nothing opens.
var ending = []string{"reject", "withdraw", "fraud"}

// held holds a case against the entry of the ledger that put it before the
// custodians, once that is known: the entry commits to the request and to the
// decisions shown, each by somebody whose decision it is to make; everybody was
// registered before it; and its scope ends, and has not ended.
func (f *Folder) held(c *Checked, reg *verify.RegisterProof, d *apitype.CaseDossier) error {
	for _, s := range d.Decisions {
		dec, _, err := reg.CheckDecision(s, c.Request, c.Case)
		if err != nil {
			return err
		}
		if slices.Contains(ending, dec.Action) {
			return refuse("ended", "the case was rejected, withdrawn or found to be forged")
		}
	}
	life := f.maxLife()
	switch {
	case !committed(c.content, d):
		return refuse("decisions", "the request and decisions shown are not those that entry %d of the ledger commits to", c.Index)
	case reg.Last >= c.Index:
		return refuse("register", "somebody was registered after the scope was put before the custodians")
	case !c.Scope.ExpiresBefore(c.Witnessed.Add(life)):
		return refuse("life", "the release would live for longer than %s", life)
	case c.Scope.ExpiresBefore(f.now()):
		return refuse("expired", "nothing is released for this scope any more")
	}
	return nil
}

// committed reports whether an entry commits to the request of a dossier and
// the decisions that were there when it was made: all of them or, when more
// came since, the first ones.
func committed(content [32]byte, d *apitype.CaseDossier) bool {
	digests := [][32]byte{d.Request.Digest(verify.LabelRequest)}
	for _, s := range d.Decisions {
		digests = append(digests, s.Digest(verify.LabelDecision))
	}
	for n := len(digests); n > 0; n-- {
		if verify.ContentDigest(digests[:n]...) == content {
			return true
		}
	}
	return false
}
