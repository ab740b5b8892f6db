package api_test

import (
	"encoding/json"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// An example is a request and its answer, as values: what the OpenAPI
// document shows is their JSON, and a test reads it back.
type example struct{ request, result any }

var (
	exSubject = bonded.SubjectID{Cell: "eu", ID: bonded.ID{0x5a, 1}}
	exRecord  = bonded.RecordID{Cell: "eu", ID: bonded.ID{0x7c, 2}}
	exToken   = bonded.Token{Cell: "eu", ID: bonded.ID{0x33, 3}}
	exTime    = time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)
	exLater   = exTime.Add(24 * time.Hour)
	exWhy     = apitype.Why{Purpose: "support", Reason: "ticket 4711"}
	exValues  = apitype.Values{"email": json.RawMessage(`"ada@example.org"`), "name": json.RawMessage(`"Ada Lovelace"`)}
	exFacts   = apitype.Facts{Residence: []bonded.Jurisdiction{"DE"}}
)

const exEntry = "1.3.4711"

func examples() map[string]example {
	item := apitype.GetItem{Subject: &exSubject, Record: &exRecord, Fields: []string{"email"}}
	opened := apitype.GetResult{Subject: exSubject, Record: exRecord, Version: 2, Values: apitype.Values{"email": exValues["email"]}, Rules: []string{"support-reads-users"}, Entry: exEntry}
	masked := opened
	masked.Values = apitype.Values{"email": json.RawMessage(`"a•••@example.org"`)}
	written := apitype.PutResult{Subject: exSubject, Record: exRecord, Version: 1, Created: true, Tokens: map[string]bonded.Token{"email": exToken}, Entry: exEntry}
	version := uint64(1)
	page := apitype.FindResult{Records: []apitype.Found{{Subject: exSubject, Record: exRecord}}, Next: "b2Zmc2V0", Entry: exEntry}
	subject := apitype.SubjectRequest{Why: exWhy, Subject: exSubject}
	basis := apitype.BasisRecord{
		ID: "basis-1", Subject: &exSubject, Schema: "bonded/basis/1",
		Processing: apitype.BasisProcessing{LegalBasis: "consent", Purposes: []bonded.Purpose{"newsletter"}, Collection: "users", Fields: []string{"email"}},
		Parties:    []apitype.BasisParty{{Name: "Example GmbH", Role: "controller", Contact: "privacy@example.org"}},
		Events:     []apitype.BasisEvent{{State: "given", Time: exTime, Expires: &exLater, By: "subject"}},
	}
	job := apitype.Job{ID: "0123456789abcdef0123456789abcdef", Kind: "reseal", Collection: "users", State: "running", Done: 120, Total: 6920, Started: exTime}
	missing := &apitype.Problem{Code: bonded.CodeWithheld, Message: "absent or not yours", Status: 404}
	return map[string]example{
		"route":     {&apitype.RouteRequest{Facts: exFacts}, &apitype.RouteAnswer{Cell: "eu", API: "https://eu.example.org", Rule: "default-cell", Reason: "no rule names a home: pack eu@2026-01 says that DE names no home"}},
		"put":       {&apitype.PutRequest{Why: exWhy, Collection: "users", PutItem: apitype.PutItem{Values: exValues, Facts: &exFacts, Tokens: []string{"email"}}}, &written},
		"get":       {&apitype.GetRequest{Why: exWhy, Collection: "users", GetItem: item}, &opened},
		"mask":      {&apitype.GetRequest{Why: exWhy, Collection: "users", GetItem: item}, &masked},
		"find":      {&apitype.FindRequest{Why: exWhy, Collection: "users", Where: map[string]string{"email": "ada@example.org"}, Limit: 10}, &page},
		"list":      {&apitype.ListRequest{Why: exWhy, Collection: "users", Limit: 1, After: "c3RhcnQ"}, &page},
		"count":     {&apitype.CountRequest{Why: exWhy, Collection: "users"}, &apitype.CountResult{Subjects: 3514, Records: 3540, Entry: exEntry}},
		"batchPut":  {&apitype.BatchPutRequest{Why: exWhy, Collection: "users", Items: []apitype.PutItem{{Subject: &exSubject, Record: &exRecord, Values: exValues, Partial: true, IfVersion: &version, Key: "row-17"}}}, &apitype.BatchPutResult{Items: []apitype.PutItemResult{{Result: &written}, {Error: missing}}}},
		"batchGet":  {&apitype.BatchGetRequest{Why: exWhy, Collection: "users", Items: []apitype.GetItem{item, {Token: &exToken}}}, &apitype.BatchGetResult{Items: []apitype.GetItemResult{{Result: &opened}, {Error: missing}}, Entry: exEntry}},
		"batchMask": {&apitype.BatchGetRequest{Why: exWhy, Collection: "users", Items: []apitype.GetItem{item}}, &apitype.BatchGetResult{Items: []apitype.GetItemResult{{Result: &masked}}, Entry: exEntry}},
		"history": {&apitype.SubjectRequest{Why: exWhy, Subject: exSubject, Limit: 50}, &apitype.HistoryResult{
			Subject: exSubject, Releases: 12, Count: []byte{1, 2, 3}, Entry: exEntry,
			Entries: []apitype.HistoryEntry{{Entry: "1.3.4700", Time: exTime, Operation: "read", Outcome: "allowed", Principal: "svc-support", Assurance: "proven", Collection: "users", Fields: []string{"email"}, Purpose: "support"}},
		}},
		"export":       {&subject, &apitype.ExportResult{Format: "bonded/export/1", Cell: "eu", Subject: exSubject, Made: exTime, Records: []apitype.ExportRecord{{Collection: "users", Record: exRecord, Version: 2, Values: exValues}}, Basis: []apitype.BasisRecord{basis}, Entry: exEntry}},
		"erase":        {&subject, &apitype.EraseResult{Subject: exSubject, State: "scheduled", Due: &exLater, Note: "scheduled; holds may apply", Entry: exEntry}},
		"eraseUndo":    {&subject, &apitype.EraseResult{Subject: exSubject, State: "active", Entry: exEntry}},
		"recordDelete": {&apitype.RecordDeleteRequest{Why: exWhy, Collection: "users", Subject: exSubject, Record: exRecord}, &apitype.EntryResult{Entry: exEntry}},
		"tokenCreate":  {&apitype.TokenRequest{Why: exWhy, Collection: "users", Subject: exSubject, Record: exRecord, Fields: []string{"email"}}, &apitype.TokenResult{Tokens: map[string]bonded.Token{"email": exToken}, Entry: exEntry}},
		"tokenDelete":  {&apitype.TokenDeleteRequest{Why: exWhy, Token: exToken}, &apitype.EntryResult{Entry: exEntry}},
		"basis":        {&apitype.BasisRequest{Why: exWhy, Subject: exSubject, Record: basis}, &apitype.BasisResult{Record: basis, Entry: exEntry}},
		"journal":      {&apitype.JournalRequest{Why: exWhy, After: 4700, Limit: 100}, &apitype.JournalResult{Rows: []apitype.JournalRow{{Position: 4701, Row: []byte{1}, Salt: make([]byte, 32)}}, Segments: [][]byte{{1}}, Anchors: []apitype.AnchorInfo{{Index: 9, Leaf: []byte{1}, Fields: []byte{1}, FirstSegment: 8, LastSegment: 9}}, Entry: exEntry}},
		"receipt":      {&apitype.ReceiptRequest{Why: exWhy, Entry: exEntry, Items: []int{0}}, &verify.Receipt{Format: verify.ReceiptFormat, Cell: "eu", Head: []byte{1}, Salt: make([]byte, 32), Items: verify.ReceiptItems{Root: make([]byte, 32), Shown: []verify.ReceiptItem{{Bytes: []byte{1}, Salt: make([]byte, 32), Path: [][]byte{}}}}, Segment: verify.ReceiptPath{Bytes: []byte{1}, Index: 2, Path: [][]byte{make([]byte, 32)}}, Anchor: verify.ReceiptAnchor{Leaf: []byte{1}, SegmentCount: 1, SegmentPath: [][]byte{}, FieldCount: 8, FieldSalt: make([]byte, 32), SegmentsValue: make([]byte, 32), FieldPath: [][]byte{}}, Proof: "c2sp.org/tlog-proof@v1\n…"}},
		"jobStart":     {&apitype.JobRequest{Why: exWhy, Kind: "reseal", Collection: "users"}, &job},
		"jobStatus":    {nil, &job},
		"status": {nil, &apitype.StatusResult{
			Cell: "eu", Jurisdictions: []bonded.Jurisdiction{"EU", "DE", "FR"}, Suite: "aes-256-gcm", Version: "0.1.0", Ready: true,
			Subjects: 3514, Records: 3540, JournalRows: 4711, LedgerSize: 93, Witnessed: &exTime, Policy: "9f86d081884c7d65",
			Keyholder:   apitype.KeyholderStatus{Reachable: true, Subjects: 3514, KeyVersion: 1, Rewrapped: 3514, GrantSet: 2, Asserted: 40, Resolved: 2, Proven: 4669},
			Collections: []string{"users"},
		}},
		"sessionChallenge": {nil, &apitype.SessionChallenge{Challenge: make([]byte, 32)}},
		"sessionOpen":      {&apitype.SessionRequest{Open: []byte{1, 2, 3}}, &apitype.SessionResult{Session: make([]byte, 32), Expires: exLater}},
	}
}
