package apitype

import (
	"time"

	"bonded"
	"bonded/verify"
)

// What the console asks besides the calls of the API. None of it is an answer
// of the API.

// A CollectionInfo is a collection of the schema, by name.
type CollectionInfo struct {
	Name   string
	Fields []FieldInfo // by name
}

// A FieldInfo is a field of a collection. Purposes are those it may be opened
// for; none means that policy alone decides.
type FieldInfo struct {
	Name     string
	Class    string
	Indexed  bool // can be searched by equality
	Quorum   bool // in custody of a quorum: no daily read opens it
	Purposes []bonded.Purpose
}

// A Tally is how many rows of the journal of one kind have times in an hour or
// a day.
type Tally struct {
	Start     time.Time
	Operation verify.Operation
	Outcome   verify.Outcome
	Purpose   bonded.Purpose // of what was allowed
	Rows      uint64
}

// A PersonOutline is what there is of a person, without a value.
type PersonOutline struct {
	Subject   bonded.SubjectID
	State     string     // "active", "erasing", "erased"
	Due       *time.Time // of an erasure: it can be taken back until then
	Created   time.Time
	Tombstone uint64 // number of it, once the person is erased
	Records   []RecordOutline
	Basis     []BasisRecord
	Entry     string
}

// A RecordOutline is one record, without a value.
type RecordOutline struct {
	Collection string
	Record     bonded.RecordID
	Version    uint64
	Created    time.Time
	Fields     []string // that it has and the grant covers
	Quorum     []string // of these: in custody of a quorum
}

// A JournalSearch asks for rows of the journal, newest first. Empty fields
// stand for any.
type JournalSearch struct {
	Ref       *verify.RowRef // one row, with those that are about it
	Subject   *bonded.SubjectID
	Principal string
	Operation verify.Operation
	Outcome   verify.Outcome
	From, To  time.Time
	Before    uint64 // position; 0 for the newest
	Limit     int
}

// A JournalFound is rows that fit. A search looks through so many rows at most
// that it takes no time: then there may be fewer than asked for, and Next says
// where to go on.
type JournalFound struct {
	Rows   []JournalFoundRow
	Looked int       // rows looked through
	Back   time.Time // time of the last of them
	Next   uint64    // position to go on before; 0 at the end
	Size   uint64    // rows of the journal
	Entry  string
}

// A JournalFoundRow is a row and where it stands.
type JournalFoundRow struct {
	Position uint64
	Row      *verify.Row
}

// MaxOverdue is how many deadlines that have passed are counted at most.
const MaxOverdue = 1000

// A CaseOverview is how many cases are in each state and, for those who may
// read every case, which deadlines come next.
type CaseOverview struct {
	States  map[string]int64
	Overdue int64     // at most [MaxOverdue]: there may be more
	Due     []CaseDue // the earliest first; nil for who may not read every case
	Listed  bool      // Due is for this reader
	Changes uint64    // rises with each change of a case
}

// A CaseDue is a case that goes on and its deadline.
type CaseDue struct {
	Case     bonded.CaseID
	State    string
	Process  string
	Priority string
	Deadline time.Time
}

// Parts of the register.
const (
	RegisterAgencies   = "agencies"
	RegisterOfficers   = "officers"
	RegisterPeople     = "people" // with a role at the cell
	RegisterCustodians = "custodians"
)

// RegisterGroup is the part of the register that lists an entry: of an agency,
// or of a person with a role.
func RegisterGroup(kind, role string) string {
	switch {
	case kind == verify.RegistryAgency:
		return RegisterAgencies
	case role == "requester":
		return RegisterOfficers
	case role == "custodian":
		return RegisterCustodians
	}
	return RegisterPeople
}

// A RegisterQuery asks for a page of one part of the register.
type RegisterQuery struct {
	Group  string
	Search string // in id and name; empty: everything
	From   int    // entries to leave out
	Limit  int    // 1 to [MaxPage]
}

// A RegisterPage is a page of the register.
type RegisterPage struct {
	Counts  map[string]int     // entries of each part
	Total   int                // that the query asks for
	Entries []RegistryVersions // of the page
	Waiting []RegistryVersions // of all parts, with a version that is not in force yet, no more than Limit
}

// RegistryVersions is one id of the register, newest version first.
type RegistryVersions struct {
	Kind, ID string
	Versions []RegistryEntry
}
