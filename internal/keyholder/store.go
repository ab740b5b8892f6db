package keyholder

import (
	"context"

	"bonded"
	"bonded/verify"
)

// A Store keeps the book and the wrapped keys. It is used by one Keyholder at
// a time; its methods may be called concurrently.
type Store interface {
	// Commit makes all of c durable at once or nothing of it. It refuses rows
	// that do not continue the book and subjects that are there already. When
	// it returns nil everything survives a crash of the machine. Its errors are
	// never retried by the Store.
	Commit(ctx context.Context, c *Commit) error

	// Last returns the number and chain hash of the last book row, zero for an
	// empty book.
	Last(ctx context.Context) (seq uint64, chain [32]byte, err error)

	// Rows returns at most limit book rows after a number, in order; fewer if
	// they are long, and none only at the end of the book.
	Rows(ctx context.Context, after uint64, limit int) ([]StoredRow, error)

	// Subject returns a wrapped subject key, or false if there is none.
	Subject(ctx context.Context, subject bonded.ID) (WrappedKey, bool, error)

	// WrappedUnder returns at most limit keys wrapped under versions of the
	// cell key below the given one, in the order of subjects, of those after
	// one.
	WrappedUnder(ctx context.Context, below uint32, after bonded.ID, limit int) ([]WrappedKey, error)

	// CountSubjects returns how many keys there are, and how many are wrapped
	// under versions below the given one.
	CountSubjects(ctx context.Context, below uint32) (all, old uint64, err error)

	// Tombstones returns at most limit tombstones from a number on, in order.
	Tombstones(ctx context.Context, from uint64, limit int) ([]*verify.Tombstone, error)

	// Grants returns the grant file installed last, nil if none was.
	Grants(ctx context.Context) ([]byte, error)

	// Custody returns the key set kept last, nil if none was.
	Custody(ctx context.Context) ([]byte, error)

	// Control returns what a Commit kept as Control last, nil if none did.
	Control(ctx context.Context) ([]byte, error)

	// Anchor returns the anchor accepted last, nil if none was.
	Anchor(ctx context.Context) (*AcceptedAnchor, error)
}

// A Commit is one group commit.
type Commit struct {
	Rows       []StoredRow
	New        []WrappedKey // of new subjects
	Rewrapped  []WrappedKey // replace those of subjects that are still there
	Destroyed  []bonded.ID
	Tombstones []*verify.Tombstone
	Grants     []byte          // if not nil, replaces the grant file
	Custody    []byte          // if not nil, replaces the custodians' key set
	Control    []byte          // if not nil, replaces what is in force and waits
	Anchor     *AcceptedAnchor // if not nil, replaces the anchor accepted last
}

// A StoredRow is one row of the book with the chain hash after it.
type StoredRow struct {
	Seq   uint64
	Row   []byte // see [verify.EncodeBookRow]
	Chain [32]byte
}

// A WrappedKey is a subject key at rest.
type WrappedKey struct {
	Subject bonded.ID
	Version uint32 // of the cell key it is wrapped under
	Wrapped []byte
}

// An AcceptedAnchor is where the ledger stood when an anchor was accepted.
type AcceptedAnchor struct {
	Index   int64     // of the leaf in the ledger
	Size    int64     // entries under the checkpoint that showed it
	Leaf    [32]byte  // RFC 6962 leaf hash
	Seq     uint64    // last book row then
	Pending []SeqSpan // releases up to Seq that no anchored segment held yet
}

// A SeqSpan is a run of releases in the book, both ends included, that only an
// anchor at From or later in the ledger can hold.
type SeqSpan struct {
	First, Last uint64
	From        int64
}
