package api

import (
	"context"
	"crypto/ed25519"
	"io"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// A PersonCall is who acts at the front door.
type PersonCall = apitype.PersonCall

// Console is what the face needs of the pages of a cell.
type Console interface {
	Invite(context.Context, *PersonCall, *apitype.ConsoleInvite) (*apitype.ConsoleInvited, error)
}

// Cases is what the face needs of the front door. Methods may be called from
// many goroutines and return coded errors; whoever may not know of a case gets
// the same code withheld as for one that is not there.
type Cases interface {
	// AuthenticatePerson returns the key in force of a person; code
	// unauthenticated if there is none.
	AuthenticatePerson(ctx context.Context, person string) (ed25519.PublicKey, error)
	// TakeNonce accepts a nonce of a person once; code unauthenticated the
	// second time. It is called only with proofs that hold.
	TakeNonce(ctx context.Context, person string, nonce [16]byte, at time.Time) error
	// CountUnauthenticated counts a call of nobody known.
	CountUnauthenticated()
	// CountRefused counts what was refused by a rule, of a person or, if that is
	// empty, of nobody known. Numbers of them are entered.
	CountRefused(rule, person string)

	FileCase(context.Context, *PersonCall, *verify.Statement) (*apitype.CaseResult, error)
	ListCases(ctx context.Context, c *PersonCall, state, after string) (*apitype.CaseList, error)
	Case(context.Context, *PersonCall, bonded.CaseID) (*apitype.CaseView, error)
	PutDocument(ctx context.Context, c *PersonCall, id bonded.CaseID, sha256 string, body []byte) (*apitype.CaseResult, error)
	Document(ctx context.Context, c *PersonCall, id bonded.CaseID, sha256 string) ([]byte, error)
	Decide(context.Context, *PersonCall, bonded.CaseID, *verify.Statement) (*apitype.CaseResult, error)
	Dossier(context.Context, *PersonCall, bonded.CaseID) (*apitype.CaseDossier, error)
	ScopePage(ctx context.Context, c *PersonCall, id bonded.CaseID, from int) (*apitype.ScopePage, error)
	Approve(context.Context, *PersonCall, bonded.CaseID, *apitype.CaseApproval) (*apitype.CaseResult, error)
	OpeningProof(context.Context, *PersonCall, bonded.CaseID) (*apitype.OpeningProof, error)
	PutPartials(context.Context, *PersonCall, bonded.CaseID, *apitype.CasePartials) (*apitype.CasePartialsResult, error)
	// Package opens the release package of a case for reading.
	Package(context.Context, *PersonCall, bonded.CaseID) (body io.ReadCloser, size int64, err error)

	Register(context.Context, *PersonCall) (*apitype.RegistryList, error)
	ProposeAgency(context.Context, *PersonCall, *verify.Statement) (*apitype.RegistryEntry, error)
	ProposePerson(context.Context, *PersonCall, *verify.Statement) (*apitype.RegistryEntry, error)
	ConfirmEntry(context.Context, *PersonCall, *apitype.RegistryConfirm) (*apitype.RegistryEntry, error)

	StartCeremony(context.Context, *PersonCall, *apitype.CeremonyStart) (*apitype.CeremonyMessages, error)
	Ceremony(ctx context.Context, c *PersonCall, id string, from int) (*apitype.CeremonyMessages, error)
	PostCeremony(ctx context.Context, c *PersonCall, id string, m *apitype.CeremonyPost) (*apitype.CeremonyMessages, error)

	Custody(context.Context) (*apitype.CustodyChain, error)
	Openings(ctx context.Context, from uint64) (*apitype.OpeningFeed, error)
	ClosedOpenings(ctx context.Context, call *PersonCall, from uint64) (*apitype.OpeningFeed, error)
}
