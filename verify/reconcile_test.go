package verify_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bonded"
	"bonded/verify"
)

type lines = []verify.JournalEntry

func reconcile(t *testing.T, h *history, opts verify.ReconcileOptions, j func(lines) lines, b func([][]byte) [][]byte) (*verify.ReconcileReport, error) {
	t.Helper()
	jr, err := verify.NewJournalReader(bytes.NewReader(h.journal(j)))
	if err != nil {
		t.Fatal(err)
	}
	br, err := verify.NewBookReader(bytes.NewReader(h.bookExport(b)))
	if err != nil {
		t.Fatal(err)
	}
	return verify.Reconcile(jr, br, h.dirCell(), opts)
}

const honest = "^ Ca Cb | Ra Rb@ F& ^ Ba+b | Rb! Ra? Ra= Rb* | ^ ^ Ea Cc"

func TestReconcileHoldsForAnHonestHistory(t *testing.T) {
	h := newHistory(t, honest)
	r, err := reconcile(t, h, verify.ReconcileOptions{Ledger: h.log().fetch}, nil, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(r.Sentences(), "\n"))
	}
	got := []uint64{r.Matched, r.Orphans, r.Destroyed, r.Refused, r.Unrepeated, r.WithoutRelease, r.Unanswered, r.Pending, r.ReleasedWithoutEntry, r.Proven.Releases, r.Asserted.Releases, r.Resolved.Releases, r.Proven.Items}
	want := []uint64{7, 1, 1, 1, 0, 2, 1, 0, 0, 7, 1, 1, 8}
	if !slices.Equal(got, want) {
		t.Errorf("counts %d, want %d\n%s", got, want, strings.Join(r.Sentences(), "\n"))
	}
	if r.Anchors != 4 || r.ProvenInLog != 4 || r.Unanchored != 2 {
		t.Errorf("%d anchors, %d in the ledger, %d rows unanchored", r.Anchors, r.ProvenInLog, r.Unanchored)
	}
}

