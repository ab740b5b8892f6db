//go:build unix

package frontdoor

import (
	"context"
	"time"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// Casebook returns the ledger of cases as the [Book] of a front door.
func Casebook(b *casebook.Book) Book { return book{b} }

type book struct{ b *casebook.Book }

func (k book) Add(tx *sqldb.Tx, e *verify.CaseEntry, persons ...[]byte) (int64, error) {
	return k.b.Add(tx, e, persons...)
}

func (k book) Hold(tx *sqldb.Tx, id bonded.ID, until time.Time) error { return k.b.Hold(tx, id, until) }

func (k book) Reveal(tx *sqldb.Tx, entry int64, withhold ...string) error {
	return k.b.Reveal(tx, entry, withhold...)
}

func (k book) RevealCase(tx *sqldb.Tx, id bonded.ID, withhold ...string) error {
	return k.b.RevealCase(tx, id, withhold...)
}

func (k book) Changed() <-chan struct{} { return k.b.Changed() }

// Placed implements [Book]. What it returns is under a receipt of the ledger
// itself.
func (k book) Placed(ctx context.Context, entry int64) (*Placed, error) {
	r, err := k.b.Receipt(ctx, entry)
	if bonded.CodeOf(err) == bonded.CodeStale {
		return nil, nil //nolint:nilnil // not witnessed yet
	}
	if err != nil {
		return nil, err
	}
	if !r.Ledger.Valid() || r.Ledger.LeafHash() != r.Hash {
		return nil, bonded.Errorf(bonded.CodeAltered, "the ledger's receipt is of another entry")
	}
	return &Placed{Index: r.Index, Leaf: r.Hash, Opening: r.Open(false), Proof: r.Proof, Witnessed: r.Witnessed}, nil
}

func (k book) Openings(ctx context.Context, from uint64) ([]*verify.CaseOpening, uint64, error) {
	return k.b.Feed(ctx, from, casebook.MaxFeedPage)
}

func (k book) Closed(ctx context.Context, from uint64) ([]*verify.CaseOpening, uint64, error) {
	return k.b.Closed(ctx, from, casebook.MaxFeedPage)
}

func (k book) OpeningsAt(ctx context.Context, from, to int64) ([]*verify.CaseOpening, error) {
	return k.b.OpeningsAt(ctx, from, to)
}
