package verify

import (
	"slices"
	"time"

	"bonded"
)

// Labels of statements.
const (
	LabelRequest  = "bonded/request/1"  // by the officer: [CaseRequest]
	LabelDecision = "bonded/decision/1" // by whoever acts on a case: [CaseDecision]
	LabelAgency   = "bonded/agency/1"   // by the registrar and a custodian of the independent role: [Agency]
	LabelPerson   = "bonded/person/1"   // likewise: [Person]
)

// A CaseRequest asks for a case: the authorisation and its tasks, after ETSI
// TS 103 120. The officer signs it.
type CaseRequest struct {
	Format        string        `json:"format"` // [LabelRequest]
	Cell          bonded.CellID `json:"cell"`
	Kind          string        `json:"kind"` // disclosure, transfer, source-review or export
	Nonce         string        `json:"nonce"`
	Filed         time.Time     `json:"filed"`
	Officer       string        `json:"officer"`
	Agency        string        `json:"agency"`
	Authorisation Authorisation `json:"authorisation"`
	Tasks         []CaseTask    `json:"tasks"`
	Recipient     b64bytes      `json:"recipient"` // recipient key, see [RecipientDigest]
}

// An Authorisation is one legal instrument.
type Authorisation struct {
	Reference    string              `json:"reference"`
	ProcessType  string              `json:"process_type"`
	Jurisdiction bonded.Jurisdiction `json:"jurisdiction"`
	LegalBasis   []LegalBasis        `json:"legal_basis"`
	Priority     string              `json:"priority"` // routine, urgent or emergency
	Flags        []string            `json:"flags,omitempty"`
	ValidFrom    time.Time           `json:"valid_from"`
	ValidTo      time.Time           `json:"valid_to"`
	Offence      *Offence            `json:"offence,omitempty"`
	Necessity    string              `json:"necessity"`
	Approvals    []LegalApproval     `json:"approvals"`
	Documents    []CaseDocument      `json:"documents"`
	Secrecy      *Secrecy            `json:"secrecy,omitempty"`
	TreatyRoute  string              `json:"treaty_route"`
	Contract     string              `json:"contract_basis,omitempty"`
	Linked       []LinkedCase        `json:"linked,omitempty"`
}

// A LegalBasis is a law and an article of it.
type LegalBasis struct {
	Law     string `json:"law"`
	Article string `json:"article"`
}

// An Offence is what is investigated.
type Offence struct {
	Category        string `json:"category"`
	Provision       string `json:"provision"`
	MaxPenaltyYears int    `json:"max_penalty_years"`
}

// A LegalApproval is one authority's act: issuing, validating, judicial or
// enforcing.
type LegalApproval struct {
	Kind      string    `json:"kind"`
	Reference string    `json:"reference"`
	Approver  string    `json:"approver"`
	Role      string    `json:"role"` // judge, court, prosecutor, minister, commissioner, police, regulator or contract_party
	Time      time.Time `json:"time"`
}

// A CaseDocument is a document by its hash; its bytes are uploaded apart.
type CaseDocument struct {
	SHA256    string `json:"sha256"` // hexadecimal
	MediaType string `json:"media_type"`
	Language  string `json:"language"` // BCP 47
	Name      string `json:"name"`
	Size      int64  `json:"size"` // bytes
}

// A Secrecy is a gag. It has an end or a date of review.
type Secrecy struct {
	Basis    LegalBasis `json:"basis"`
	From     time.Time  `json:"from"`
	Until    *time.Time `json:"until,omitempty"`
	ReviewAt *time.Time `json:"review_at,omitempty"`
	Scope    string     `json:"scope"` // subject, public or both
}

// A LinkedCase is a relation to another case.
type LinkedCase struct {
	Relation string        `json:"relation"` // production_of, extends, replaces, duplicate_of or withdraws
	Case     bonded.CaseID `json:"case"`
}

// A CaseTask is one target and one data scope, decided one by one.
type CaseTask struct {
	Kind         string       `json:"kind"` // disclose, preserve or confirm_existence
	Targets      []CaseTarget `json:"targets"`
	DataClass    string       `json:"data_class"`
	Collection   string       `json:"collection"`
	FieldsWanted []string     `json:"fields_wanted"`
	From         *time.Time   `json:"from,omitempty"`
	To           *time.Time   `json:"to,omitempty"`
	MaxSubjects  int          `json:"max_subjects"`
	HoldUntil    *time.Time   `json:"hold_until,omitempty"`
	Note         string       `json:"note,omitempty"`
}

