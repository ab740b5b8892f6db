//go:build unix

package casebook

import (
	"context"

	"bonded/verify"
)

// EscrowBlob returns what opens a witnessed entry without this book, the
// person aside: the bytes of [verify.CaseEscrow]. They are secret until the
// entry opens: seal them to whoever keeps them. It fails as [Book.Receipt]
// does.
func (b *Book) EscrowBlob(ctx context.Context, entry int64) ([]byte, error) {
	r, err := b.Receipt(ctx, entry)
	if err != nil {
		return nil, err
	}
	e := &verify.CaseEscrow{Index: r.Index, Leaf: r.Leaf, Fields: r.Fields.open, Person: r.Fields.commitment}
	return e.Encode(), nil
}