func TestReconcileNamesWhatWentWrong(t *testing.T) {
	drop := func(match func(verify.JournalEntry) bool) func(lines) lines {
		return func(l lines) lines { return slices.DeleteFunc(l, match) }
	}
	segment := func(n uint64) func(verify.JournalEntry) bool {
		return func(e verify.JournalEntry) bool {
			s, err := verify.DecodeSegment(e.Segment)
			return err == nil && s.Number == n
		}
	}
	swap := func(i, j int) func([][]byte) [][]byte {
		return func(b [][]byte) [][]byte { b[i], b[j] = b[j], b[i]; return b }
	}
	const three = "Ca | Ra | Ra | ^ Ra | ^ Ra | ^"
	for _, c := range []struct {
		name, history, code, says string
		journal                   func(lines) lines
		book                      func([][]byte) [][]byte
	}{
		{"a skipped row", "Ca Ra- | ^", verify.FailReleased, "row 2 of the book released keys for row 1.1.2, which is not in the journal", nil, nil},
		{"a hidden orphan", "Ca Ra Ra- Ra | ^", verify.FailReleased, "row 1.1.3", nil, nil},
		{"an extra release", "Ca Ra2 | ^", verify.FailReused, "rows 2 and 3 of the book", nil, nil},
		{"a row entered twice", "Ca Ra$ | ^", verify.FailReused, "row 1.1.2 stands at positions 2 and 3", nil, nil},
		{"a renumbered subject", "Ca Ra# Ra | ^", verify.FailNumbering, "as 3; the one before was 1", nil, nil},
		{"a release after destruction", "Ca Ea Ra | ^", verify.FailAfterDestroy, "after it was destroyed", nil, nil},
		{"an altered reason in the journal", "Ca Ra% | ^", verify.FailRootOfSegment, "segment 1 is not made of the rows at positions 1 to 2", nil, nil},
		{"a missing segment", three, verify.FailMissingSegment, "segment 2 is missing from the journal", drop(segment(2)), nil},
		{"a missing last segment", three, verify.FailMissingSegment, "segment 5 is missing", drop(segment(5)), nil},
		{"swapped segments", three, verify.FailMissingSegment, "segment 2 is missing", func(l lines) lines {
			i, j := slices.IndexFunc(l, segment(2)), slices.IndexFunc(l, segment(3))
			l[i], l[j] = l[j], l[i]
			return l
		}, nil},
		{"a missing row", three, verify.FailMissingRow, "rows of segment 2 are missing from the journal: it holds positions 2 to 2", drop(func(e verify.JournalEntry) bool { return e.Row != nil && e.Row.Position == 2 }), nil},
		{"a gap in the middle of a segment", "Ca Ra Ra | Ra | ^", verify.FailMissingRow, "row 2 is missing from the journal", drop(func(e verify.JournalEntry) bool { return e.Row != nil && e.Row.Position == 2 }), nil},
		{"a row out of order", "Ca Ra Ra | ^", verify.FailMissingRow, "rows 1 to 2 are missing", func(l lines) lines { l[0], l[2] = l[2], l[0]; return l }, nil},
		{"a huge position", "Ca Ra | ^", verify.FailMissingRow, "rows 2 to 18446744073709551614 are missing", func(l lines) lines {
			r := *l[1].Row
			r.Position = 1<<64 - 1
			l[1].Row = &r
			return l
		}, nil},
		{"a huge anchor", "Ca Ra | ^", verify.FailMissingSegment, "covers segments 1 to 18446744073709551615", func(l lines) lines {
			a := *l[3].Anchor
			a.Last = 1<<64 - 1
			l[3].Anchor = &a
			return l
		}, nil},
		{"swapped rows", "Ca Ra Rb | ^", verify.FailRootOfSegment, "segment 1", func(l lines) lines {
			a, b := *l[1].Row, *l[2].Row
			a.Position, b.Position = b.Position, a.Position
			l[1].Row, l[2].Row = &b, &a
			return l
		}, nil},
		{"a missing anchor", three, verify.FailMissingSegment, "covers segments 5 to 5, but the one before it ended at 3", drop(func(e verify.JournalEntry) bool { return e.Anchor != nil && e.Anchor.Index == 2 }), nil},
		{"a missing empty anchor", "Ca | ^ ^ Ra | ^", verify.FailAnchorChain, "the anchor chain is broken", drop(func(e verify.JournalEntry) bool { return e.Anchor != nil && e.Anchor.Index == 2 }), nil},
		{"swapped rows of the book", "Ca Ra Ra | ^", verify.FailBook, "row 2 of the book says it is row 3", nil, swap(1, 2)},
		{"a book without its last row", "Ca Ra Ra | ^", verify.FailBook, "do not make its signed head", nil, func(b [][]byte) [][]byte { return b[:2] }},
		{"an altered row of the book", "Ca Ra Ra | ^", verify.FailBook, "do not make its signed head", nil, func(b [][]byte) [][]byte {
			r, _ := verify.DecodeBookRow(b[1])
			r.Reason = "another"
			b[1] = verify.EncodeBookRow(r)
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t, c.history)
			r, err := reconcile(t, h, verify.ReconcileOptions{Ledger: h.log().fetch}, c.journal, c.book)
			wantFailure(t, err, verify.DoesNotHold, c.code)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v\n%s", err, strings.Join(r.Sentences(), "\n"))
			}
		})
	}
}

