package verify

import (
	"errors"
	"io"
	"slices"

	"bonded"
)

// Codes of failures that checks of the two books report.
const (
	FailBook          = "book"                   // the key-use book is not a chain of rows from the first to its signed head
	FailNumbering     = "subject_numbering"      // a subject's releases are not numbered one by one
	FailReused        = "reused_row"             // one entry got keys twice, or one row stands twice
	FailAfterDestroy  = "released_after_destroy" // keys of a subject were released after it was destroyed
	FailReleased      = "released_without_entry" // keys were released, or destroyed, for something that is no entry
	FailMismatch      = "mismatch"               // entry and release do not say the same
	FailMissingRow    = "missing_row"            // a row is not in the journal
	FailOrphan        = "orphan"                 // an orphan names a release that is not in the book, or an entry that is there
	FailPromise       = "promise"                // a batch promise was not kept
	FailRootOfSegment = "segment_root"           // the rows do not make the root of their segment
)

// A bookIndex is a whole key-use book, checked in itself, to hold journal rows
// against.
type bookIndex struct {
	cell   bonded.CellID
	rows   []bookEntry
	byLeaf map[[32]byte]int32 // rows of unlocks → index into rows
	chains [][32]byte         // chain hash after each row; chains[0] is before the first
	head   *Head

	// destroys are the rows of destructions: one entry can order several, one
	// subject each, and each can have been refused before.
	destroys map[[32]byte][]int32
}

// A bookEntry is one row of the book: its bytes are kept only for rows that an
// entry must match.
type bookEntry struct {
	bytes   []byte
	matched bool
}

// subjectState is how far a subject's numbering has come.
type subjectState struct {
	n         uint64
	destroyed bool
}

// readBook reads an exported book and checks it in itself: numbers, chain,
// per-subject numbering, order of the vault's rows, and the signed head.
func readBook(r *BookReader, c *DirectoryCell, report func(*Failure)) (*bookIndex, error) {
	key, err := DecodePublicKey(c.KeyholderKey)
	if err != nil {
		return nil, Unknown(FailKey, err, "the directory has no usable keyholder key for the cell")
	}
	if r.Cell() != c.ID {
		return nil, Fail(FailCell, "the book export is of cell %s, not %s", r.Cell(), c.ID)
	}
	b := &bookIndex{cell: c.ID, byLeaf: map[[32]byte]int32{}, destroys: map[[32]byte][]int32{}, chains: make([][32]byte, 1)}
	subjects := map[bonded.ID]subjectState{}
	last := map[uint16]RowRef{}
	for {
		raw, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		seq := uint64(len(b.rows)) + 1
		b.chains = append(b.chains, BookChain(b.chains[len(b.chains)-1], raw))
		row, err := DecodeBookRow(raw)
		if err != nil {
			b.rows = append(b.rows, bookEntry{})
			report(Fail(FailBook, "row %d of the book is not in the format", seq))
			continue
		}
		if row.Seq != seq || row.Cell != c.ID {
			report(Fail(FailBook, "row %d of the book says it is row %d of cell %s", seq, row.Seq, row.Cell))
		}
		if row.Outcome != OutcomeAllowed && row.Outcome != OutcomeRefused {
			report(Fail(FailBook, "row %d of the book is neither allowed nor refused", seq))
		}
		b.add(row, raw, report)
		checkNumbering(row, subjects, report)
		if released(row) && row.Kind == BookUnlock {
			if l := last[row.Row.Node]; !after(row.Row, l) {
				report(Fail(FailReused, "row %d of the book released keys for row %s after it did for row %s", seq, row.Row, l))
			}
			last[row.Row.Node] = row.Row
		}
	}
	b.head = r.Head()
	switch h := b.head; {
	case h.Cell != c.ID || !h.Verify(key):
		report(Fail(FailHead, "the head of the book is not signed by the keyholder of the cell"))
	case h.Seq != uint64(len(b.rows)) || h.Chain != b.chains[len(b.chains)-1]:
		report(Fail(FailBook, "the %d rows of the book do not make its signed head of %d rows", len(b.rows), h.Seq))
	}
	return b, nil
}

// released reports whether a book row gave something away or destroyed it. A
// batch that was allowed with every item refused did neither.
func released(row *BookRow) bool {
	if row.Outcome != OutcomeAllowed {
		return false
	}
	return row.Kind == BookDestroy || row.Kind == BookUnlock && slices.ContainsFunc(row.Items, func(it BookItem) bool { return it.Code == "" })
}

// after reports whether a comes later than b in the stream of a vault node.
func after(a, b RowRef) bool {
	return a.Incarnation > b.Incarnation && a.Seq > b.Seq || a.Incarnation == b.Incarnation && a.Seq > b.Seq
}

