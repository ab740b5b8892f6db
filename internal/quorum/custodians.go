package quorum

import "bonded/verify"

// Custodians returns what approvals are checked against.
func (ks *KeySet) Custodians() *verify.Custodians {
	c := &verify.Custodians{Cell: ks.cell, KeySet: ks.digest, Epoch: ks.epoch}
	for _, r := range ks.roles {
		role := verify.CustodianRole{Name: r.Name, Threshold: r.Threshold}
		for i, m := range r.Members {
			role.Members = append(role.Members, verify.Custodian{Index: uint64(i + 1), ID: m.ID, Key: m.Approval}) //nolint:gosec // not negative
		}
		c.Roles = append(c.Roles, role)
	}
	return c
}
