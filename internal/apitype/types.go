package apitype

import (
	"encoding/json"
	"time"

	"bonded"
)

// Limits of the API.
const (
	MaxField = 64 << 10 // bytes of one field's value
	MaxCall  = 1 << 20  // bytes of one request body
	MaxBatch = 1000     // items of one batch call
	MaxPage  = 1000     // entries of one page of a list
)

// Headers of the API.
const (
	HeaderPurpose     = "X-Bonded-Purpose"
	HeaderReason      = "X-Bonded-Reason"
	HeaderBasis       = "X-Bonded-Basis"
	HeaderRequestID   = "X-Request-Id"
	HeaderIdempotency = "Idempotency-Key"
	HeaderReceipt     = "Bonded-Receipt" // batch promise, see [verify.Promise]
	HeaderProof       = "Bonded-Proof"   // session;counter;mac;nonce, see spec/api.md
)

// Why is the purpose, reason and basis of a call. Each may stand in the body
// or in its header; both must agree if both are there.
type Why struct {
	Purpose bonded.Purpose `json:"purpose,omitempty"`
	Reason  string         `json:"reason,omitempty"` // at most 256 bytes; never personal data
	Basis   string         `json:"basis,omitempty"`  // id of a basis record, or a legal basis such as "contract"
}

// Asked returns w: how the server and the client reach the purpose of any
// request that names one.
func (w *Why) Asked() *Why { return w }

// Values are fields by name. A value is a JSON string, number, boolean or
// null (null removes the field).
type Values map[string]json.RawMessage

// Facts are what decides a person's home. Countries are ISO 3166-1 alpha-2.
type Facts struct {
	Residence     []bonded.Jurisdiction `json:"residence,omitempty"`
	Citizenship   []bonded.Jurisdiction `json:"citizenship,omitempty"`
	Collected     []bonded.Jurisdiction `json:"collected,omitempty"` // where the data is collected
	Service       []bonded.Jurisdiction `json:"service,omitempty"`   // regions the service is offered to
	OperatorClass []string              `json:"operator_class,omitempty"`
}

// RouteRequest asks where a person belongs.
type RouteRequest struct {
	Facts Facts `json:"facts"`
}

// RouteAnswer says where and why.
type RouteAnswer struct {
	Cell       bonded.CellID       `json:"cell"`
	API        string              `json:"api,omitempty"` // base URL of that cell
	Home       bonded.Jurisdiction `json:"home,omitempty"`
	Rule       string              `json:"rule"` // "default" if no law names a home
	Rules      []string            `json:"rules,omitempty"`
	Reason     string              `json:"reason"`
	Cite       []string            `json:"cite,omitempty"`
	Unverified bool                `json:"unverified,omitempty"` // the rule's only source is memory
}

// PutItem writes one record. Without Subject it creates a person (Facts are
// then required); without Record it adds a record.
type PutItem struct {
	Subject   *bonded.SubjectID `json:"subject,omitempty"`
	Record    *bonded.RecordID  `json:"record,omitempty"`
	Values    Values            `json:"values"`
	Partial   bool              `json:"partial,omitempty"`    // change only the fields named
	IfVersion *uint64           `json:"if_version,omitempty"` // compare-and-set: the record's version must be this; 0 means it must be new
	Facts     *Facts            `json:"facts,omitempty"`
	Tokens    []string          `json:"tokens,omitempty"` // fields to make tokens for
	Key       string            `json:"key,omitempty"`    // idempotency key of this item, in batches
}

// PutRequest writes one record.
type PutRequest struct {
	Why
	Collection string `json:"collection"`
	PutItem
}

// PutResult says what was written.
type PutResult struct {
	Subject bonded.SubjectID        `json:"subject"`
	Record  bonded.RecordID         `json:"record"`
	Version uint64                  `json:"version"`
	Created bool                    `json:"created,omitempty"` // a new person
	Tokens  map[string]bonded.Token `json:"tokens,omitempty"`
	Rules   []string                `json:"rules,omitempty"`
	Entry   string                  `json:"entry"` // row of the journal, node.incarnation.sequence
}

// GetItem names what to open: a subject and record, or a subject alone (its
// newest record of the collection, chosen by the vault), or a token.
type GetItem struct {
	Subject *bonded.SubjectID `json:"subject,omitempty"`
	Record  *bonded.RecordID  `json:"record,omitempty"`
	Token   *bonded.Token     `json:"token,omitempty"`
	Fields  []string          `json:"fields,omitempty"` // required unless a token is named
}

// GetRequest opens fields of one record, or masks them (POST /v1/mask).
type GetRequest struct {
	Why
	Collection string `json:"collection"`
	GetItem
}

