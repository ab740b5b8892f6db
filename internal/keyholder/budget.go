package keyholder

import (
	"encoding/binary"

	"bonded"
	"bonded/verify"
)

// budgets count, for each grant, the distinct subjects of the current clock
// hour, and its destructions. A grant can thus reach twice its budget within
// an hour that begins at half past; never more. The time is that of the
// keyholder, which does not go back.
type budgets map[string]*budget

type budget struct {
	hour       int64
	subjects   map[bonded.ID]struct{}
	destroyedN uint32
}

const hourMillis = 3600 * 1000

func (b budgets) of(principal string, ms uint64) *budget {
	hour := int64(ms / hourMillis) //nolint:gosec // far below 2^63
	x := b[principal]
	if x == nil || x.hour != hour {
		x = &budget{hour: hour, subjects: map[bonded.ID]struct{}{}}
		b[principal] = x
	}
	return x
}

// spend adds the subjects if the budget allows all of them, else none.
func (b budgets) spend(principal string, ms uint64, limit uint32, subjects []bonded.ID) bool {
	x := b.of(principal, ms)
	var added []bonded.ID
	for _, id := range subjects {
		if _, ok := x.subjects[id]; ok {
			continue
		}
		if uint64(len(x.subjects)) >= uint64(limit) {
			for _, a := range added {
				delete(x.subjects, a)
			}
			return false
		}
		x.subjects[id] = struct{}{}
		added = append(added, id)
	}
	return true
}

// destroyed counts one destruction, for the grant and for everybody.
func (b budgets) destroyed(principal string, ms uint64) {
	b.of(principal, ms).destroyedN++
	b.of(everybody, ms).destroyedN++
}

// recount adds the releases of a book row after a restart. What was searched
// for is not in the book: each search counts as another subject.
func (b budgets) recount(row *verify.BookRow) {
	x := b.of(row.Principal, row.Time)
	for i := range row.Items {
		it := &row.Items[i]
		switch {
		case it.Code != "":
		case !it.Subject.IsZero():
			x.subjects[it.Subject] = struct{}{}
		default:
			for j := range it.Index {
				x.subjects[searchID(row.Seq, i, j)] = struct{}{}
			}
		}
	}
}

// searchID stands for a searched value in a budget.
func searchID(seq uint64, item, index int) (id bonded.ID) {
	binary.LittleEndian.PutUint64(id[:], seq)
	binary.LittleEndian.PutUint16(id[8:], uint16(item)) //nolint:gosec // below verify.MaxRowItems
	id[10], id[15] = byte(index), 0xff                  //nolint:gosec // at most verify.MaxRowFields
	return id
}
