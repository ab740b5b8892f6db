package apitype

import "bonded/verify"

// A Route is one endpoint: the router, the OpenAPI document and the client
// are held against this table.
type Route struct {
	Method    string
	Path      string
	Operation verify.Operation
	Write     bool   // takes an Idempotency-Key
	Name      string // operationId
	Summary   string
}

// Routes is every endpoint under /v1.
var Routes = []Route{
	{"POST", "/v1/route", verify.OpRoute, false, "route", "Say which cell a person belongs to, and by which rule"},
	{"POST", "/v1/put", verify.OpWrite, true, "put", "Create a person or write a record"},
	{"POST", "/v1/get", verify.OpRead, false, "get", "Open fields of a record"},
	{"POST", "/v1/mask", verify.OpMask, false, "mask", "Show fields of a record masked"},
	{"POST", "/v1/find", verify.OpFind, false, "find", "Look records up by equality"},
	{"POST", "/v1/list", verify.OpList, false, "list", "Page through the ids of a collection"},
	{"POST", "/v1/count", verify.OpCount, false, "count", "Count a collection"},
	{"POST", "/v1/batch/put", verify.OpWrite, true, "batchPut", "Write many records"},
	{"POST", "/v1/batch/get", verify.OpRead, false, "batchGet", "Open fields of many records under one entry"},
	{"POST", "/v1/batch/mask", verify.OpMask, false, "batchMask", "Show fields of many records masked"},
	{"POST", "/v1/subject/history", verify.OpHistory, false, "history", "Show who opened a person's data, with the keyholder's count"},
	{"POST", "/v1/subject/export", verify.OpExport, false, "export", "Give a person their own copy"},
	{"POST", "/v1/subject/erase", verify.OpErase, true, "erase", "Erase a person"},
	{"POST", "/v1/subject/erase/undo", verify.OpEraseUndo, true, "eraseUndo", "Take an erasure back inside its window"},
	{"POST", "/v1/record/delete", verify.OpRecordDelete, true, "recordDelete", "Delete one record"},
	{"POST", "/v1/token/create", verify.OpTokenCreate, true, "tokenCreate", "Make tokens for fields"},
	{"POST", "/v1/token/delete", verify.OpTokenDelete, true, "tokenDelete", "Delete a token"},
	{"POST", "/v1/basis", verify.OpBasis, true, "basis", "Record consent or another basis, or its withdrawal"},
	{"POST", "/v1/journal", verify.OpJournalRead, false, "journal", "Read the journal"},
	{"POST", "/v1/receipt", verify.OpReceipt, false, "receipt", "Get the receipt of an entry"},
	{"POST", "/v1/job", verify.OpReseal, true, "jobStart", "Start background work"},
	{"GET", "/v1/job/{id}", verify.OpStatus, false, "jobStatus", "See how background work stands"},
	{"GET", "/v1/status", verify.OpStatus, false, "status", "See how the cell stands"},
	{"POST", "/v1/session/challenge", verify.OpNone, false, "sessionChallenge", "Ask the keyholder for a challenge"},
	{"POST", "/v1/session", verify.OpNone, false, "sessionOpen", "Open a session with the keyholder"},
	{"GET", "/v1/directory", verify.OpNone, false, "directory", "Get the directory file"},
	{"GET", "/v1/openapi.json", verify.OpNone, false, "openapi", "Get this document"},
}
