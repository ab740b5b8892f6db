// Package custody checks the custodians' part of a release package: that each
// certificate of a key set follows from the one before, and that the answers
// to quorum envelopes have the form of answers to them. It is the group of the
// quorum for package verify, which has none, and opens nothing: verifiers link
// it, and it links nothing that could.
//
// Start at [Chain].
package custody

import (
	"bonded"
	"bonded/internal/quorum"
	"bonded/verify"
)

// A Chain is the certificates of one release key as they come, oldest first.
// The zero Chain is empty. It implements [verify.PackageQuorum].
type Chain struct{ current *quorum.KeySet }

// Current returns the key set of the newest certificate, nil for the empty
// Chain.
func (c *Chain) Current() *quorum.KeySet { return c.current }

// Certificate implements [verify.PackageQuorum].
func (c *Chain) Certificate(b []byte) (*verify.CertifiedKeySet, error) {
	cert, err := quorum.ParseCertificate(b)
	if err != nil {
		return nil, err
	}
	if err := quorum.CheckCertificate(cert, c.current); err != nil {
		return nil, err
	}
	ks := cert.KeySet()
	c.current = ks
	return &verify.CertifiedKeySet{Custodians: ks.Custodians(), Content: cert.Digest(), Ceremony: ks.Ceremony(), Dealt: ks.Dealt()}, nil
}

// Combined implements [verify.PackageQuorum]. Whether an answer is the right
// one shows only to the recipient: it opens the envelope or it does not. What
// shows to everybody is that the envelope is under the custodians' key and
// made for this record, and that the answer is one.
func (c *Chain) Combined(o *verify.PackageOpening, item *verify.ScopeItem, envelope, combined []byte) error {
	if c.current == nil {
		return bonded.Errorf(bonded.CodeInvalid, "there is no key set")
	}
	e, err := quorum.ParseEnvelope(envelope)
	if err != nil {
		return err
	}
	key := c.current.ReleaseKey()
	if e.ReleaseKey() != key {
		return bonded.Errorf(bonded.CodeInvalid, "the envelope is under another release key than the custodians'")
	}
	if err := e.Check(verify.EnvelopeLabel(o.Case.Cell, item.Collection, item.Record, key)); err != nil {
		return err
	}
	_, err = quorum.ParseCombined(combined)
	return err
}

var _ verify.PackageQuorum = (*Chain)(nil)
