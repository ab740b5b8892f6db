package client

import (
	"encoding/json"

	"bonded/internal/apitype"
	"bonded/verify"
)

// The bodies of the API. GET /v1/openapi.json describes each.
type (
	Why                 = apitype.Why
	Values              = apitype.Values
	Facts               = apitype.Facts
	RouteRequest        = apitype.RouteRequest
	RouteAnswer         = apitype.RouteAnswer
	PutItem             = apitype.PutItem
	PutRequest          = apitype.PutRequest
	PutResult           = apitype.PutResult
	GetItem             = apitype.GetItem
	GetRequest          = apitype.GetRequest
	GetResult           = apitype.GetResult
	BatchPutRequest     = apitype.BatchPutRequest
	BatchPutResult      = apitype.BatchPutResult
	PutItemResult       = apitype.PutItemResult
	BatchGetRequest     = apitype.BatchGetRequest
	BatchGetResult      = apitype.BatchGetResult
	GetItemResult       = apitype.GetItemResult
	Problem             = apitype.Problem
	FindRequest         = apitype.FindRequest
	Found               = apitype.Found
	FindResult          = apitype.FindResult
	ListRequest         = apitype.ListRequest
	CountRequest        = apitype.CountRequest
	CountResult         = apitype.CountResult
	SubjectRequest      = apitype.SubjectRequest
	HistoryResult       = apitype.HistoryResult
	HistoryEntry        = apitype.HistoryEntry
	ExportResult        = apitype.ExportResult
	ExportRecord        = apitype.ExportRecord
	EraseResult         = apitype.EraseResult
	TokenRequest        = apitype.TokenRequest
	TokenResult         = apitype.TokenResult
	TokenDeleteRequest  = apitype.TokenDeleteRequest
	RecordDeleteRequest = apitype.RecordDeleteRequest
	EntryResult         = apitype.EntryResult
	BasisRequest        = apitype.BasisRequest
	BasisRecord         = apitype.BasisRecord
	BasisProcessing     = apitype.BasisProcessing
	BasisParty          = apitype.BasisParty
	BasisEvent          = apitype.BasisEvent
	BasisResult         = apitype.BasisResult
	JournalRequest      = apitype.JournalRequest
	JournalResult       = apitype.JournalResult
	JournalRow          = apitype.JournalRow
	AnchorInfo          = apitype.AnchorInfo
	ReceiptRequest      = apitype.ReceiptRequest
	JobRequest          = apitype.JobRequest
	Job                 = apitype.Job
	StatusResult        = apitype.StatusResult
	WaitingChange       = apitype.WaitingChange
	KeyholderStatus     = apitype.KeyholderStatus

	Directory = verify.Directory
	Receipt   = verify.Receipt
)

// Limits of the API.
const (
	MaxField = apitype.MaxField // bytes of one field's value
	MaxCall  = apitype.MaxCall  // bytes of one request
	MaxBatch = apitype.MaxBatch // items of one batch call
	MaxPage  = apitype.MaxPage  // entries of one page
)

// Text returns s as a value of a field.
func Text(s string) json.RawMessage {
	b, err := marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return b
}

// TextOf returns the string that a value is, and false if it is none.
func TextOf(v json.RawMessage) (string, bool) {
	var s *string
	if json.Unmarshal(v, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}
