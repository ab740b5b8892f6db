package verify

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"slices"
)

// MaxFindings is how many faults a [ReconcileReport] lists; it counts all.
const MaxFindings = 200

// ReconcileOptions are what [Reconcile] may be given beside the two books. The
// zero value is ready to use.
type ReconcileOptions struct {
	// Ledger fetches files of the cell's ledger, as for [CheckLog]. Nil means
	// that anchors are held against their own proofs, as far as they have any.
	Ledger func(path string) ([]byte, error)

	// Previous is an earlier checkpoint of the ledger, as for [CheckLog]. Nil
	// means there is none.
	Previous *Checkpoint

	// Anchored asks that the ledger shows every anchor, that an anchor covers
	// every row, and that the book reaches every head in an anchor: otherwise
	// the answer is [CannotTell].
	Anchored bool

	// Progress is called with the journal rows done so far. Nil means none.
	Progress func(rows uint64)

	// Release is called with each release of keys that has its entry, in no
	// order. Nil means none.
	Release func(*BookRow)
}

// A Tally counts key releases and the items in them.
type Tally struct {
	Releases uint64 `json:"releases"`
	Items    uint64 `json:"items"` // items released; refused ones of a batch do not count
}

// A ReconcileReport is what both books together say.
type ReconcileReport struct {
	Rows, Segments, Anchors uint64 // of the journal
	BookRows                uint64

	Matched    uint64 // releases with their entry
	Orphans    uint64 // releases whose entry was lost and is named by an orphan; they count as openings
	Destroyed  uint64 // destroyed subject keys with their entry
	Refused    uint64 // refusals of the keyholder that an entry asked for
	Unrepeated uint64 // of these, refusals that no second row of the journal repeats
	LostAsk    uint64 // refusals of the keyholder for a row that is not in the journal; nothing was released

	ReleasedWithoutEntry uint64 // must be 0
	WithoutRelease       uint64 // entries that asked for keys and got no answer that the book knows
	Unanswered           uint64 // of these, entries that a second row says were unanswered
	Pending              uint64 // of these, entries after the last one the book answers: it may have been exported before them

	// Releases by how the asker was known, and, across these, those whose items
	// the vault chose. Cases are releases through the front door.
	Proven, Asserted, Jobs, Cases, Resolved Tally

	AnchoredRows uint64 // rows that an anchor of the journal covers
	Unanchored   uint64 // rows after them
	ProvenInLog  int64  // anchors shown to be in the ledger
	NewerAnchors int64  // anchors of the ledger after the last one of the export
	AnchoredBook uint64 // the last row of the book that an anchor shows; over BookRows, the book is cut off or older than the journal
	Ledger       *CellLedgerReport

	Findings []*Failure // the first MaxFindings faults
	Faults   uint64     // all of them
}

// rowInfo is what is kept of each journal row.
type rowInfo struct {
	asked  bool // asks for keys and was allowed
	found  bool // the book answers it
	second Outcome
	pos    uint64
}

// A reconciler is one run.
type reconciler struct {
	rep  *ReconcileReport
	opts ReconcileOptions
	cell *DirectoryCell
	node uint16
	book *bookIndex

	rows     map[RowRef]rowInfo
	orphans  map[RowRef]*Row // by the row they refer to
	segments segmentChain
	anchors  anchorChain
	undos    undoChain
	lastHit  uint64 // position of the last row that the book answers
}