func TestReconcileNamesTheFieldThatDiffers(t *testing.T) {
	for field, alter := range map[string]func(*verify.BookRow){
		"operation":  func(b *verify.BookRow) { b.Operation = verify.OpMask },
		"collection": func(b *verify.BookRow) { b.Collection = "payments" },
		"purpose":    func(b *verify.BookRow) { b.Purpose = "fraud" },
		"reason":     func(b *verify.BookRow) { b.Reason = "none" },
		"basis":      func(b *verify.BookRow) { b.Basis = "" },
		"principal":  func(b *verify.BookRow) { b.Principal = "svc-other" },
		"assurance":  func(b *verify.BookRow) { b.Assurance = verify.AssuranceVault },
		"resolved":   func(b *verify.BookRow) { b.Resolved = true },
		"digest":     func(b *verify.BookRow) { b.Digest[0] ^= 1 },
		"policy":     func(b *verify.BookRow) { b.Policy[0] ^= 1 },
		"row":        func(b *verify.BookRow) { b.Row.Seq += 7 },
		"items":      func(b *verify.BookRow) { b.Items = append(b.Items, verify.BookItem{Code: "withheld"}) },
		"subject":    func(b *verify.BookRow) { b.Items[0].Subject, b.Items[0].N = id("subject z"), 1 },
		"record":     func(b *verify.BookRow) { b.Items[0].Record[0] ^= 1 },
		"fields":     func(b *verify.BookRow) { b.Items[0].Fields[0].Name = "iban" },
		"index":      func(b *verify.BookRow) { b.Items[0].Index = []string{"email"} },
	} {
		t.Run(field, func(t *testing.T) {
			h := newHistory(t, "Ca")
			h.act("Ra")
			b, err := verify.DecodeBookRow(h.book[1])
			if err != nil {
				t.Fatal(err)
			}
			alter(b)
			h.book, h.chain = h.book[:1], verify.BookChain([32]byte{}, h.book[0])
			h.addBook(b)
			h.seal()
			h.anchor()
			_, err = reconcile(t, h, verify.ReconcileOptions{}, nil, nil)
			wantFailure(t, err, verify.DoesNotHold, verify.FailMismatch)
			if !strings.HasSuffix(err.Error(), "differ in "+field) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// One retention run orders the destruction of several subjects.
func TestReconcileMatchesSeveralDestructionsWithOneEntry(t *testing.T) {
	h := newHistory(t, "Ca Cb Cc Ea+b")
	row, err := verify.DecodeRow(h.rows[3].Row)
	if err != nil {
		t.Fatal(err)
	}
	destroy := func(principal string, assurance verify.Assurance, subject string, outcome verify.Outcome) {
		h.bookSeq++
		b := &verify.BookRow{
			Seq: h.bookSeq, Kind: verify.BookDestroy, Cell: h.cell, Row: row.RowRef, RowLeaf: verify.RowLeaf(row, h.rows[3].Salt), Operation: verify.OpErase,
			Outcome: outcome, Principal: principal, Assurance: assurance, Purpose: row.Purpose, Reason: row.Reason,
			Items: []verify.BookItem{{Subject: id("subject " + subject)}},
		}
		h.addBook(b)
	}
	// What act made of it is one row for both: the keyholder writes one each.
	h.book, h.bookSeq, h.chain = h.book[:3], 3, [32]byte{}
	for _, r := range h.book {
		h.chain = verify.BookChain(h.chain, r)
	}
	destroy("svc-orders", verify.AssuranceProven, "a", verify.OutcomeRefused)
	destroy("job-erase", verify.AssuranceJob, "a", verify.OutcomeAllowed)
	destroy("svc-orders", verify.AssuranceProven, "b", verify.OutcomeAllowed)
	r, err := reconcile(t, h, verify.ReconcileOptions{}, nil, nil)
	if err != nil || r.Destroyed != 2 || r.Refused != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	destroy("svc-orders", verify.AssuranceProven, "c", verify.OutcomeAllowed)
	_, err = reconcile(t, h, verify.ReconcileOptions{}, nil, nil)
	wantFailure(t, err, verify.DoesNotHold, verify.FailMismatch)
}

// An erasure that was taken back orders no destruction any more; a second one
// does, and so does one whose undo failed.
func TestReconcileFindsADestructionThatWasTakenBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		refers bool           // the undo names the erasure
		failed bool           // a second row says that the undo failed
		twice  bool           // erased again after the undo
		other  string         // whom the undo names; "" for the one erased
		refuse verify.Outcome // of the undo, if not allowed
		want   verify.Verdict
	}{
		{name: "taken back by name", refers: true, want: verify.DoesNotHold},
		{name: "taken back", want: verify.DoesNotHold},
		{name: "an undo that failed", refers: true, failed: true},
		{name: "an undo that was refused", refers: true, refuse: verify.OutcomeRefused},
		{name: "erased again", refers: true, twice: true},
		{name: "erased again, unnamed", twice: true},
		{name: "another subject", other: "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t, "Ca Cb")
			order := func(op verify.Operation, subject string, edit func(*verify.Row)) *verify.Row {
				h.seq++
				row := h.newRow(op, subject)
				row.Items[0].Record, row.Items[0].Fields = bonded.ID{}, nil
				if edit != nil {
					edit(row)
				}
				h.enter(row, salt(fmt.Sprint("row ", h.seq)))
				return row
			}
			erasure := order(verify.OpErase, "a", nil)
			undo := order(verify.OpEraseUndo, cmp.Or(c.other, "a"), func(r *verify.Row) {
				r.Outcome = cmp.Or(c.refuse, verify.OutcomeAllowed)
				if c.refers {
					r.Refers = erasure.RowRef
				}
			})
			if c.failed {
				order(verify.OpEraseUndo, "a", func(r *verify.Row) { r.Outcome, r.Refers = verify.OutcomeConflict, undo.RowRef })
			}
			if c.twice {
				erasure = order(verify.OpErase, "a", nil)
			}
			h.release(erasure, verify.RowLeaf(erasure, salt(fmt.Sprint("row ", erasure.Seq))), 0)
			h.seal()
			h.anchor()
			r, err := reconcile(t, h, verify.ReconcileOptions{Ledger: h.log().fetch, Anchored: true}, nil, nil)
			if r.Destroyed != 1 || verify.VerdictOf(err) != c.want {
				t.Fatalf("%v %+v", err, r)
			}
			if f := verify.FailureOf(err); f != nil && (f.Code != verify.FailUndone || f.Message != "row 3 of the book destroyed a key for row 1.1.3, but row 1.1.4 of the journal took that erasure back") {
				t.Errorf("says %s: %v", f.Code, f)
			}
		})
	}
}

// A batch whose every item was refused released nothing, entered or not.
func TestReconcileDoesNotCountABatchOfRefusals(t *testing.T) {
	h := newHistory(t, "Ca")
	for _, lost := range []bool{false, true} {
		h.seq++
		row := h.newRow(verify.OpRead, "a+b")
		s := salt("batch")
		h.release(row, verify.RowLeaf(row, s), '!')
		b, err := verify.DecodeBookRow(h.book[len(h.book)-1])
		if err != nil {
			t.Fatal(err)
		}
		h.book, h.bookSeq = h.book[:len(h.book)-1], h.bookSeq-1
		b.Outcome, b.Code = verify.OutcomeAllowed, ""
		b.Items[0].Code, b.Items[1].Code = "withheld", "withheld"
		h.chain = [32]byte{}
		for _, r := range h.book {
			h.chain = verify.BookChain(h.chain, r)
		}
		h.bookSeq++
		h.addBook(b)
		if !lost {
			h.enter(row, s)
		}
	}
	r, err := reconcile(t, h, verify.ReconcileOptions{}, nil, nil)
	if err != nil || r.Matched != 1 || r.Refused != 1 || r.LostAsk != 1 || r.ReleasedWithoutEntry != 0 {
		t.Fatalf("%v %+v", err, r)
	}
}

func TestReconcileCountsARowThatHidesUnderAnotherNumber(t *testing.T) {
	h := newHistory(t, "Ca Ra | ^")
	row, _ := verify.DecodeRow(h.rows[1].Row)
	row.Reason = "rewritten before it was anchored"
	h2 := newHistory(t, "Ca")
	h2.book, h2.chain, h2.bookSeq = h.book, h.chain, h.bookSeq
	h2.enter(row, h.rows[1].Salt)
	h2.seal()
	h2.anchor()
	r, err := reconcile(t, h2, verify.ReconcileOptions{}, nil, nil)
	wantFailure(t, err, verify.DoesNotHold, verify.FailReleased)
	if r.ReleasedWithoutEntry != 1 || !strings.Contains(err.Error(), "holds another row under that number") {
		t.Errorf("%d %v", r.ReleasedWithoutEntry, err)
	}
}

func TestReconcileFindsATamperedTile(t *testing.T) {
	h := newHistory(t, "Ca | ^ Ra | ^")
	l := h.log()
	l.files["tile/0/000.p/3"][40] ^= 1
	_, err := reconcile(t, h, verify.ReconcileOptions{Ledger: l.fetch}, nil, nil)
	wantFailure(t, err, verify.DoesNotHold, verify.FailTile)
	if !strings.Contains(err.Error(), "tile/0/000.p/3") {
		t.Error(err)
	}
}

func TestReconcileFindsAnAnchorThatTheLedgerLacks(t *testing.T) {
	h := newHistory(t, "Ca | ^ Ra | ^")
	other := newHistory(t, "Ca | ^ Rb | ^")
	_, err := reconcile(t, h, verify.ReconcileOptions{Ledger: other.log().fetch}, nil, nil)
	wantFailure(t, err, verify.DoesNotHold, verify.FailAnchor)
	if !strings.Contains(err.Error(), "the ledger has another leaf there") {
		t.Error(err)
	}
}

// Nobody but the keyholder knows when it signed the head of an export: a book
// that lacks rows an anchor shows is never taken for a whole one.
func TestReconcileCannotTellFromABookWithItsTailCutOff(t *testing.T) {
	h := newHistory(t, "Ca Ra | ^ Ra Ra Ra | ^ ^ Ra | ^ ^")
	whole := h.book
	cut := newHistory(t, "Ca Ra")
	for name, at := range map[string]uint64{"before the anchors": 1, "after the anchors": 1_900_000_000_000} {
		head := cut.head()
		head.Time = at
		r, err := reconcileWithHead(t, h, whole[:2], head, verify.ReconcileOptions{Ledger: h.log().fetch, Anchored: true})
		wantFailure(t, err, verify.CannotTell, verify.FailMissing)
		if !strings.Contains(err.Error(), "the book ends at row 2, but an anchor shows its row 6") {
			t.Errorf("%s: says %v", name, err)
		}
		r2, err := reconcileWithHead(t, h, whole[:2], head, verify.ReconcileOptions{Ledger: h.log().fetch})
		if err != nil || r2.WithoutRelease != 4 || r2.Pending != 4 {
			t.Errorf("%s: %v %+v", name, err, r2)
		}
		for _, rep := range []*verify.ReconcileReport{r, r2} {
			if says := strings.Join(rep.Sentences(), "\n"); rep.AnchoredBook != 6 || !strings.Contains(says, "The book ends at row 2, but an anchor shows its row 6") {
				t.Errorf("%s: says %s", name, says)
			}
		}
	}
	if r, err := reconcileWithHead(t, h, whole, h.head(), verify.ReconcileOptions{Ledger: h.log().fetch, Anchored: true}); err != nil || r.AnchoredBook != 6 {
		t.Errorf("the whole book: %v", err)
	}
}

// reconcileWithHead takes the rows of the book and its head as they are given,
// and signs the head.
func reconcileWithHead(t *testing.T, h *history, rows [][]byte, head verify.Head, opts verify.ReconcileOptions) (*verify.ReconcileReport, error) {
	t.Helper()
	copy(head.Sig[:], signAs("keyholder", head.Message()))
	var b bytes.Buffer
	w, err := verify.NewBookWriter(&b, h.cell)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.WriteRow(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(&head); err != nil {
		t.Fatal(err)
	}
	jr, err := verify.NewJournalReader(bytes.NewReader(h.journal(nil)))
	if err != nil {
		t.Fatal(err)
	}
	br, err := verify.NewBookReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Reconcile(jr, br, h.dirCell(), opts)
}

func TestReconcileStrictlyCannotTellWithoutAnchors(t *testing.T) {
	h := newHistory(t, "Ca | ^ Ra")
	_, err := reconcile(t, h, verify.ReconcileOptions{Ledger: h.log().fetch, Anchored: true}, nil, nil)
	wantFailure(t, err, verify.CannotTell, verify.FailMissing)
	h = newHistory(t, "Ca | ^ Ra | ^")
	if _, err := reconcile(t, h, verify.ReconcileOptions{Ledger: h.log().fetch, Anchored: true}, nil, nil); err != nil {
		t.Error(err)
	}
	_, err = reconcile(t, h, verify.ReconcileOptions{Anchored: true}, nil, nil)
	wantFailure(t, err, verify.CannotTell, verify.FailMissing)
	// With a proof beside each anchor no ledger is needed.
	l := h.log()
	for i := range h.anch {
		h.anch[i].Proof = string(staticProof(t, l, int64(h.anch[i].Index), nil))
	}
	for i, e := range h.lines {
		if e.Anchor != nil {
			h.lines[i].Anchor = &h.anch[e.Anchor.Index-1]
		}
	}
	if _, err = reconcile(t, h, verify.ReconcileOptions{Anchored: true}, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestReconcileCannotTellFromACutExport(t *testing.T) {
	h := newHistory(t, honest)
	full := h.journal(nil)
	for i := range full[:len(full)-1] {
		if full[i] != '\n' {
			continue
		}
		jr, err := verify.NewJournalReader(bytes.NewReader(full[:i+1]))
		if err != nil {
			t.Fatal(err)
		}
		br, err := verify.NewBookReader(bytes.NewReader(h.bookExport(nil)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.Reconcile(jr, br, h.dirCell(), verify.ReconcileOptions{})
		wantFailure(t, err, verify.CannotTell, verify.FailMissing)
	}
}

func TestCheckJournalHoldsWithoutTheBook(t *testing.T) {
	h := newHistory(t, "Ca Ra | ^ Ra | ^")
	jr, err := verify.NewJournalReader(bytes.NewReader(h.journal(nil)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.CheckJournal(jr, h.dirCell(), verify.ReconcileOptions{Ledger: h.log().fetch})
	if err != nil || r.ProvenInLog != 2 || r.AnchoredRows != 3 {
		t.Errorf("%v %+v", err, r)
	}
}