// Opens reports whether the task lets an item have these fields: those it asks
// for and, beside them, at most one by which a target was matched. It returns
// the name of the first that it does not.
func (t *CaseTask) Opens(fields []ScopeField) (string, bool) {
	match := 0
	for i := range fields {
		f := &fields[i]
		if slices.Contains(t.FieldsWanted, f.Name) {
			continue
		}
		match++
		if !f.Match || match > 1 || !slices.ContainsFunc(t.Targets, func(g CaseTarget) bool { return g.Format == f.Name }) {
			return f.Name, false
		}
	}
	return "", true
}

// A CaseTarget names one person: a subject, record or token id, or an indexed
// field of the task's collection with its value.
type CaseTarget struct {
	Format string `json:"format"` // subject, record, token, or the name of an indexed field
	Value  string `json:"value"`
}

// A CaseDecision is what somebody does to a case. It names the state that its
// author saw, so that two people cannot decide past one another.
type CaseDecision struct {
	Format string        `json:"format"` // [LabelDecision]
	Case   bonded.CaseID `json:"case"`
	Person string        `json:"person"`
	Role   string        `json:"role"`
	Action string        `json:"action"`
	State  string        `json:"state"`  // that the author saw
	Number uint64        `json:"number"` // of the case's last entry that the author saw
	Time   time.Time     `json:"time"`
	Code   string        `json:"code,omitempty"`   // reject code
	Reason string        `json:"reason,omitempty"` // at most 4,096 bytes; no personal data of the subject
	Tasks  []TaskChange  `json:"tasks,omitempty"`  // narrowing, and refusals of single tasks
	Until  *time.Time    `json:"until,omitempty"`  // secrecy, holds, review dates
	Detail string        `json:"detail,omitempty"` // what an action needs besides, such as the number called back
	Digest string        `json:"digest,omitempty"` // hexadecimal: scope or document the action is about
}

// A TaskChange narrows or refuses one task.
type TaskChange struct {
	Task         int        `json:"task"`
	FieldsWanted []string   `json:"fields_wanted,omitempty"`
	From         *time.Time `json:"from,omitempty"`
	To           *time.Time `json:"to,omitempty"`
	MaxSubjects  int        `json:"max_subjects,omitempty"`
	Code         string     `json:"code,omitempty"` // refused with this reject code
}

// An Agency is an entry of the register: an authority, lender or auditor.
type Agency struct {
	Format          string              `json:"format"` // [LabelAgency]
	Cell            bonded.CellID       `json:"cell"`
	ID              string              `json:"id"`
	Version         uint64              `json:"version"` // from 1
	Name            string              `json:"name"`
	Country         bonded.Jurisdiction `json:"country"`
	Level           string              `json:"level"`
	Kind            string              `json:"kind"`
	Domains         []string            `json:"domains,omitempty"`
	Powers          []string            `json:"powers"` // process types it may use
	DirectorySource string              `json:"directory_source"`
	Switchboard     string              `json:"switchboard"` // a number found by ourselves
	VerifiedAt      time.Time           `json:"verified_at"`
	Trust           string              `json:"trust"` // probation, verified or suspended
}

// A Person is an entry of the register: an officer of an agency or somebody
// with a role at the cell. Key is what they sign with.
type Person struct {
	Format       string        `json:"format"` // [LabelPerson]
	Cell         bonded.CellID `json:"cell"`
	ID           string        `json:"id"`
	Version      uint64        `json:"version"` // from 1
	Role         string        `json:"role"`    // requester, intake, legal, guardian, auditor, court or registrar
	Agency       string        `json:"agency,omitempty"`
	Organisation string        `json:"organisation"`
	Name         string        `json:"name"`
	Contact      string        `json:"contact,omitempty"`
	Phone        string        `json:"phone,omitempty"` // from the agency's directory, not from a request
	Supervisor   string        `json:"supervisor,omitempty"`
	Key          string        `json:"key"`   // Ed25519, base64
	Level        int           `json:"level"` // of the trust ladder, 0 to 3; requesters only
	Evidence     string        `json:"evidence,omitempty"`
	NotBefore    time.Time     `json:"not_before"`
	NotAfter     time.Time     `json:"not_after"`
	Suspended    bool          `json:"suspended,omitempty"`
}