// Reconcile holds the journal against the keyholder's book: every release must
// have its entry, and both must say the same. It checks both chains, every
// segment and anchor, the numbering of each subject's releases, and, if the
// ledger is given, that it holds every anchor.
//
// Export the book first and the journal after it: then every release in the
// book has its entry in the journal.
//
// The report is never nil. The error is a [Failure]: the first fault, with
// verdict [DoesNotHold]; or [CannotTell] when an export is cut off or
// malformed, a ledger file is missing, or more was asked than there is. Entries
// without a release, a tail that is not yet anchored, and a book that ends
// before a head in an anchor are no fault: nothing but the keyholder's clock
// could tell a book that was cut from one that was exported earlier.
//
// It holds the book and some 100 bytes for each row of the journal in memory.
func Reconcile(journal *JournalReader, book *BookReader, cell *DirectoryCell, opts ReconcileOptions) (*ReconcileReport, error) {
	x := &reconciler{
		rep: &ReconcileReport{}, opts: opts, cell: cell, node: journal.Node(),
		rows: map[RowRef]rowInfo{}, orphans: map[RowRef]*Row{},
	}
	if journal.Cell() != cell.ID {
		return x.rep, Fail(FailCell, "the journal export is of cell %s, not %s", journal.Cell(), cell.ID)
	}

	// 1. The ledger, if it is given, and the keys.
	if err := x.readLedger(); err != nil {
		return x.rep, err
	}

	// 2. The keyholder's book, in itself.
	var err error
	if x.book, err = readBook(book, cell, x.report); err != nil {
		return x.rep, err
	}
	x.rep.BookRows = uint64(len(x.book.rows))

	// 3. The journal: rows, segments and anchors, each row against the book.
	if err := x.readJournal(journal); err != nil {
		return x.rep, err
	}

	// 4. What is left over on either side.
	x.leftInBook()
	x.leftInJournal()
	x.undos.check(x.rows, x.report)

	// 5. The answer.
	return x.rep, x.answer()
}

// CheckJournal checks an exported journal in itself, without the keyholder's
// book: rows, segments, anchors, and, if the ledger is given, that it holds
// every anchor. Report and errors are as of [Reconcile]; what needs the book
// stays zero.
func CheckJournal(journal *JournalReader, cell *DirectoryCell, opts ReconcileOptions) (*ReconcileReport, error) {
	x := &reconciler{
		rep: &ReconcileReport{}, opts: opts, cell: cell, node: journal.Node(),
		rows: map[RowRef]rowInfo{}, orphans: map[RowRef]*Row{}, book: new(bookIndex),
	}
	if journal.Cell() != cell.ID {
		return x.rep, Fail(FailCell, "the journal export is of cell %s, not %s", journal.Cell(), cell.ID)
	}
	if err := x.readLedger(); err != nil {
		return x.rep, err
	}
	x.anchors.onHead = nil
	if err := x.readJournal(journal); err != nil {
		return x.rep, err
	}
	return x.rep, x.answer()
}

func (x *reconciler) report(f *Failure) {
	x.rep.Faults++
	if len(x.rep.Findings) < MaxFindings {
		x.rep.Findings = append(x.rep.Findings, f)
	}
}

func (x *reconciler) readLedger() error {
	vkey, policy, err := cellLog(x.cell)
	if err != nil {
		return err
	}
	key, err := DecodePublicKey(x.cell.KeyholderKey)
	if err != nil {
		return Unknown(FailKey, err, "the directory has no usable keyholder key for the cell")
	}
	x.anchors = anchorChain{cell: x.cell.ID, key: key, vkey: vkey, policy: policy, onHead: x.checkHead}
	x.segments = segmentChain{cell: x.cell.ID, node: x.node, report: x.report}
	if x.opts.Ledger == nil {
		return nil
	}
	rep, err := CheckCellLedger(x.opts.Ledger, x.cell, LogOptions{Previous: x.opts.Previous})
	x.rep.Ledger = rep
	if err != nil {
		if f := FailureOf(err); f == nil || f.Verdict == CannotTell {
			return err
		}
		x.report(FailureOf(err))
	}
	if rep.Checkpoint != nil {
		x.anchors.ledger, x.anchors.hasLedger, x.anchors.treeSize = rep.anchors, true, rep.Checkpoint.Size
	}
	return nil
}

// checkHead holds a head from an anchor against the book. One beyond its end is
// noted, whatever the keyholder's clock said.
func (x *reconciler) checkHead(h *Head) *Failure {
	x.rep.AnchoredBook = max(x.rep.AnchoredBook, h.Seq)
	if b := x.book; h.Seq < uint64(len(b.chains)) && h.Chain != b.chains[h.Seq] {
		return Fail(FailHead, "the book is not the one whose head it shows: row %d or one before it was altered", h.Seq)
	}
	return nil
}

