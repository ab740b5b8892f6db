package apitype

import (
	"bonded"
	"bonded/internal/grant"
	"bonded/internal/wire"
	"bonded/verify"
)

// A Call is who asks, why, and how that is known: what package api learns of
// a request beside its body and hands to the vault.
type Call struct {
	Grant       *grant.Grant // nil: unauthenticated
	Assurance   verify.Assurance
	Proof       *wire.Proof
	Body        [32]byte // SHA-256(nonce ‖ body) of proven writes and searches
	Why         Why
	RequestID   bonded.ID
	Idempotency string   // the Idempotency-Key, or empty
	BodyHash    [32]byte // of everything the caller sent in a write, to tell a retry from another request
	Promise     string   // out: value of the Bonded-Receipt header
}
