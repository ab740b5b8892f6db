// Package handover is the line between the front door and the vault's
// records: what a case asks for and what it gets. It has types only. The vault
// implements [Records], the front door calls it, and neither imports the other.
//
// Nothing here opens data for the vault or the front door: of a release they
// see ciphertext and keys sealed to the requester.
//
// Start at [Records].
package handover

import (
	"context"
	"encoding/json"
	"time"

	"bonded"
	"bonded/verify"
)

// Records is what the front door asks of the vault. Every method enters what
// it does in the journal, under the case as its basis, before it answers.
// Methods are safe for concurrent use; errors are [bonded.Error]s.
type Records interface {
	// Resolve finds the records that targets name, at most limit people. A
	// target nobody matches has no match: that is no error. A target by value is
	// an entered search, booked vault-resolved.
	Resolve(ctx context.Context, id bonded.CaseID, targets []Target, limit int) ([]Match, error)

	// Snapshot returns the scope items of records: each field wanted that is
	// there, at its newest version, with custody and envelope. Fields not there
	// are left out, and so are records without any.
	Snapshot(ctx context.Context, id bonded.CaseID, wants []Want) ([]verify.ScopeItem, error)

	// Envelopes calls each with the quorum envelope of every item that has one,
	// in order; from counts items. An item whose version is no longer the stored
	// one is an error with code conflict.
	Envelopes(ctx context.Context, items []verify.ScopeItem, from int, each func(i int, envelope []byte) error) error

	// Freeze keeps what the case names from erasure and retention until
	// Unfreeze; it opens nothing and is idempotent for a case.
	Freeze(ctx context.Context, id bonded.CaseID, subjects []bonded.ID) error
	Unfreeze(ctx context.Context, id bonded.CaseID) error

	// Release asks the keyholder, under a certificate, for the keys of scope
	// items [from, from+len(items)), sealed to the recipient, and calls each with
	// the ciphertext and sealed keys of every item. An item may be refused alone.
	// A release that was cut off is asked for again: each asking is an opening of
	// its own in both books.
	Release(ctx context.Context, c *Certificate, from int, items []verify.ScopeItem, each func(Released) error) error

	// Reseal writes the records of a delivered case anew under their next
	// version, so that the keys released open nothing that is stored any more. It
	// passes over records that changed meanwhile and is idempotent.
	Reseal(ctx context.Context, id bonded.CaseID, items []verify.ScopeItem) error

	// Receipt returns the receipt of a row of the journal, showing only items of
	// the subject given; code busy while no anchor covers it yet.
	Receipt(ctx context.Context, entry string, subject bonded.ID) (json.RawMessage, error)

	// Contact opens the address under which a person is told, and their language;
	// both may be empty. It is an opening with purpose "notice".
	Contact(ctx context.Context, id bonded.CaseID, subject bonded.ID) (address, language string, err error)

	// Schema says of a collection which fields there are.
	Schema(collection string) (map[string]Field, bool)
}

// A Field is what the front door must know of a field of the schema.
type Field struct {
	Class   string // anonymous, personal or sensitive
	Custody verify.Custody
	Indexed bool
}

// A Target names one person by an id, or by the value of an indexed field.
type Target struct {
	Task       int
	Collection string
	Format     string // subject, record, token, or the name of an indexed field
	Value      string // personal data: never logged, never in an error
}

// A Match is a record that a target names.
type Match struct {
	Task    int
	Target  int // index of the target
	Subject bonded.ID
	Record  bonded.ID
	Field   string // that identified it; empty if an id did
}

// A Want is what a task asks of one record.
type Want struct {
	Task       int
	Subject    bonded.ID
	Record     bonded.ID
	Collection string
	Fields     []string
	Match      string // field that identified the target, opened too; empty if an id did
}

// A Certificate is what the keyholder must be shown before it releases
// anything for a case.
type Certificate struct {
	Case       bonded.CaseID
	ScopeHead  []byte     // canonical, see [verify.EncodeScopeHead]
	ItemHashes [][32]byte // of every item of the scope, in order
	Approvals  [][]byte   // canonical, see [verify.Approval]
	QuorumLeaf [32]byte   // leaf hash that the approvals name
	Opening    []byte     // JSON of the [verify.CaseOpening] of the entry with event opening
	Proof      []byte     // C2SP tlog-proof of that entry
	Recipient  []byte     // recipient key
}

// A Released is one scope item as it goes into a release package. Sealed is
// the field keys of the item in the order of its fields, sealed to the
// recipient; Ciphertexts are in the same order.
type Released struct {
	Index       int         // of the item in the scope
	Code        bonded.Code // empty when released
	Entry       string      // row of the journal
	Item        []byte      // canonical, see [verify.EncodeScopeItem]
	Ciphertexts [][]byte
	Sealed      []byte
	Envelope    []byte // quorum envelope; nil without quorum fields
}

// MaxReleaseItems is how many items one [Records.Release] takes.
const MaxReleaseItems = 256

// A Clock is where the front door gets the time from: the local clock for
// timers, and witnesses for what binds.
type Clock interface {
	Now() time.Time
	// Witnessed returns the witness time of the newest cosigned checkpoint.
	Witnessed() (time.Time, error)
}
