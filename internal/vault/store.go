package vault

import (
	"context"
	"time"

	"bonded"
	"bonded/internal/journal"
)

// A State says how a subject stands.
type State string

// States of a subject. An erased subject has no row any more, only a
// tombstone.
const (
	StateActive  State = "active"
	StateErasing State = "erasing" // to be erased; nothing is read meanwhile
)

// A Subject is one person at rest: nothing but how they stand.
type Subject struct {
	ID      bonded.ID
	State   State
	Created int64  // seconds since 1970-01-01 UTC
	Rule    string // id of the rule that chose this cell
}

// A Record is one row of a collection at rest.
type Record struct {
	N          uint64 // place in the order of listing, given by the [Store]
	ID         bonded.ID
	Subject    bonded.ID
	Collection uint16
	Version    uint64 // for compare-and-set, from 1
	Created    int64  // seconds since 1970-01-01 UTC
	Due        int64  // second at which retention next ends something of it; 0 for never
	Fields     []StoredField
	State      State // of the subject, on reading
}

// A TokenRow is what a token stands for.
type TokenRow struct {
	ID         bonded.ID
	Subject    bonded.ID
	Record     bonded.ID
	Collection uint16
	Field      uint16
}

// A Place is where a search or a list found a record.
type Place struct {
	N       uint64
	Subject bonded.ID
	Record  bonded.ID
}

// A Key names a record to look up.
type Key struct {
	Collection      uint16
	Subject, Record bonded.ID // zero record: the newest
}

// A Loaded record, nil if it is not there, or why it could not be read.
type Loaded struct {
	Record *Record
	Err    error
}

// A Condition is one equality of a search.
type Condition struct {
	Field uint16
	Value [16]byte // two-lock index value
}

// A Replay is the stored answer of a write with an idempotency key. It holds
// ids only.
type Replay struct {
	Principal string
	Key       string
	BodyHash  [32]byte
	Answer    []byte // JSON
	Expires   int64  // seconds since 1970-01-01 UTC
}

// An Erasure is an erasure asked for and not yet done.
type Erasure struct {
	Subject bonded.ID
	Asked   int64  // seconds since 1970-01-01 UTC
	Due     int64  // second from which the key may be destroyed
	Body    []byte // JSON of what the destruction must say
}

// A BasisRow is a consent or other basis record at rest, as JSON.
type BasisRow struct {
	ID      bonded.ID
	Subject bonded.ID
	Body    []byte
}

// A JobRow is background work at rest.
type JobRow struct {
	ID   bonded.ID
	Body []byte // JSON
	Open bool   // neither done nor failed
}

// A TombstoneRow is a tombstone at rest, as the keyholder signed it.
type TombstoneRow struct {
	N    uint64
	Mark [32]byte
	Body []byte
}

// A SchemaVersion is a collection as it was once loaded.
type SchemaVersion struct {
	Name    string
	Version uint64
	Body    []byte
}