// GetResult holds the values opened.
type GetResult struct {
	Subject bonded.SubjectID `json:"subject"`
	Record  bonded.RecordID  `json:"record"`
	Version uint64           `json:"version"`
	Values  Values           `json:"values"`
	Rules   []string         `json:"rules,omitempty"`
	Entry   string           `json:"entry"`
}

// BatchPutRequest writes many records; each item succeeds or fails alone.
type BatchPutRequest struct {
	Why
	Collection string    `json:"collection"`
	Items      []PutItem `json:"items"`
}

// BatchGetRequest opens or masks many records under one entry.
type BatchGetRequest struct {
	Why
	Collection string    `json:"collection"`
	Items      []GetItem `json:"items"`
}

// BatchPutResult answers item by item: exactly one of Result and Error.
type BatchPutResult struct {
	Items []PutItemResult `json:"items"`
}

// PutItemResult is one item of [BatchPutResult].
type PutItemResult struct {
	Result *PutResult `json:"result,omitempty"`
	Error  *Problem   `json:"error,omitempty"`
}

// BatchGetResult answers item by item: exactly one of Result and Error.
type BatchGetResult struct {
	Items []GetItemResult `json:"items"`
	Entry string          `json:"entry"`
}

// GetItemResult is one item of [BatchGetResult].
type GetItemResult struct {
	Result *GetResult `json:"result,omitempty"`
	Error  *Problem   `json:"error,omitempty"`
}

// Problem is an error as application/problem+json (RFC 9457) shows it.
type Problem struct {
	Type      string      `json:"type,omitempty"` // "about:blank"
	Title     string      `json:"title,omitempty"`
	Status    int         `json:"status,omitempty"`
	Code      bonded.Code `json:"code"`
	Message   string      `json:"message"`
	Field     string      `json:"field,omitempty"`
	Hint      string      `json:"hint,omitempty"`
	Rules     []string    `json:"rules,omitempty"`
	RequestID string      `json:"request_id,omitempty"`
	Cell      string      `json:"cell,omitempty"` // for wrong_cell: where it belongs
}

// FindRequest looks records up by equality; all conditions must hold. Values
// are normalised as the schema says.
type FindRequest struct {
	Why
	Collection string            `json:"collection"`
	Where      map[string]string `json:"where"`
	Limit      int               `json:"limit,omitempty"` // 1 to 1,000; 0 means 100
	After      string            `json:"after,omitempty"` // cursor
}

// Found is one record found. Never a value.
type Found struct {
	Subject bonded.SubjectID `json:"subject"`
	Record  bonded.RecordID  `json:"record"`
}

// FindResult is one page of records.
type FindResult struct {
	Records []Found `json:"records"`
	Next    string  `json:"next,omitempty"` // cursor of the next page; empty at the end
	Entry   string  `json:"entry"`
}

// ListRequest pages through the records of a collection, in no meaningful
// order.
type ListRequest struct {
	Why
	Collection string `json:"collection"`
	Limit      int    `json:"limit,omitempty"`
	After      string `json:"after,omitempty"`
}

// CountRequest counts a collection.
type CountRequest struct {
	Why
	Collection string `json:"collection"`
}

// CountResult is how many there are.
type CountResult struct {
	Subjects uint64 `json:"subjects"`
	Records  uint64 `json:"records"`
	Entry    string `json:"entry"`
}

// SubjectRequest is about one person: history, export, erase, undo.
type SubjectRequest struct {
	Why
	Subject bonded.SubjectID `json:"subject"`
	Limit   int              `json:"limit,omitempty"` // history only
	After   string           `json:"after,omitempty"` // history only
}

// HistoryResult is the openings of a person, newest first, with the
// keyholder's own signed count of them.
type HistoryResult struct {
	Subject  bonded.SubjectID `json:"subject"`
	Entries  []HistoryEntry   `json:"entries"`
	Next     string           `json:"next,omitempty"`
	Releases uint64           `json:"releases"` // keyholder's count
	Count    []byte           `json:"count"`    // canonical bytes of the signed [verify.SubjectCount]
	Entry    string           `json:"entry"`
}

