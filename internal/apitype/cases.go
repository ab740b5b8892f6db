package apitype

import (
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/verify"
)

// HeaderPerson authenticates a person at the front door: an officer, an
// operator or a custodian. See [FormatPerson].
const HeaderPerson = "Bonded-Person"

// A PersonCall is who acts at the front door, known by [PersonProof]. Person is
// an id of the register, "admin" for the directory's administrator, or
// "custodian:" and the id of a custodian.
type PersonCall struct {
	Person    string
	RequestID bonded.ID
}

// Limits of the front door.
const (
	MaxDocument    = 16 << 20 // bytes of one document
	MaxPersonAge   = 5 * time.Minute
	MaxCasePage    = 50
	MaxPartialPage = 256 // partials of one call
)

// A CaseView is a case as its reader may see it: requesters see no internal
// reasons, custodians and operators see the whole.
type CaseView struct {
	Case       bonded.CaseID     `json:"case"`
	Kind       string            `json:"kind"`
	State      string            `json:"state"`
	Number     uint64            `json:"number"` // of its last entry
	Process    string            `json:"process"`
	Agency     string            `json:"agency"`
	Officer    string            `json:"officer,omitempty"`
	Priority   string            `json:"priority"`
	Filed      time.Time         `json:"filed"`
	Deadline   *time.Time        `json:"deadline,omitempty"`
	Tasks      []CaseTaskView    `json:"tasks"`
	Secrecy    *SecrecyView      `json:"secrecy,omitempty"`
	Scope      string            `json:"scope,omitempty"`    // hexadecimal digest, once it is before the custodians
	Warnings   []string          `json:"warnings,omitempty"` // signals about the requester; operators only
	Approvals  []ApprovalView    `json:"approvals,omitempty"`
	Entries    []CaseEntryView   `json:"entries"`
	Actions    []string          `json:"actions,omitempty"` // what the caller could do now
	Package    string            `json:"package,omitempty"` // SHA-256 of the release package, once there is one
	Expires    *time.Time        `json:"expires,omitempty"` // of the package
	Documents  []CaseDocView     `json:"documents,omitempty"`
	RejectCode string            `json:"reject_code,omitempty"`
	Extra      map[string]string `json:"extra,omitempty"`
}

// A CaseTaskView is one task as it stands, narrowed or refused.
type CaseTaskView struct {
	Kind         string     `json:"kind"`
	DataClass    string     `json:"data_class"`
	Collection   string     `json:"collection"`
	FieldsWanted []string   `json:"fields_wanted"`
	From         *time.Time `json:"from,omitempty"`
	To           *time.Time `json:"to,omitempty"`
	MaxSubjects  int        `json:"max_subjects"`
	Status       string     `json:"status"`
	Reason       string     `json:"reason,omitempty"`
	Matched      int        `json:"matched,omitempty"` // people; operators and custodians only
}

// A SecrecyView says how a gag stands.
type SecrecyView struct {
	State    string     `json:"state"`
	Until    *time.Time `json:"until,omitempty"`
	ReviewAt *time.Time `json:"review_at,omitempty"`
}

// An ApprovalView is one custodian's decision.
type ApprovalView struct {
	Custodian string    `json:"custodian"`
	Role      string    `json:"role"`
	Approve   bool      `json:"approve"`
	Reason    string    `json:"reason,omitempty"`
	Time      time.Time `json:"time"`
}

// A CaseEntryView is one entry of a case with where it stands in the ledger.
type CaseEntryView struct {
	Number   uint64    `json:"number"`
	Time     time.Time `json:"time"`
	Event    string    `json:"event"`
	From     string    `json:"from,omitempty"`
	State    string    `json:"state,omitempty"`
	Actor    string    `json:"actor"`
	Detail   string    `json:"detail,omitempty"`
	Index    *int64    `json:"index,omitempty"` // place in the ledger, once witnessed
	Leaf     string    `json:"leaf,omitempty"`  // hexadecimal leaf hash
	Decision string    `json:"decision,omitempty"`
}