func (b *bookIndex) add(row *BookRow, raw []byte, report func(*Failure)) {
	i := int32(len(b.rows)) //nolint:gosec // a book of 2^31 rows does not fit into memory
	if row.Kind != BookUnlock && row.Kind != BookDestroy {
		b.rows = append(b.rows, bookEntry{matched: true})
		return
	}
	b.rows = append(b.rows, bookEntry{bytes: raw})
	if row.RowLeaf == ([32]byte{}) {
		return // names no entry: stays unmatched
	}
	if row.Kind == BookDestroy {
		b.destroys[row.RowLeaf] = append(b.destroys[row.RowLeaf], i)
		return
	}
	if j, ok := b.byLeaf[row.RowLeaf]; ok {
		other, err := DecodeBookRow(b.rows[j].bytes)
		if err == nil && released(other) && released(row) {
			report(Fail(FailReused, "rows %d and %d of the book released keys for the same entry", j+1, i+1))
		}
		if err == nil && released(other) {
			// Keep the release; a refusal beside it is matched by it.
			b.rows[i].matched = !released(row)
			return
		}
		b.rows[j].matched = true
	}
	b.byLeaf[row.RowLeaf] = i
}

// checkNumbering checks the numbers of a row's items: each subject's releases
// count 1, 2, 3 … over the whole book.
func checkNumbering(row *BookRow, subjects map[bonded.ID]subjectState, report func(*Failure)) {
	for i := range row.Items {
		it := &row.Items[i]
		if it.Subject.IsZero() {
			continue
		}
		name := bonded.SubjectID{Cell: row.Cell, ID: it.Subject}
		s := subjects[it.Subject]
		switch {
		case row.Kind == BookDestroy && row.Outcome == OutcomeAllowed:
			if s.destroyed {
				report(Fail(FailReused, "row %d of the book destroyed %s a second time", row.Seq, name))
			}
			s.destroyed = true
		case row.Kind == BookUnlock && row.Outcome == OutcomeAllowed && it.Code == "":
			if s.destroyed {
				report(Fail(FailAfterDestroy, "row %d of the book released keys of %s after it was destroyed", row.Seq, name))
			}
			if it.N != s.n+1 {
				report(Fail(FailNumbering, "row %d of the book numbers a release of %s as %d; the one before was %d", row.Seq, name, it.N, s.n))
			}
			s.n = it.N
		case it.N != 0:
			report(Fail(FailNumbering, "row %d of the book numbers a refusal", row.Seq))
		}
		subjects[it.Subject] = s
	}
}

// mismatch compares every field that a release shares with its entry and
// returns the name of the first that differs, or "". An orphan stands for the
// row it refers to.
func mismatch(row *Row, b *BookRow) string {
	ref := row.RowRef
	if row.Outcome == OutcomeOrphan {
		ref = row.Refers
	}
	switch {
	case row.Cell != b.Cell:
		return "cell"
	case ref != b.Row:
		return "row"
	case row.Purpose != b.Purpose:
		return "purpose"
	case row.Reason != b.Reason:
		return "reason"
	}
	if b.Kind == BookDestroy {
		return destroyMismatch(row, b)
	}
	switch {
	case row.Operation != b.Operation:
		return "operation"
	case row.Principal != b.Principal:
		return "principal"
	}
	switch {
	case row.Collection != b.Collection:
		return "collection"
	case row.Basis != b.Basis:
		return "basis"
	case row.Resolved != b.Resolved:
		return "resolved"
	case len(row.Items) != len(b.Items):
		return "items"
	}
	if b.Outcome == OutcomeAllowed {
		switch {
		case row.Assurance != b.Assurance:
			return "assurance"
		case row.Digest != b.Digest:
			return "digest"
		case row.Policy != b.Policy:
			return "policy"
		}
	}
	for i := range row.Items {
		if f := itemMismatch(&row.Items[i], &b.Items[i]); f != "" {
			return f
		}
	}
	return ""
}

// destroyMismatch compares what the row of a destruction shares with its entry:
// an erasure, or a retention run over several subjects. A job may carry out
// what another principal ordered.
func destroyMismatch(row *Row, b *BookRow) string {
	switch {
	case row.Operation != OpErase && row.Operation != OpRetention:
		return "operation"
	case row.Principal != b.Principal && b.Assurance != AssuranceJob:
		return "principal"
	case len(b.Items) != 1 || !slices.ContainsFunc(row.Items, func(it RowItem) bool { return it.Subject == b.Items[0].Subject }):
		return "subject"
	}
	return ""
}

func itemMismatch(a *RowItem, b *BookItem) string {
	switch {
	case a.Subject != b.Subject:
		return "subject"
	case a.Record != b.Record:
		return "record"
	case len(a.Fields) != len(b.Fields):
		return "fields"
	case len(a.Index) != len(b.Index):
		return "index"
	}
	for i := range a.Fields {
		if a.Fields[i] != b.Fields[i].Name {
			return "fields"
		}
	}
	for i := range a.Index {
		if a.Index[i] != b.Index[i] {
			return "index"
		}
	}
	return ""
}
