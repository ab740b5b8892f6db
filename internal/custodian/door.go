package custodian

import (
	"context"

	"bonded"
	"bonded/internal/apitype"
)

// A Door is the front door as a custodian calls it, each call signed with the
// approval key; package client has one.
type Door interface {
	ListCases(ctx context.Context, state, after string) (*apitype.CaseList, error)
	Dossier(ctx context.Context, id bonded.CaseID) (*apitype.CaseDossier, error)
	Scope(ctx context.Context, id bonded.CaseID, from int) (*apitype.ScopePage, error)
	Approve(ctx context.Context, id bonded.CaseID, approval []byte) (*apitype.CaseResult, error)
	Opening(ctx context.Context, id bonded.CaseID) (*apitype.OpeningProof, error)
	Partials(ctx context.Context, id bonded.CaseID, p *apitype.CasePartials) (*apitype.CasePartialsResult, error)
	Register(ctx context.Context) (*apitype.RegistryList, error)
	Confirm(ctx context.Context, c *apitype.RegistryConfirm) (*apitype.RegistryEntry, error)
	Ceremony(ctx context.Context, id string, from int) (*apitype.CeremonyMessages, error)
	PostCeremony(ctx context.Context, id string, message []byte) (*apitype.CeremonyMessages, error)
	Custody(ctx context.Context) (*apitype.CustodyChain, error)
}
