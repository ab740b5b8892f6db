package verify

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Sentences says in plain English what the package has shown, one sentence a
// line. It names people by their ids only.
func (r *PackageReport) Sentences() []string {
	m := r.Manifest
	var who []string
	for _, a := range r.Approvals {
		who = append(who, fmt.Sprintf("%s (%s)", a.Custodian, a.Role))
	}
	lines := []string{
		fmt.Sprintf("Release package of %s, made %s, good until %s.", m.Case, m.Made.Format(time.RFC3339), m.Expires.Format(time.RFC3339)),
		fmt.Sprintf("It was asked for by officer %q of agency %q under process %q; both stand in the register, witnessed and confirmed by an independent custodian.", r.Officer.ID, r.Agency.ID, r.Request.Authorisation.ProcessType),
		fmt.Sprintf("The scope was put before the custodians at entry %d of the ledger and approved by %s, of key set %s, epoch %d.",
			r.QuorumEntry.Index, strings.Join(who, ", "), short(r.Custodians.Custodians.KeySet), r.Custodians.Custodians.Epoch),
		fmt.Sprintf("The opening stands at entry %d; a quorum of witnesses had seen it at %s.", r.OpenEntry.Index, r.OpenEntry.Checkpoint.WitnessTime().Format(time.RFC3339)),
		fmt.Sprintf("It has %s of %s: %d released, each shown by one of %s, and %d refused.",
			count(m.Items, "item"), countU(uint64(r.Subjects), "subject"), r.End.Released, countU(r.End.Receipts, "receipt"), r.End.Refused), //nolint:gosec // counted from 0
		fmt.Sprintf("The vault of cell %s signed it. This copy is %s.", m.Cell, m.Copy),
	}
	if r.Custodians.Dealt {
		lines = append(lines, "One dealer once knew the release key of these custodians.")
	}
	return lines
}

func short(d [32]byte) string { return hex.EncodeToString(d[:8]) }