// A Store keeps the tables of a vault. It is safe for concurrent use. Package
// vaultsql is the one for SQL databases.
//
// A read finds everything committed before it began. What is not there is nil
// without an error. A record returned may be shared: callers do not change it.
type Store interface {
	Record(ctx context.Context, collection uint16, subject, record bonded.ID) (*Record, error) // zero record: the newest
	Lookup(ctx context.Context, keys []Key) []Loaded                                           // as Record, many at once, in the order of keys
	Records(ctx context.Context, subject bonded.ID) ([]*Record, error)                         // of one person, in all collections, at most MaxRecords
	Page(ctx context.Context, collection uint16, after uint64, limit int) ([]*Record, error)
	Due(ctx context.Context, now int64, limit int) ([]*Record, error) // of people whom no hold keeps
	Find(ctx context.Context, conditions []Condition, after uint64, limit int) ([]Place, error)
	List(ctx context.Context, collection uint16, after uint64, limit int) ([]Place, error)
	Count(collection uint16) (subjects, records uint64) // zero collection: all
	Subject(ctx context.Context, id bonded.ID) (*Subject, error)
	Token(ctx context.Context, id bonded.ID) (*TokenRow, error)
	Basis(ctx context.Context, id bonded.ID) (*BasisRow, error)
	BasisOf(ctx context.Context, subject bonded.ID) ([]*BasisRow, error)
	Replay(ctx context.Context, principal, key string) (*Replay, error)
	PlacesOf(ctx context.Context, collection uint16, record bonded.ID) ([]Place, error) // by the record alone: it reads the whole collection
	FindHeld(ctx context.Context, conditions []Condition, limit int) ([]Place, error)   // as Find, of people who are being erased and whom a hold keeps
	Held(ctx context.Context, subject bonded.ID) (bool, error)                          // a case keeps the person from erasure and retention
	HeldBy(ctx context.Context, id bonded.ID) ([]bonded.ID, error)                      // people whom a case keeps
	Erasure(ctx context.Context, subject bonded.ID) (*Erasure, error)
	Erasures(ctx context.Context) ([]*Erasure, error)
	Tombstoned(ctx context.Context, mark [32]byte) (uint64, error)                                      // number of the tombstone, 0 if none
	LastTombstone(ctx context.Context) (*TombstoneRow, error)                                           // the newest
	Job(ctx context.Context, id bonded.ID) (*JobRow, error)                                             //
	OpenJobs(ctx context.Context) ([]*JobRow, error)                                                    //
	Value(ctx context.Context, name string) ([]byte, error)                                             // a value kept by [Tx.SetValue]
	Schemas(ctx context.Context) ([]SchemaVersion, error)                                               // newest version of each collection
	KeepSchema(ctx context.Context, s *Schema, versions []SchemaVersion, rows []journal.Prepared) error // stores versions and gives every collection and field its number

	// Commit makes rows and change durable in one commit. If change fails, the
	// rows are committed all the same, and its error is returned with them.
	// Change runs on the writer with everybody else behind it: it must not wait.
	Commit(ctx context.Context, rows []journal.Prepared, change func(Tx) error) ([]journal.Entered, error)
}

// MaxRecords is how many records one person may have.
const MaxRecords = 4000

// A Tx makes changes inside [Store.Commit].
type Tx interface {
	Record(collection uint16, subject, record bonded.ID) (*Record, error)
	Subject(id bonded.ID) (*Subject, error)
	Replay(principal, key string) (*Replay, error)

	InsertSubject(s *Subject) error
	SetState(subject bonded.ID, from, to State) (bool, error)
	DeleteSubject(subject bonded.ID) error // with records, index values, tokens and basis records

	HasRecords(subject bonded.ID) (bool, error)
	InsertRecord(r *Record) error              // sets r.N
	UpdateRecord(r *Record, was *Record) error // by r.N; was tells the index values to take out
	DeleteRecord(r *Record) error              // with index values and tokens

	InsertToken(t *TokenRow) error
	DeleteToken(id bonded.ID) (bool, error)
	PutBasis(b *BasisRow) error
	PutReplay(r *Replay) error
	DropReplays(before int64) error
	PutErasure(e *Erasure) error
	DeleteErasure(subject bonded.ID) (bool, error)
	ClaimErasures(now, until int64, limit int) ([]*Erasure, error) // of people whom no hold keeps
	PutHold(id, subject bonded.ID) error                           // idempotent
	DropHolds(id bonded.ID) error
	Held(subject bonded.ID) (bool, error)
	InsertTombstone(t *TombstoneRow) error
	PutJob(j *JobRow) error
	SetValue(name string, value []byte) error
}

// dueAt returns when retention next ends something of a record: its own end
// or that of one of its fields.
func dueAt(c *Collection, created time.Time, fields []StoredField) int64 {
	due := c.Retention.due(created)
	for i := range fields {
		if d := fields[i].Due; d != 0 && (due == 0 || d < due) {
			due = d
		}
	}
	return due
}