func (x *reconciler) readJournal(j *JournalReader) error {
	for {
		e, err := j.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case e.Row != nil:
			x.row(e.Row)
			x.rep.Rows++
			if x.opts.Progress != nil && x.rep.Rows%4096 == 0 {
				x.opts.Progress(x.rep.Rows)
			}
		case e.Segment != nil:
			x.segments.add(e.Segment)
			x.rep.Segments++
		default:
			hashes, last := x.segments.covered(e.Anchor)
			x.anchors.add(e.Anchor, hashes, last, x.report)
			x.rep.Anchors++
		}
	}
	x.rep.AnchoredRows = min(x.segments.anchoredRows, x.rep.Rows)
	x.rep.Unanchored = x.rep.Rows - x.rep.AnchoredRows
	x.rep.ProvenInLog = x.anchors.proven
	if a := &x.anchors; a.hasLedger && a.n < int64(len(a.ledger)) {
		x.rep.NewerAnchors = int64(len(a.ledger)) - a.n
	}
	return nil
}

// row takes one row of the journal: its leaf, its name, and its release.
func (x *reconciler) row(jr *JournalRow) {
	row, err := DecodeRow(jr.Row)
	if err != nil {
		x.report(Fail(FailRow, "the row at position %d is not in the format", jr.Position))
		x.segments.row(jr.Position, [32]byte{})
		return
	}
	leaf := RowLeaf(row, jr.Salt)
	x.segments.row(jr.Position, leaf)
	if row.Cell != x.cell.ID || row.Node != x.node {
		x.report(Fail(FailRow, "row %s at position %d is of cell %s and node %d", row.RowRef, jr.Position, row.Cell, row.Node))
	}
	info := x.rows[row.RowRef]
	if info.pos != 0 {
		x.report(Fail(FailReused, "row %s stands at positions %d and %d of the journal", row.RowRef, info.pos, jr.Position))
	}
	info.pos = jr.Position
	info.asked = row.Operation.Unlocks() && row.Outcome == OutcomeAllowed
	if i, ok := x.book.byLeaf[leaf]; ok {
		x.match(row, int(i), jr.Position)
		info.found = true
		x.lastHit = max(x.lastHit, jr.Position)
	}
	for _, i := range x.book.destroys[leaf] {
		x.match(row, int(i), jr.Position)
		x.lastHit = max(x.lastHit, jr.Position)
	}
	x.rows[row.RowRef] = info
	x.second(row, jr.Position)
	x.undos.row(row, jr.Position)
}

// second notes what a row says about the row it refers to.
func (x *reconciler) second(row *Row, pos uint64) {
	switch row.Outcome {
	case OutcomeOrphan:
		if _, ok := x.orphans[row.Refers]; ok {
			x.report(Fail(FailOrphan, "two orphans name row %s", row.Refers))
		}
		x.orphans[row.Refers] = row
		x.lastHit = max(x.lastHit, pos)
	case OutcomeRefused, OutcomeConflict, OutcomeUnanswered:
		if row.Refers != (RowRef{}) {
			info := x.rows[row.Refers]
			info.second = row.Outcome
			x.rows[row.Refers] = info
		}
	case OutcomeAllowed, OutcomeAggregate:
	}
}

// match compares the entry at a position with its row of the book and counts
// it.
func (x *reconciler) match(row *Row, i int, pos uint64) {
	e := &x.book.rows[i]
	b, err := DecodeBookRow(e.bytes)
	if err != nil {
		return // reported when the book was read
	}
	e.matched = true
	if f := mismatch(row, b); f != "" {
		x.report(Fail(FailMismatch, "row %s of the journal and row %d of the book differ in %s", row.RowRef, b.Seq, f))
	}
	switch {
	case !released(b):
		x.rep.Refused++
		e.bytes = nil
		return
	case row.Outcome != OutcomeAllowed && row.Outcome != OutcomeOrphan:
		x.report(Fail(FailMismatch, "row %s of the journal says %s, but row %d of the book released keys for it", row.RowRef, row.Outcome, b.Seq))
	}
	x.tally(b, row.Outcome == OutcomeOrphan)
	if b.Kind == BookDestroy {
		x.undos.destroyed(b, pos)
	}
	e.bytes = nil
}

// tally counts one release that has an entry.
func (x *reconciler) tally(b *BookRow, orphan bool) {
	switch {
	case b.Kind == BookDestroy:
		x.rep.Destroyed++
		return
	case orphan:
		x.rep.Orphans++
	default:
		x.rep.Matched++
	}
	if x.opts.Release != nil {
		x.opts.Release(b)
	}
	var items uint64
	for i := range b.Items {
		if b.Items[i].Code == "" {
			items++
		}
	}
	add := func(t *Tally) {
		t.Releases++
		t.Items += items
	}
	switch b.Assurance {
	case AssuranceProven, AssuranceSubject:
		add(&x.rep.Proven)
	case AssuranceJob:
		add(&x.rep.Jobs)
	case AssuranceCase:
		add(&x.rep.Cases)
	case AssuranceNone, AssuranceVault:
		add(&x.rep.Asserted)
	}
	if b.Resolved {
		add(&x.rep.Resolved)
	}
}

