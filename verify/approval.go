package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"bonded"
	"bonded/internal/canon"
)

// Codes of failures of approvals.
const (
	FailApproval = "approval" // an approval is not what it must be
	FailCustody  = "custody"  // the custodians named are not those in force
)

// A Custodians is the custodians of a cell in one epoch, as far as approvals
// need them. A quorum's key set gives one.
type Custodians struct {
	Cell   bonded.CellID
	KeySet [32]byte // digest of the key set
	Epoch  uint64
	Roles  []CustodianRole
}

// A CustodianRole needs Threshold of its members. Every role is needed.
type CustodianRole struct {
	Name      string
	Threshold int
	Members   []Custodian
}

// A Custodian is one member of a role.
type Custodian struct {
	Index uint64 // within the role, from 1
	ID    string
	Key   ed25519.PublicKey // signs approvals
}

// An Approval is a custodian's signed decision on one scope. A refusal has
// Approve false and a reason.
type Approval struct {
	Cell      bonded.CellID
	Case      bonded.ID
	Scope     [32]byte // digest
	Leaf      [32]byte // leaf hash of the entry that put the scope before the custodians
	KeySet    [32]byte
	Epoch     uint64
	Role      string
	Index     uint64
	Custodian string
	Approve   bool
	Reason    string // of a refusal; at most MaxReason bytes
	Time      uint64 // seconds since 1970-01-01 UTC, of the custodian's clock
	Signature [ed25519.SignatureSize]byte
}

func (a *Approval) encode(w *canon.Writer) {
	w.Byte(1) // format version
	w.String(string(a.Cell))
	w.Fixed(a.Case[:])
	w.Fixed(a.Scope[:])
	w.Fixed(a.Leaf[:])
	w.Fixed(a.KeySet[:])
	w.Uint(a.Epoch)
	w.String(a.Role)
	w.Uint(a.Index)
	w.String(a.Custodian)
	w.Bool(a.Approve)
	w.String(a.Reason)
	w.Uint(a.Time)
}

func (a *Approval) message() []byte {
	var w canon.Writer
	a.encode(&w)
	return canon.LP([]byte("bonded/approval/1"), w.B)
}

// Sign signs a with the custodian's approval key.
func (a *Approval) Sign(key ed25519.PrivateKey) { copy(a.Signature[:], ed25519.Sign(key, a.message())) }

// Encode returns the canonical bytes of a.
func (a *Approval) Encode() []byte {
	var w canon.Writer
	a.encode(&w)
	w.Fixed(a.Signature[:])
	return w.B
}

// DecodeApproval reads what [Approval.Encode] wrote.
func DecodeApproval(b []byte) (*Approval, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	a := &Approval{Cell: bonded.CellID(r.String(8))}
	r.Fixed(a.Case[:])
	r.Fixed(a.Scope[:])
	r.Fixed(a.Leaf[:])
	r.Fixed(a.KeySet[:])
	a.Epoch, a.Role, a.Index, a.Custodian = r.Uint(), r.String(64), r.Uint(), r.String(64)
	a.Approve, a.Reason, a.Time = r.Bool(), r.String(MaxReason), r.Uint()
	r.Fixed(a.Signature[:])
	return a, r.Done()
}

// Check reports whether a was signed by a custodian of c. The error is a
// [Failure].
func (a *Approval) Check(c *Custodians) error {
	if a.Cell != c.Cell || a.KeySet != c.KeySet || a.Epoch != c.Epoch {
		return Fail(FailCustody, "the approval is under another key set than the one in force")
	}
	return c.signed(a.Role, a.Index, a.Custodian, a.message(), a.Signature[:])
}

// signed reports whether the member of a role signed a message.
func (c *Custodians) signed(role string, index uint64, id string, message, signature []byte) error {
	for i := range c.Roles {
		if c.Roles[i].Name != role {
			continue
		}
		for _, m := range c.Roles[i].Members {
			if m.Index == index && m.ID == id {
				if len(m.Key) != ed25519.PublicKeySize || !ed25519.Verify(m.Key, message, signature) {
					return Fail(FailApproval, "the approval of custodian %s is not signed by that custodian", id)
				}
				return nil
			}
		}
	}
	return Fail(FailCustody, "no custodian %s in role %s", id, role)
}

// CheckApprovals reports whether approvals are a quorum of c for exactly one
// scope, put before them by the entry with that leaf hash: in every role at
// least its threshold of different people. Approvals beyond the threshold must
// hold as well; refusals are not approvals. The error is a [Failure].
func CheckApprovals(c *Custodians, id bonded.ID, scope, leaf [32]byte, approvals []*Approval) error {
	got := map[string]int{}
	people := map[string]bool{}
	for _, a := range approvals {
		switch {
		case a.Case != id || a.Scope != scope || a.Leaf != leaf:
			return Fail(FailApproval, "the approval of custodian %s is for another case or scope", a.Custodian)
		case !a.Approve:
			return Fail(FailApproval, "custodian %s has refused", a.Custodian)
		case people[a.Custodian]:
			return Fail(FailApproval, "custodian %s stands more than once", a.Custodian)
		}
		if err := a.Check(c); err != nil {
			return err
		}
		people[a.Custodian] = true
		got[a.Role]++
	}
	return c.quorum(got)
}

// quorum reports whether every role has its threshold.
func (c *Custodians) quorum(got map[string]int) error {
	if len(c.Roles) == 0 {
		return Fail(FailCustody, "there are no custodians")
	}
	for i := range c.Roles {
		if r := &c.Roles[i]; r.Threshold < 1 || got[r.Name] < r.Threshold {
			return Fail(FailApproval, "role %s has %d of %d approvals", r.Name, got[r.Name], r.Threshold)
		}
	}
	return nil
}

// ApprovalsDigest returns a digest over approvals in whatever order.
func ApprovalsDigest(approvals []*Approval) [32]byte {
	parts := make([][]byte, len(approvals))
	for i, a := range approvals {
		parts[i] = a.Encode()
	}
	slices.SortFunc(parts, bytes.Compare)
	return sha256.Sum256(append([]byte("bonded/approvals/1"), canon.LP(parts...)...))
}

// OpeningContent returns the value of the field content of an entry with event
// [EventOpening]: what was approved, by whom, for which key.
func OpeningContent(scope, approvals, recipient [32]byte) [32]byte {
	return sha256.Sum256(append([]byte("bonded/opening-content/1"), canon.LP(scope[:], approvals[:], recipient[:])...))
}

// Events of case entries. Transitions between states have [EventTransition].
const (
	EventTransition = "transition"
	EventQuorum     = "quorum"   // a scope was put before the custodians
	EventOpening    = "opening"  // the quorum stands; only after this is witnessed does anything open
	EventRefusal    = "refusal"  // a custodian refused
	EventAlarm      = "alarm"    // a proof named somebody at fault: Detail says what was refused
	EventSecrecy    = "secrecy"  // Detail: active, review_due, extended, challenged, ended, notified
	EventNotice     = "notice"   // Detail: before, after, deferred, authority, failed
	EventFreeze     = "freeze"   // Detail: held, extended, released
	EventDelivery   = "delivery" // Detail: full, part, none
	EventNarrowing  = "narrowing"
)
