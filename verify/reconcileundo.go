package verify

import (
	"slices"

	"bonded"
)

// FailUndone says that a subject key was destroyed for an erasure that had
// been taken back.
const FailUndone = "destroyed_after_undo"

// An undoChain finds destructions that were ordered by an erasure which the
// journal itself says was taken back.
type undoChain struct {
	undone map[bonded.ID][]undo
	done   []destruction
}

// An undo is a row that takes an erasure back.
type undo struct {
	ref, refers RowRef // refers may be zero: then it means the erasure before it
	pos         uint64
}

// A destruction is a destroyed key with the entry that ordered it.
type destruction struct {
	subject bonded.ID
	entry   RowRef
	pos     uint64 // of the entry; 0 if the entry was lost and an orphan names it
	book    uint64 // row of the book
}

// row takes a row of the journal.
func (u *undoChain) row(row *Row, pos uint64) {
	if row.Operation != OpEraseUndo || row.Outcome != OutcomeAllowed {
		return
	}
	if u.undone == nil {
		u.undone = map[bonded.ID][]undo{}
	}
	for i := range row.Items {
		id := row.Items[i].Subject
		u.undone[id] = append(u.undone[id], undo{row.RowRef, row.Refers, pos})
	}
}

// destroyed takes a destruction of the book with its entry.
func (u *undoChain) destroyed(b *BookRow, pos uint64) {
	for i := range b.Items {
		u.done = append(u.done, destruction{b.Items[i].Subject, b.Row, pos, b.Seq})
	}
}

// check reports each destruction whose entry was taken back. An undo of which a
// second row says that it failed took nothing back.
func (u *undoChain) check(rows map[RowRef]rowInfo, report func(*Failure)) {
	for _, d := range u.done {
		i := slices.IndexFunc(u.undone[d.subject], func(un undo) bool {
			if rows[un.ref].second != 0 {
				return false
			}
			if un.refers != (RowRef{}) {
				return un.refers == d.entry
			}
			return d.pos != 0 && un.pos > d.pos
		})
		if i >= 0 {
			report(Fail(FailUndone, "row %d of the book destroyed a key for row %s, but row %s of the journal took that erasure back", d.book, d.entry, u.undone[d.subject][i].ref))
		}
	}
}