// leftInBook goes through the releases that no entry matched by its leaf.
func (x *reconciler) leftInBook() {
	used := map[RowRef]bool{}
	for i := range x.book.rows {
		e := &x.book.rows[i]
		if e.matched || e.bytes == nil {
			continue
		}
		b, err := DecodeBookRow(e.bytes)
		if err != nil {
			continue // reported when the book was read
		}
		if o := x.orphans[b.Row]; o != nil && b.Outcome == OutcomeAllowed && (!used[b.Row] || b.Kind == BookDestroy) {
			used[b.Row] = true
			if f := mismatch(o, b); f != "" {
				x.report(Fail(FailMismatch, "orphan %s of the journal and row %d of the book differ in %s", o.RowRef, b.Seq, f))
			}
			x.tally(b, true)
			if b.Kind == BookDestroy {
				x.undos.destroyed(b, 0)
			}
			continue
		}
		if !released(b) {
			x.rep.LostAsk++
			continue
		}
		x.rep.ReleasedWithoutEntry++
		what := "released keys for"
		if b.Kind == BookDestroy {
			what = "destroyed a key for"
		}
		if x.rows[b.Row].pos != 0 {
			x.report(Fail(FailReleased, "row %d of the book %s row %s, but the journal holds another row under that number", b.Seq, what, b.Row))
			continue
		}
		x.report(Fail(FailReleased, "row %d of the book %s row %s, which is not in the journal", b.Seq, what, b.Row))
	}
	for _, ref := range sortedRefs(x.orphans) {
		o := x.orphans[ref]
		switch {
		case x.rows[ref].pos != 0:
			x.report(Fail(FailOrphan, "orphan %s names row %s, which is in the journal", o.RowRef, ref))
		case !used[ref]:
			x.report(Fail(FailOrphan, "orphan %s names row %s, for which the book released nothing", o.RowRef, ref))
		}
	}
}

// leftInJournal goes through the entries that the book does not answer.
func (x *reconciler) leftInJournal() {
	refused := uint64(0)
	dangling := map[RowRef]bool{}
	for ref, info := range x.rows {
		switch {
		case info.pos == 0:
			dangling[ref] = true
		case info.found && info.second == OutcomeRefused:
			refused++
		case info.asked && !info.found:
			x.rep.WithoutRelease++
			switch {
			case info.second == OutcomeUnanswered:
				x.rep.Unanswered++
			case info.pos > x.lastHit:
				x.rep.Pending++
			}
		}
	}
	for _, ref := range sortedRefs(dangling) {
		x.report(Fail(FailMissingRow, "a row of the journal names row %s, which is not there", ref))
	}
	x.rep.Unrepeated = x.rep.Refused - min(refused, x.rep.Refused)
}

// sortedRefs returns the keys of m in order, so that two runs say the same.
func sortedRefs[V any](m map[RowRef]V) []RowRef {
	return slices.SortedFunc(maps.Keys(m), func(a, b RowRef) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Incarnation, b.Incarnation))
	})
}

func (x *reconciler) answer() error {
	if len(x.rep.Findings) > 0 {
		return x.rep.Findings[0]
	}
	if !x.opts.Anchored {
		return nil
	}
	switch {
	case x.rep.AnchoredBook > x.rep.BookRows:
		return Unknown(FailMissing, nil, "the book ends at row %d, but an anchor shows its row %d: ask for a newer export of the book", x.rep.BookRows, x.rep.AnchoredBook)
	case x.rep.ProvenInLog < int64(x.rep.Anchors): //nolint:gosec // a count of lines
		return Unknown(FailMissing, nil, "%d of %d anchors are not shown to be in the ledger", int64(x.rep.Anchors)-x.rep.ProvenInLog, x.rep.Anchors) //nolint:gosec // as above
	case x.rep.Unanchored > 0:
		return Unknown(FailMissing, nil, "%d rows at the end of the journal are not anchored yet", x.rep.Unanchored)
	}
	return nil
}
