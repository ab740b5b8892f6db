package keyholder

import (
	"encoding/binary"
	"hash/maphash"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// budgets count what each grant has used of the current clock hour: distinct
// subjects, distinct index values, items of jobs, and destructions. A grant
// can thus reach twice its budget within an hour that begins at half past;
// never more. The time is that of the keyholder, which does not go back.
type budgets map[string]*budget

type budget struct {
	hour       int64
	subjects   map[bonded.ID]struct{}
	values     map[uint64]struct{} // index values, see valueKey
	recounted  uint64              // index values of before a restart, each counted for itself
	items      uint64              // of jobs
	destroyedN uint32
}

// IndexPerSubject is how many distinct index values an hour a grant may have
// computed for each distinct subject of its budget.
const IndexPerSubject = 16

const hourMillis = 3600 * 1000

func (b budgets) of(principal string, ms uint64) *budget {
	hour := int64(ms / hourMillis) //nolint:gosec // far below 2^63
	x := b[principal]
	if x == nil || x.hour != hour {
		x = &budget{hour: hour, subjects: map[bonded.ID]struct{}{}, values: map[uint64]struct{}{}}
		b[principal] = x
	}
	return x
}

// A cost is what one entry takes of a budget.
type cost struct {
	subjects []bonded.ID // its people, and each value searched for
	values   []uint64    // its index values
	items    uint64      // for a job that has a rate
}

// spend books the cost if the budget allows all of it, else nothing. The limit
// is that of the grant: distinct subjects, or items for a job with a rate.
func (b budgets) spend(principal string, ms uint64, limit uint32, c cost) bool {
	x, bound := b.of(principal, ms), uint64(limit)
	if c.items > 0 && x.items+c.items > bound {
		return false
	}
	subjects, ok := addAll(x.subjects, c.subjects, bound, 0)
	if !ok {
		return false
	}
	if _, ok := addAll(x.values, c.values, bound*IndexPerSubject, x.recounted); !ok {
		for _, s := range subjects {
			delete(x.subjects, s)
		}
		return false
	}
	x.items += c.items
	return true
}

// addAll adds keys to a set that may hold limit less others, and returns which
// were new; if they are too many it adds none.
func addAll[K comparable](set map[K]struct{}, keys []K, limit, others uint64) (added []K, ok bool) {
	for _, key := range keys {
		if _, had := set[key]; had {
			continue
		}
		if uint64(len(set))+others >= limit {
			for _, a := range added {
				delete(set, a)
			}
			return nil, false
		}
		set[key] = struct{}{}
		added = append(added, key)
	}
	return added, true
}

// costOf returns what an entry costs. Equal index values count once.
func costOf(e *wire.Entry, perItem bool) (c cost) {
	if perItem {
		c.items = uint64(len(e.Items))
	} else {
		c.subjects = make([]bonded.ID, 0, len(e.Items))
	}
	for i := range e.Items {
		it := &e.Items[i]
		search := it.Subject.IsZero()
		if !search && !perItem {
			c.subjects = append(c.subjects, it.Subject)
		}
		for j := range it.Index {
			v := valueKey(e.Collection, &it.Index[j])
			c.values = append(c.values, v)
			if search && !perItem {
				c.subjects = append(c.subjects, searchID(v, 0, 0))
			}
		}
	}
	return c
}

var valueSeed = maphash.MakeSeed()

// valueKey stands for an index value in a budget. Its seed is this process's:
// nobody else can make two values that count as one.
func valueKey(collection string, v *wire.IndexValue) uint64 {
	var h maphash.Hash
	h.SetSeed(valueSeed)
	_, _ = h.WriteString(collection)
	_ = h.WriteByte(0) // not in names
	_, _ = h.WriteString(v.Field)
	_ = h.WriteByte(0)
	_, _ = h.Write(v.Inner[:])
	return h.Sum64()
}

// destroyed counts one destruction, for the grant and for everybody.
func (b budgets) destroyed(principal string, ms uint64) {
	b.of(principal, ms).destroyedN++
	b.of(everybody, ms).destroyedN++
}

// recount adds the releases of a book row after a restart. Index values are
// not in the book: each counts as another one, and each search as another
// subject.
func (b budgets) recount(row *verify.BookRow) {
	principal := row.Principal
	if row.Operation == verify.OpDisclose {
		principal = cases
	}
	x := b.of(principal, row.Time)
	for i := range row.Items {
		it := &row.Items[i]
		if it.Code != "" {
			continue
		}
		x.recounted += uint64(len(it.Index))
		if row.Assurance == verify.AssuranceJob {
			x.items++
		}
		if !it.Subject.IsZero() {
			x.subjects[it.Subject] = struct{}{}
			continue
		}
		for j := range it.Index {
			x.subjects[searchID(row.Seq, i, j)] = struct{}{}
		}
	}
}

// searchID stands for a searched value among the subjects of a budget.
func searchID(n uint64, item, index int) (id bonded.ID) {
	binary.LittleEndian.PutUint64(id[:], n)
	binary.LittleEndian.PutUint16(id[8:], uint16(item)) //nolint:gosec // below verify.MaxRowItems
	id[10], id[15] = byte(index), 0xff                  //nolint:gosec // at most verify.MaxRowFields
	return id
}