// HistoryEntry is one row that touched the person.
type HistoryEntry struct {
	Entry      string         `json:"entry"`
	Time       time.Time      `json:"time"`
	Operation  string         `json:"operation"`
	Outcome    string         `json:"outcome"`
	Code       bonded.Code    `json:"code,omitempty"`
	Principal  string         `json:"principal"`
	Assurance  string         `json:"assurance"`
	Collection string         `json:"collection,omitempty"`
	Fields     []string       `json:"fields,omitempty"`
	Purpose    bonded.Purpose `json:"purpose,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Basis      string         `json:"basis,omitempty"`
	Rules      []string       `json:"rules,omitempty"`
}

// ExportResult is a subject's own copy.
type ExportResult struct {
	Format  string           `json:"format"` // "bonded/export/1"
	Cell    bonded.CellID    `json:"cell"`
	Subject bonded.SubjectID `json:"subject"`
	Made    time.Time        `json:"made"`
	Records []ExportRecord   `json:"records"`
	Basis   []BasisRecord    `json:"basis"`
	Entry   string           `json:"entry"`
}

// ExportRecord is one record of an export.
type ExportRecord struct {
	Collection string          `json:"collection"`
	Record     bonded.RecordID `json:"record"`
	Version    uint64          `json:"version"`
	Withheld   []string        `json:"withheld,omitempty"` // fields in custody of a quorum, which no copy holds
	Values     Values          `json:"values"`
}

// EraseResult says how an erasure stands.
type EraseResult struct {
	Subject   bonded.SubjectID `json:"subject"`
	State     string           `json:"state"`                // "scheduled", "erasing", "erased", "active" after an undo
	Due       *time.Time       `json:"due,omitempty"`        // when the key is destroyed; undo is possible until then
	Tombstone uint64           `json:"tombstone,omitempty"`  // number of the tombstone
	Note      string           `json:"note,omitempty"`       // "scheduled; holds may apply"
	BackupsBy *time.Time       `json:"backups_by,omitempty"` // when backups of either party are dead for this person
	Entry     string           `json:"entry"`
}

// TokenRequest makes tokens for fields of a record.
type TokenRequest struct {
	Why
	Collection string           `json:"collection"`
	Subject    bonded.SubjectID `json:"subject"`
	Record     bonded.RecordID  `json:"record"`
	Fields     []string         `json:"fields"`
}

// TokenResult holds tokens by field.
type TokenResult struct {
	Tokens map[string]bonded.Token `json:"tokens"`
	Entry  string                  `json:"entry"`
}

// TokenDeleteRequest deletes a token.
type TokenDeleteRequest struct {
	Why
	Token bonded.Token `json:"token"`
}

// RecordDeleteRequest deletes one record of a person.
type RecordDeleteRequest struct {
	Why
	Collection string           `json:"collection"`
	Subject    bonded.SubjectID `json:"subject"`
	Record     bonded.RecordID  `json:"record"`
}

// EntryResult is the answer of calls that return nothing but their entry.
type EntryResult struct {
	Entry string `json:"entry"`
}

// BasisRequest adds an event to a consent or other basis record. Without an
// id it begins a new record.
type BasisRequest struct {
	Why
	Subject bonded.SubjectID `json:"subject"`
	Record  BasisRecord      `json:"record"`
}

// A BasisRecord is a consent or other legal basis, in the four sections of
// ISO/IEC TS 27560:2023: header, processing, parties, events.
type BasisRecord struct {
	ID         string            `json:"id,omitempty"`
	Subject    *bonded.SubjectID `json:"subject,omitempty"`
	Schema     string            `json:"schema_version"` // "bonded/basis/1"
	Processing BasisProcessing   `json:"processing"`
	Parties    []BasisParty      `json:"parties,omitempty"`
	Events     []BasisEvent      `json:"events"` // a history: withdrawal is an event, never a deletion
}

// BasisProcessing is what is done, on which ground.
type BasisProcessing struct {
	LegalBasis string           `json:"legal_basis"` // "consent", "contract", "legal_obligation", …
	Purposes   []bonded.Purpose `json:"purposes"`
	Collection string           `json:"collection,omitempty"`
	Fields     []string         `json:"fields,omitempty"`
	NoticeHash string           `json:"notice_hash,omitempty"` // SHA-256, hexadecimal, of the notice the person saw
	Recipients []string         `json:"recipients,omitempty"`  // ["unknown"] if they are not known
}

// BasisParty is a controller, processor or recipient.
type BasisParty struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Contact string `json:"contact,omitempty"`
}

// BasisEvent is one change of state.
type BasisEvent struct {
	State   string     `json:"state"` // "requested", "given", "refused", "withdrawn", "expired"
	Type    string     `json:"type,omitempty"`
	Time    time.Time  `json:"time"`
	Expires *time.Time `json:"expires,omitempty"`
	By      string     `json:"by,omitempty"` // role of who expressed it
}

// BasisResult is the record after the event.
type BasisResult struct {
	Record BasisRecord `json:"record"`
	Entry  string      `json:"entry"`
}

// JournalRequest reads rows; who may is policy, and reading is an entry.
type JournalRequest struct {
	Why
	After uint64 `json:"after,omitempty"` // position
	Limit int    `json:"limit,omitempty"`
}

// JournalResult is a page of the journal as [verify] understands it.
type JournalResult struct {
	Rows     []JournalRow `json:"rows"`
	Segments [][]byte     `json:"segments"` // canonical bytes of the segments that end in this page
	Anchors  []AnchorInfo `json:"anchors"`  // anchors whose last segment ends in this page
	Next     uint64       `json:"next,omitempty"`
	Entry    string       `json:"entry"`
}

// JournalRow is one row with its salt.
type JournalRow struct {
	Position uint64 `json:"position"`
	Row      []byte `json:"row"`
	Salt     []byte `json:"salt"`
}

// AnchorInfo is one anchor with its opened fields.
type AnchorInfo struct {
	Index        uint64 `json:"index"` // in the ledger
	Leaf         []byte `json:"leaf"`
	Fields       []byte `json:"fields"` // see [verify.EncodeFields]
	FirstSegment uint64 `json:"first_segment"`
	LastSegment  uint64 `json:"last_segment"` // first_segment - 1 for an empty anchor
}

// ReceiptRequest asks for the receipt of an entry.
type ReceiptRequest struct {
	Why
	Entry string `json:"entry"`           // node.incarnation.sequence
	Items []int  `json:"items,omitempty"` // which items to show; nil for all
}

// JobRequest starts background work: "rotate" (new cell-key version, re-wrap)
// or "reseal" (every record of a collection under a next version).
type JobRequest struct {
	Why
	Kind       string `json:"kind"`
	Collection string `json:"collection,omitempty"`
}

// Job says how background work stands.
type Job struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	Collection string     `json:"collection,omitempty"`
	State      string     `json:"state"` // "running", "done", "failed"
	Done       uint64     `json:"done"`
	Total      uint64     `json:"total"`
	Started    time.Time  `json:"started"`
	Ended      *time.Time `json:"ended,omitempty"`
	Code       string     `json:"code,omitempty"`
}

// SessionChallenge is a keyholder's challenge, relayed.
type SessionChallenge struct {
	Challenge []byte `json:"challenge"`
}

// SessionRequest relays a session request: canonical bytes of wire.OpenSession.
type SessionRequest struct {
	Open []byte `json:"open"`
}

// SessionResult relays the answer.
type SessionResult struct {
	Session []byte    `json:"session"` // 32 bytes
	Expires time.Time `json:"expires"`
}

// StatusResult says how a cell stands. It names no person.
type StatusResult struct {
	Cell          bonded.CellID         `json:"cell"`
	Jurisdictions []bonded.Jurisdiction `json:"jurisdictions"`
	Suite         string                `json:"suite"`
	Version       string                `json:"version"`
	Ready         bool                  `json:"ready"`
	Reason        string                `json:"reason,omitempty"` // why it is not ready
	Subjects      uint64                `json:"subjects"`
	Records       uint64                `json:"records"`
	JournalRows   uint64                `json:"journal_rows"`
	LedgerSize    uint64                `json:"ledger_size"`
	Witnessed     *time.Time            `json:"witnessed,omitempty"`
	Keyholder     KeyholderStatus       `json:"keyholder"`
	Policy        string                `json:"policy"` // digest, hexadecimal
	Collections   []string              `json:"collections"`
	GrantSet      uint64                `json:"grant_set"`         // number of the grant set in force at the vault
	Waiting       []WaitingChange       `json:"waiting,omitempty"` // what is announced and not in force yet
}

// WaitingChange is a grant set, a policy or a version of the directory that
// the ledger announces and that is not in force yet.
type WaitingChange struct {
	Party   string    `json:"party"`   // "vault" or "keyholder": each has a waiting time of its own
	Subject string    `json:"subject"` // "grants", "policy" or "directory"
	Number  uint64    `json:"number"`
	Entry   int64     `json:"entry"` // of the ledger
	From    time.Time `json:"from"`  // it takes effect from then on
}

// KeyholderStatus is what the keyholder says of itself.
type KeyholderStatus struct {
	Reachable  bool   `json:"reachable"`
	Sealed     bool   `json:"sealed"`
	Reason     string `json:"reason,omitempty"`
	Subjects   uint64 `json:"subjects"`
	KeyVersion uint32 `json:"key_version"`
	Rewrapped  uint64 `json:"rewrapped"`
	GrantSet   uint64 `json:"grant_set"`
	Asserted   uint64 `json:"vault_asserted"`
	Resolved   uint64 `json:"vault_resolved"`
	Proven     uint64 `json:"proven"`
}
