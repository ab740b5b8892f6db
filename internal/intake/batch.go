package intake

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"bonded"
)

// A batch is the rows of one call.
type batch struct {
	name string
	cell bonded.CellID
	rows []row
	size int // bytes, reckoned
}

// size returns about how many bytes the row takes in a call.
func (r *row) size() int {
	n := rowBytes
	for name, v := range r.item.Values {
		n += len(name) + len(v)
	}
	return n
}

// A filler gathers rows into batches of one cell after the other.
type filler struct {
	open   map[bonded.CellID]*batch
	number map[bonded.CellID]int
	name   string // what stands in the names of its batches
	send   func(*batch)
}

func (r *run) filler(name string) *filler {
	return &filler{open: map[bonded.CellID]*batch{}, number: map[bonded.CellID]int{}, name: name, send: r.send}
}

// add puts a row into the open batch of a cell. The same rows always make the
// same batches: an import that goes on depends on it.
func (f *filler) add(cell bonded.CellID, rw *row) {
	size := rw.size()
	if b := f.open[cell]; b != nil && b.size+size > batchBytes {
		f.close(b)
	}
	b := f.open[cell]
	if b == nil {
		f.number[cell]++
		b = &batch{name: fmt.Sprintf("%s-%s%d", cell, f.name, f.number[cell]), cell: cell}
		f.open[cell] = b
	}
	b.rows, b.size = append(b.rows, *rw), b.size+size
	if len(b.rows) == BatchRows {
		f.close(b)
	}
}

func (f *filler) flush() {
	for _, b := range f.open {
		f.close(b)
	}
}

// close sends a batch. Of the first batch of a cell, the row with the most
// fields goes ahead in a batch of its own: if the cell lacks a field of the
// map, this is where it shows, before any other row is stored.
func (f *filler) close(b *batch) {
	delete(f.open, b.cell)
	if f.name == "" && f.number[b.cell] == 1 && len(b.rows) > 1 {
		at := 0
		for i := range b.rows {
			if len(b.rows[i].item.Values) > len(b.rows[at].item.Values) {
				at = i
			}
		}
		f.send(&batch{name: fmt.Sprintf("%s-0", b.cell), cell: b.cell, rows: []row{b.rows[at]}})
		b.rows = slices.Delete(b.rows, at, at+1)
	}
	f.send(b)
}

// digest covers what the batch says, so that a changed file is noticed.
func (b *batch) digest() [32]byte {
	h := sha256.New()
	for i := range b.rows {
		v, _ := json.Marshal(b.rows[i].item.Values) // map keys are sorted
		fmt.Fprintf(h, "%d %x %s\n", b.rows[i].line, b.rows[i].key, v)
	}
	return [32]byte(h.Sum(nil))
}
