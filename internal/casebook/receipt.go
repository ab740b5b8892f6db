//go:build unix

package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// A Receipt is an entry that stands in the ledger under a cosigned checkpoint.
type Receipt struct {
	Entry  int64     // id that [Book.Add] gave
	Case   bonded.ID // zero for an entry of no case
	Number uint64    // within the case; 0 if there is none

	Leaf      []byte         // its [verify.LeafSize] bytes
	Hash      tlog.Hash      // RFC 6962 hash of the leaf
	Index     int64          // of the leaf in the ledger
	Proof     []byte         // C2SP tlog-proof, as first witnessed
	Witnessed time.Time      // witness time of the checkpoint in Proof
	OpenBy    time.Time      // the date of its leaf
	Fields    Fields         // in the order of [verify.CaseFields]
	Ledger    ledger.Receipt // valid: for steps that must come after the entry
}

// Fields are what a leaf commits to. The last one, the person, may be
// erased.
type Fields struct {
	open       []verify.LeafField // all but the person
	person     *verify.LeafField  // nil once it is erased
	commitment tlog.Hash          // of the person
}

// All returns the fields with their salts and values, in order. Once the
// person is erased it is missing at the end.
func (f *Fields) All() []verify.LeafField {
	out := append([]verify.LeafField(nil), f.open...)
	if f.person != nil {
		out = append(out, *f.person)
	}
	return out
}

// Value returns the value of a field; nil if it is empty or erased.
func (f *Fields) Value(name string) []byte {
	for _, lf := range f.All() {
		if lf.Name == name {
			return lf.Value
		}
	}
	return nil
}

// Open returns an opening of the entry to hand to somebody. It withholds the
// fields named, and the person unless withPerson is set and it is not erased.
func (r *Receipt) Open(withPerson bool, withhold ...string) *verify.CaseOpening {
	return r.Fields.opening(r.Index, r.Leaf, withPerson, withhold)
}

func (f *Fields) opening(index int64, leaf []byte, withPerson bool, withhold []string) *verify.CaseOpening {
	if withPerson && f.person != nil {
		return verify.OpenCase(index, leaf, f.All(), withhold...)
	}
	o := verify.OpenCase(index, leaf, f.open, withhold...)
	o.Fields = append(o.Fields, verify.OpeningField{Commitment: f.commitment[:]})
	return o
}

// Receipt returns the receipt of an entry. The error has code
// [bonded.CodeWithheld] if there is no such entry and [bonded.CodeStale] while
// no cosigned checkpoint covers it: wait with [Book.Await].
func (b *Book) Receipt(ctx context.Context, entry int64) (*Receipt, error) {
	return b.receipt(ctx, "e.id = ?", entry)
}

// ReceiptOf is [Book.Receipt] for the entry of that number in a case.
func (b *Book) ReceiptOf(ctx context.Context, kase bonded.ID, number uint64) (*Receipt, error) {
	return b.receipt(ctx, "e.case_id = ? AND e.number = ?", kase[:], int64(number)) //nolint:gosec // a count
}

// Await returns the receipt of an entry as soon as there is one. It waits for
// the slots as long as ctx lasts; its error is then that of ctx.
func (b *Book) Await(ctx context.Context, entry int64) (*Receipt, error) {
	for {
		changed := b.Changed()
		r, err := b.Receipt(ctx, entry)
		if bonded.CodeOf(err) != bonded.CodeStale {
			return r, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *Book) receipt(ctx context.Context, where string, args ...any) (*Receipt, error) {
	r := new(Receipt)
	var kase, open, person, commitment, hash []byte
	var number, index, witnessed sql.NullInt64
	err := b.db.Read().QueryRowContext(ctx,
		"SELECT e.id, e.case_id, e.number, e.fields, e.person, e.commitment, l.leaf, l.hash, l.ledger_index, l.witnessed, l.proof "+
			"FROM casebook_entries e LEFT JOIN casebook_leaves l ON l.id = e.leaf WHERE "+where, args...).
		Scan(&r.Entry, &kase, &number, &open, &person, &commitment, &r.Leaf, &hash, &index, &witnessed, &r.Proof)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, bonded.Errorf(bonded.CodeWithheld, "the ledger of cases has no such entry")
	}
	if err != nil {
		return nil, fmt.Errorf("receipt of an entry: %w", err)
	}
	if !index.Valid {
		return nil, bonded.Errorf(bonded.CodeStale, "entry %d is not witnessed yet", r.Entry)
	}
	copy(r.Case[:], kase)
	r.Number, r.Index, r.Witnessed = uint64(number.Int64), index.Int64, time.Unix(witnessed.Int64, 0).UTC() //nolint:gosec // a count
	leaf, err := verify.DecodeLeaf(r.Leaf)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "a leaf in the ledger of cases cannot be read")
	}
	r.OpenBy = time.Unix(int64(leaf.OpenBy), 0).UTC() //nolint:gosec // far below 2^63
	if r.Hash, err = asHash(hash); err != nil {
		return nil, err
	}
	f, err := decodeFields(open, person, commitment)
	if err != nil {
		return nil, err
	}
	r.Fields = *f
	r.Ledger, err = b.ledgerReceipt(ctx, r)
	return r, err
}

func decodeFields(open, person, commitment []byte) (*Fields, error) {
	f := new(Fields)
	var err error
	if f.open, err = verify.DecodeFields(open); err != nil || len(f.open) != personAt {
		return nil, bonded.Errorf(bonded.CodeAltered, "the fields of an entry cannot be read")
	}
	if f.commitment, err = asHash(commitment); err != nil || person == nil {
		return f, err
	}
	p, err := verify.DecodeFields(person)
	if err != nil || len(p) != 1 {
		return nil, bonded.Errorf(bonded.CodeAltered, "the person of an entry cannot be read")
	}
	f.person = &p[0]
	return f, nil
}

// maxReceipts bounds how many receipts of the ledger are kept; others are
// proven anew.
const maxReceipts = 1024

func (b *Book) keepReceipt(entry int64, r ledger.Receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.receipts) >= maxReceipts {
		clear(b.receipts)
	}
	b.receipts[entry] = r
}

// ledgerReceipt returns the ledger's own receipt: the one it gave to this
// process, or a new proof.
func (b *Book) ledgerReceipt(ctx context.Context, r *Receipt) (ledger.Receipt, error) {
	b.mu.Lock()
	kept, ok := b.receipts[r.Entry]
	b.mu.Unlock()
	if ok {
		return kept, nil
	}
	lr, err := b.cfg.Ledger.Prove(ctx, r.Index)
	if err != nil {
		return ledger.Receipt{}, fmt.Errorf("receipt of an entry: %w", err)
	}
	if lr.LeafHash() != r.Hash {
		return ledger.Receipt{}, bonded.Errorf(bonded.CodeAltered, "the ledger holds another leaf at entry %d than the ledger of cases", r.Index)
	}
	b.keepReceipt(r.Entry, lr)
	return lr, nil
}