// A CaseDocView is a document of a case.
type CaseDocView struct {
	SHA256    string `json:"sha256"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Language  string `json:"language"`
	Size      int64  `json:"size"`
	Uploaded  bool   `json:"uploaded"`
}

// CaseList is one page of cases.
type CaseList struct {
	Cases []CaseView `json:"cases"`
	Next  string     `json:"next,omitempty"`
}

// What a board shows, instead of the cases of one state.
const (
	BoardOpen = "open" // those that go on
	BoardMine = "mine" // of these, those that wait for the reader
	BoardLate = "late" // of these, those whose deadline has passed
)

// MaxBoardPage is how many cases a board shows at once.
const MaxBoardPage = 50

// Awaits reports whether a case waits for somebody who can do this, and not
// only lets them: what may be done at any time does not count.
func Awaits(actions []string) bool {
	return slices.ContainsFunc(actions, func(name string) bool {
		return name != "fraud" && name != "withdraw" && !strings.HasPrefix(name, "hold_") && !strings.HasPrefix(name, "secrecy_")
	})
}

// A CaseBoard is a page of cases and how many there are. Of each case it has
// what stands beside its statements, and what the reader can do.
type CaseBoard struct {
	States           map[string]int64 // by state
	Open, Mine, Late int64            // as [BoardOpen], [BoardMine] and [BoardLate]
	Cases            []CaseView
	Next             string // where the next page begins; empty: this is the last
}

// A CaseDossier is everything a custodian verifies before signing. Statements
// are as they were signed. People of the cell read it before there is a scope:
// then scope head, opening and proof are empty.
type CaseDossier struct {
	Case      CaseView             `json:"case"`
	Request   *verify.Statement    `json:"request"`
	Agency    *verify.Statement    `json:"agency"`
	Officer   *verify.Statement    `json:"officer"`
	People    []*verify.Statement  `json:"people"`    // those who decided
	Decisions []*verify.Statement  `json:"decisions"` // in order
	ScopeHead []byte               `json:"scope_head"`
	Items     int                  `json:"items"`
	Opening   *verify.CaseOpening  `json:"opening,omitempty"` // of the entry with event quorum, or emergency
	Proof     string               `json:"proof"`             // C2SP tlog-proof of it
	Registry  []RegistryProof      `json:"registry"`
	Rules     []string             `json:"rules"` // why it was allowed
	Documents []CaseDocView        `json:"documents"`
	Shown     map[string]string    `json:"shown,omitempty"`
	Entries   []verify.CaseOpening `json:"entries,omitempty"`
}

// A RegistryProof proves that a statement of the register stands in the
// ledger.
type RegistryProof struct {
	ID      string              `json:"id"`
	Version uint64              `json:"version"`
	Opening *verify.CaseOpening `json:"opening"`
	Proof   string              `json:"proof"`
}

// ScopePage is canonical scope items, in order from an index, with the quorum
// envelope of each that has one.
type ScopePage struct {
	From      int      `json:"from"`
	Items     [][]byte `json:"items"`
	Envelopes [][]byte `json:"envelopes,omitempty"` // as many as items; empty where there is none
	Next      int      `json:"next,omitempty"`      // 0 at the end
}

// CaseApproval carries one canonical [verify.Approval].
type CaseApproval struct {
	Approval []byte `json:"approval"`
}

// OpeningProof is what a custodian checks before it computes partials.
type OpeningProof struct {
	Approvals [][]byte            `json:"approvals"` // canonical
	Opening   *verify.CaseOpening `json:"opening"`
	Proof     string              `json:"proof"`
	Recipient []byte              `json:"recipient"`
}

// CasePartials carries canonical partials of one custodian, one for each scope
// item with an envelope, from an item on.
type CasePartials struct {
	From     int      `json:"from"`
	Partials [][]byte `json:"partials"` // as many as items from there; empty where there is no envelope
}

// CasePartialsResult says how far a custodian's partials are in.
type CasePartialsResult struct {
	Have     int  `json:"have"` // items covered, from the first
	Complete bool `json:"complete"`
}

// CaseResult is the answer of calls that only change a case.
type CaseResult struct {
	Case   bonded.CaseID `json:"case"`
	State  string        `json:"state"`
	Number uint64        `json:"number"`
}

// RegistryEntry is one entry of the register.
type RegistryEntry struct {
	Kind      string            `json:"kind"` // agency or person
	ID        string            `json:"id"`
	Version   uint64            `json:"version"`
	State     string            `json:"state"` // proposed, confirmed, in_force, superseded, suspended
	Statement *verify.Statement `json:"statement"`
	InForce   *time.Time        `json:"in_force,omitempty"` // witness time plus the waiting time
	Index     *int64            `json:"index,omitempty"`
}

// Counts reports whether it is the version that counts before all older ones:
// in force, or suspended.
func (e *RegistryEntry) Counts() bool { return e.State == "in_force" || e.State == "suspended" }

// Waits reports whether the version is not in force yet and may come.
func (e *RegistryEntry) Waits() bool { return e.State == "proposed" || e.State == "confirmed" }

// RegistryList is the register.
type RegistryList struct {
	Entries []RegistryEntry `json:"entries"`
}

// RegistryConfirm adds a custodian's signature to a proposed entry.
type RegistryConfirm struct {
	Kind      string           `json:"kind"`
	ID        string           `json:"id"`
	Version   uint64           `json:"version"`
	Signature verify.Signature `json:"signature"`
}

// CeremonyStart begins a ceremony of the custodians.
type CeremonyStart struct {
	Params    []byte            `json:"params"`    // canonical parameters
	Statement *verify.Statement `json:"statement"` // a [verify.CeremonyOrder], signed by the administrator or a registrar
}

// CeremonyMessages is what the board of a ceremony holds.
type CeremonyMessages struct {
	Ceremony string            `json:"ceremony"` // hexadecimal id
	Params   []byte            `json:"params"`
	Order    *verify.Statement `json:"order,omitempty"` // see [verify.CeremonyOrder]
	State    string            `json:"state"`           // running, certified or failed
	Reason   string            `json:"reason,omitempty"`
	Messages [][]byte          `json:"messages"`
	Next     int               `json:"next"`
}

// CeremonyPost adds one message to the board.
type CeremonyPost struct {
	Message []byte `json:"message"`
}

// ConsoleInvite asks for a link by which a person enrols at the console.
type ConsoleInvite struct {
	Person string `json:"person"` // id in the register, now or to be
}

// ConsoleInvited is such a link. It is shown once and can be used once.
type ConsoleInvited struct {
	Person  string    `json:"person"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// CustodyChain is the certificates of every epoch, oldest first, each with
// where it stands in the ledger.
type CustodyChain struct {
	Certificates []CustodyLink `json:"certificates"`
}

// A CustodyLink is one certificate of a key set.
type CustodyLink struct {
	Certificate []byte              `json:"certificate"`     // canonical
	Order       *verify.Statement   `json:"order,omitempty"` // of a first ceremony, see [verify.CeremonyOrder]
	Opening     *verify.CaseOpening `json:"opening"`
	Proof       string              `json:"proof"`
}

// OpeningFeed is openings of case leaves in the order in which they were
// published. Anyone may read it.
type OpeningFeed struct {
	Openings []*verify.CaseOpening `json:"openings"`
	Next     uint64                `json:"next"` // ask from here on
}
