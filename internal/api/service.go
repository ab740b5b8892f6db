package api

import (
	"context"

	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/verify"
)

// A Call is who asks, why, and how that is known.
type Call = apitype.Call

// A Service is what the face needs of the vault. Every method may be called
// from many goroutines, decides and enters the call before it answers, and
// returns coded errors ([bonded.Error]); an uncoded one is shown as internal.
type Service interface {
	Route(context.Context, *Call, *apitype.RouteRequest) (*apitype.RouteAnswer, error)
	Put(context.Context, *Call, *apitype.PutRequest) (*apitype.PutResult, error)
	Get(context.Context, *Call, *apitype.GetRequest) (*apitype.GetResult, error)
	Mask(context.Context, *Call, *apitype.GetRequest) (*apitype.GetResult, error)
	Find(context.Context, *Call, *apitype.FindRequest) (*apitype.FindResult, error)
	List(context.Context, *Call, *apitype.ListRequest) (*apitype.FindResult, error)
	Count(context.Context, *Call, *apitype.CountRequest) (*apitype.CountResult, error)
	BatchPut(context.Context, *Call, *apitype.BatchPutRequest) (*apitype.BatchPutResult, error)
	BatchGet(context.Context, *Call, *apitype.BatchGetRequest) (*apitype.BatchGetResult, error)
	BatchMask(context.Context, *Call, *apitype.BatchGetRequest) (*apitype.BatchGetResult, error)
	History(context.Context, *Call, *apitype.SubjectRequest) (*apitype.HistoryResult, error)
	Export(context.Context, *Call, *apitype.SubjectRequest) (*apitype.ExportResult, error)
	Erase(context.Context, *Call, *apitype.SubjectRequest) (*apitype.EraseResult, error)
	EraseUndo(context.Context, *Call, *apitype.SubjectRequest) (*apitype.EraseResult, error)
	RecordDelete(context.Context, *Call, *apitype.RecordDeleteRequest) (*apitype.EntryResult, error)
	TokenCreate(context.Context, *Call, *apitype.TokenRequest) (*apitype.TokenResult, error)
	TokenDelete(context.Context, *Call, *apitype.TokenDeleteRequest) (*apitype.EntryResult, error)
	Basis(context.Context, *Call, *apitype.BasisRequest) (*apitype.BasisResult, error)
	Journal(context.Context, *Call, *apitype.JournalRequest) (*apitype.JournalResult, error)
	Receipt(context.Context, *Call, *apitype.ReceiptRequest) (*verify.Receipt, error)
	JobStart(context.Context, *Call, *apitype.JobRequest) (*apitype.Job, error)
	JobStatus(ctx context.Context, c *Call, id string) (*apitype.Job, error)
	Status(context.Context, *Call) (*apitype.StatusResult, error)

	// SessionChallenge and SessionOpen relay to the keyholder, within limits
	// for each principal.
	SessionChallenge(context.Context, *Call) (*apitype.SessionChallenge, error)
	SessionOpen(ctx context.Context, c *Call, open []byte) (*apitype.SessionResult, error)

	// Authenticate returns the grant of a bearer key, AuthenticateCert that
	// of a client certificate by SHA-256 of its public key. Both look a hash
	// up, so that time tells nothing, and return code unauthenticated.
	Authenticate(bearer string) (*grant.Grant, error)
	AuthenticateCert(spki [32]byte) (*grant.Grant, error)

	// Refuse enters a refusal that the face itself made and returns err, or
	// the error that kept it from entering.
	Refuse(ctx context.Context, c *Call, op verify.Operation, err error) error
	// CountUnauthenticated counts a call of nobody known; counts are entered
	// together.
	CountUnauthenticated()
	// Ready returns nil if the cell would open something now, else why not.
	Ready(context.Context) error
}
