package keyholder

import (
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// roleFrontDoor is the role of the grant under which a vault asks for releases.
const roleFrontDoor = "front_door"

// certificateSeen is what a release says, read and checked by itself; refusal is
// the first thing that does not hold.
type certificateSeen struct {
	items     []*verify.ScopeItem
	hashes    []tlog.Hash // of the items shown
	scope     *verify.Scope
	digest    [32]byte // of the scope
	recipient seal.HPKEPublic
	witnessed time.Time // of the checkpoint that shows the opening
	refusal   ruling
}

func (s *certificateSeen) refuse(code bonded.Code, rule string) *certificateSeen {
	s.refusal = no(code, "keyholder.release."+rule)
	return s
}

// openCertificate reads what a vault shows for a release and checks all of it
// that needs no state: form, custodians, scope, recipient, approvals, and the
// witnessed entry that lets it happen. Nothing is believed that the vault says
// of it.
func openCertificate(x *wire.Release, t *trust, c *custodians) *certificateSeen {
	s := new(certificateSeen)
	// 1. Form: one collection, each item once, and a place in the scope.
	if !s.read(x) {
		return s.refuse(bonded.CodeInvalid, "form")
	}

	// 2. The scope: of this cell, under the custodians in force, and exactly the
	// items shown in their places.
	scope := s.scope
	switch {
	case scope.Cell != t.cell.ID:
		return s.refuse(bonded.CodeKeyholderRefused, "cell")
	case c == nil || scope.KeySet != c.people.KeySet || scope.Epoch != c.people.Epoch:
		return s.refuse(bonded.CodeKeyholderRefused, "custodians")
	}
	cert := &x.Certificate
	hashes := make([]tlog.Hash, len(cert.Hashes))
	for i := range cert.Hashes {
		hashes[i] = cert.Hashes[i]
	}
	s.digest = verify.ScopeDigest(cert.ScopeHead, hashes)
	for j := range s.items {
		if s.hashes[j] != hashes[x.From+uint64(j)] {
			return s.refuse(bonded.CodeKeyholderRefused, "items")
		}
	}

	// 3. Who it is for.
	key, err := recipient.Parse(cert.Recipient)
	if err != nil || key.Digest() != scope.Recipient {
		return s.refuse(bonded.CodeKeyholderRefused, "recipient")
	}
	s.recipient = key.Seal

	// 4. The quorum: different people of every role, for exactly this.
	approvals := make([]*verify.Approval, len(cert.Approvals))
	for i, b := range cert.Approvals {
		a, err := verify.DecodeApproval(b)
		if err != nil {
			return s.refuse(bonded.CodeInvalid, "form")
		}
		approvals[i] = a
	}
	if err := verify.CheckApprovals(c.people, scope.Case, s.digest, cert.Quorum, approvals); err != nil {
		return s.refuse(bonded.CodeBelowQuorum, "approvals")
	}

	// 5. The entry that everybody can see: of this case and scope, by these
	// people, for this key, under a checkpoint that the witnesses cosigned.
	o, err := verify.ParseCaseOpening(cert.Opening)
	if err != nil {
		return s.refuse(bonded.CodeStale, "opening")
	}
	opened, in, err := o.CheckWitnessed(t.cell.ID, cert.Proof, t.cell.LedgerKey, t.witness)
	if err != nil {
		return s.refuse(bonded.CodeStale, "opening")
	}
	e := opened.Entry
	content := verify.OpeningContent(s.digest, verify.ApprovalsDigest(approvals), scope.Recipient)
	if e.Type != verify.EntryCase || e.Event != verify.EventOpening || e.Case != scope.Case || e.Scope != s.digest || e.Content != content {
		return s.refuse(bonded.CodeKeyholderRefused, "entry")
	}
	s.witnessed = in.Checkpoint.WitnessTime()
	return s
}

// read reads items and head and checks their form. What it could read is kept,
// for the row of a refusal.
func (s *certificateSeen) read(x *wire.Release) bool {
	scope, err := verify.DecodeScopeHead(x.Certificate.ScopeHead)
	if err == nil {
		s.scope = scope
	}
	n := uint64(len(x.Items))
	ok := err == nil && x.Purpose.Valid() && n > 0 && n <= wire.MaxReleaseItems &&
		x.From <= uint64(len(x.Certificate.Hashes)) && n <= uint64(len(x.Certificate.Hashes))-x.From
	seen := make(map[[32]byte]bool, len(x.Items))
	for _, b := range x.Items {
		it, err := verify.DecodeScopeItem(b)
		if err != nil || len(s.items) > 0 && it.Collection != s.items[0].Collection {
			return false
		}
		h := verify.ScopeItemHash(b)
		ok = ok && !seen[h]
		seen[h] = true
		s.items, s.hashes = append(s.items, it), append(s.hashes, h)
	}
	return ok
}

// decideRelease rules on a release, in this order: form, stream, freshness,
// grant, certificate, expiry, cap. What depends on the single item comes after,
// see itemCode. The caller holds mu.
func (k *Keyholder) decideRelease(x *wire.Release, seen *certificateSeen) ruling {
	now := k.now()
	// 1. Form, and the place in the stream of the node.
	if seen.refusal.code == bonded.CodeInvalid {
		return seen.refusal
	}
	if rule := k.takePlace(x.Node, position{x.Incarnation, x.Seq}, x.Leaf); rule != "" {
		return no(bonded.CodeKeyholderRefused, rule)
	}

	// 2. What the ledger has shown.
	if code, rule := k.witnessed(now); code != "" {
		return no(code, rule)
	}

	// 3. The grant says only whose vault asks: who may have what is for the
	// custodians.
	g := k.grants.find(x.Principal)
	if g == nil || now.Before(g.NotBefore) || !now.Before(g.NotAfter) || !slices.Contains(g.Roles, roleFrontDoor) || !slices.Contains(g.Purposes, x.Purpose) {
		return no(bonded.CodeForbidden, "keyholder.release.grant")
	}

	// 4. The certificate.
	if seen.refusal.code != "" {
		return seen.refusal
	}

	// 5. Its end, by the witnesses' time.
	newest := k.fresh.witnessed
	if seen.witnessed.After(newest) {
		newest = seen.witnessed
	}
	if uint64(max(newest.Unix(), 0)) > seen.scope.Expires {
		return no(bonded.CodeKeyholderRefused, "keyholder.release.expired")
	}

	// 6. The operator's cap on people an hour, whatever custodians approve.
	c := cost{subjects: make([]bonded.ID, len(seen.items))}
	for j, it := range seen.items {
		c.subjects[j] = it.Subject
	}
	if !k.state.budgets.spend(cases, millis(now), k.cfg.Limits.ReleasePerHour, c) {
		return no(bonded.CodeBudget, "keyholder.release.cap")
	}
	return ruling{}
}
