package vault

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/wire"
	"bonded/verify"
)

// History shows who opened a person's data, newest first, with the
// keyholder's own signed count.
func (v *Vault) History(ctx context.Context, call *Call, q *apitype.SubjectRequest) (*apitype.HistoryResult, error) {
	a, err := v.beginSubject(ctx, call, verify.OpHistory, q)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	var before uint64
	if q.After != "" {
		before, err = strconv.ParseUint(q.After, 10, 62)
	}
	if err != nil || limit < 1 || limit > apitype.MaxPage {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeInvalid, Field: "after", Message: "not a cursor of this history, or a limit outside 1 to 1,000"})
	}
	e, err := v.enter(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	count, err := v.cfg.Keys.SubjectCount(ctx, q.Subject.ID)
	if err != nil {
		return nil, v.lineError(err)
	}
	if count.Cell != v.cfg.Cell || count.Subject != q.Subject.ID || !count.Verify(v.cfg.KeyholderKey) {
		return nil, bonded.Errorf(bonded.CodeKeyholderRefused, "the keyholder's count is not signed by the key of the directory")
	}
	rows, err := v.journal.History(ctx, q.Subject.ID, before, limit+1)
	if err != nil {
		return nil, err
	}
	out := &apitype.HistoryResult{Subject: q.Subject, Releases: count.N, Count: wire.EncodeSubjectCount(count), Entry: e.Ref().String(), Entries: make([]apitype.HistoryEntry, 0, len(rows))}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Next = strconv.FormatUint(rows[limit-1].Position, 10)
	}
	for i := range rows {
		out.Entries = append(out.Entries, v.historyEntry(call.Grant, rows[i].Row, q.Subject.ID))
	}
	return out, nil
}

// historyEntry shows a row to a principal. Of an entry that names what its
// grant does not cover it shows that it was, and not why or on what.
func (v *Vault) historyEntry(g *grant.Grant, r *verify.Row, subject bonded.ID) apitype.HistoryEntry {
	e := apitype.HistoryEntry{
		Entry: r.RowRef.String(), Time: time.UnixMilli(int64(r.Time)).UTC(), //nolint:gosec // milliseconds
		Operation: r.Operation.String(), Outcome: r.Outcome.String(), Code: r.Code, Principal: r.Principal,
		Assurance: r.Assurance.String(), Collection: r.Collection, Purpose: r.Purpose, Basis: r.Basis, Rules: r.Rules,
	}
	if !v.inScope(g, r) {
		return e
	}
	e.Reason = r.Reason
	for i := range r.Items {
		if r.Items[i].Subject == subject {
			e.Fields = append(e.Fields, r.Items[i].Fields...)
		}
	}
	return e
}

// inScope reports whether a principal may see all of a row: its own, or one
// whose every field its grant covers. A row without a collection is about the
// whole person, so the grant must cover something of each collection.
func (v *Vault) inScope(g *grant.Grant, r *verify.Row) bool {
	if r.Principal == g.ID {
		return true
	}
	if r.Collection == "" {
		for name := range v.cfg.Schema.Collections {
			if !g.Touches(name) {
				return false
			}
		}
		return true
	}
	if !g.Touches(r.Collection) {
		return false
	}
	for i := range r.Items {
		for _, names := range [][]string{r.Items[i].Fields, r.Items[i].Index} {
			for _, f := range names {
				if !g.Covers(r.Collection, f) {
					return false
				}
			}
		}
	}
	return true
}

// beginSubject begins a call about one person who is here.
func (v *Vault) beginSubject(ctx context.Context, call *Call, op verify.Operation, q *apitype.SubjectRequest) (*ask, error) {
	if err := v.sameCell(q.Subject.Cell, "subject"); err != nil {
		return nil, v.refused(call, op, "", nil, err)
	}
	a, err := v.begin(call, op, []wire.Item{{Subject: q.Subject.ID}})
	if err != nil {
		return nil, err
	}
	s, err := v.store.Subject(ctx, q.Subject.ID)
	switch {
	case err != nil:
		return nil, err
	case s == nil && op == verify.OpHistory:
		n, err := v.store.Tombstoned(ctx, v.mark(q.Subject.ID))
		if err != nil || n == 0 {
			return nil, v.fail(a, v.absent(ctx, q.Subject.ID, "subject"))
		} // the history of an erased person stays: it holds no data of theirs
	case s == nil:
		return nil, v.fail(a, v.absent(ctx, q.Subject.ID, "subject"))
	case s.State != StateActive && op != verify.OpHistory:
		return nil, v.fail(a, erasing("subject"))
	}
	return a, nil
}

// Export gives a person's own copy: every record and basis of theirs. It is
// one opening for each collection they have records in, or several if they
// have many.
func (v *Vault) Export(ctx context.Context, call *Call, q *apitype.SubjectRequest) (*apitype.ExportResult, error) {
	// 1. Check and decide for the whole.
	a, err := v.beginSubject(ctx, call, verify.OpExport, q)
	if err != nil {
		return nil, err
	}
	records, err := v.store.Records(ctx, q.Subject.ID)
	if err != nil {
		return nil, v.fail(a, err)
	}
	if len(records) > MaxRecords {
		return nil, v.fail(a, bonded.Errorf(bonded.CodeTooLarge, "the person has more records than one copy holds"))
	}
	out := &apitype.ExportResult{Format: "bonded/export/1", Cell: v.cfg.Cell, Subject: q.Subject, Made: v.now().UTC().Truncate(time.Second), Records: []apitype.ExportRecord{}, Basis: []apitype.BasisRecord{}}

	// 2. Collection by collection: decide, enter and unlock, open.
	byCollection := make(map[uint16][]*Record)
	for _, r := range records {
		byCollection[r.Collection] = append(byCollection[r.Collection], r)
	}
	for _, name := range sortedNames(v.cfg.Schema.Collections) {
		c := v.cfg.Schema.Collections[name]
		rs := byCollection[c.ID]
		if len(rs) == 0 {
			continue
		}
		for len(rs) > 0 {
			n := v.fitting(rs, exportPart, 1)
			entry, err := v.exportCollection(ctx, call, c, rs[:n], out)
			if err != nil {
				return nil, err
			}
			if out.Entry == "" {
				out.Entry = entry
			}
			rs = rs[n:]
		}
	}
	if out.Entry == "" {
		e, err := v.enter(ctx, a, nil)
		if err != nil {
			return nil, err
		}
		out.Entry = e.Ref().String()
	}

	// 3. The bases.
	rows, err := v.store.BasisOf(ctx, q.Subject.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		var b apitype.BasisRecord
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return nil, altered(err)
		}
		out.Basis = append(out.Basis, b)
	}
	return out, nil
}

// exportPart is how many records of a copy are opened under one entry at most.
const exportPart = 256

func (v *Vault) exportCollection(ctx context.Context, call *Call, c *Collection, records []*Record, out *apitype.ExportResult) (string, error) {
	targets := make([]target, 0, len(records))
	withheld := make([][]string, 0, len(records)) // of each target: fields that a copy cannot hold
	for _, r := range records {
		var left []string
		s := v.subjectText(r.Subject)
		rec := v.recordText(r.ID)
		t := target{item: &apitype.GetItem{Subject: &s, Record: &rec}, place: -1, chosen: true}
		for i := range r.Fields {
			f := c.field(r.Fields[i].Field)
			switch {
			case f == nil:
			case f.Custody == CustodyQuorum || r.Fields[i].Envelope != nil:
				left = append(left, f.Name)
			default:
				t.fields = append(t.fields, f)
			}
		}
		if t.err = v.accept(c, &t, r); isCode(t.err, bonded.CodeWithheld) {
			continue // its time is over
		}
		targets, withheld = append(targets, t), append(withheld, left)
	}
	if len(targets) == 0 {
		return "", nil
	}
	// An export names a person, not fields: its proof cannot cover what each
	// collection holds, so here the vault vouches.
	asserted := *call
	if asserted.Assurance == verify.AssuranceProven {
		asserted.Assurance, asserted.Proof = verify.AssuranceVault, nil
	}
	d, err := v.decide(&asserted, verify.OpExport, c, fieldsUnion(targets))
	if err != nil {
		return "", v.refused(&asserted, verify.OpExport, c.Name, v.namedItems(targets), err)
	}
	a, err := v.openTargets(ctx, &asserted, verify.OpExport, c, d, targets)
	call.Promise = asserted.Promise
	if err != nil {
		return "", err
	}
	for i := range targets {
		t := &targets[i]
		if t.err != nil {
			return "", t.err // a copy that lacks something is no copy
		}
		out.Records = append(out.Records, apitype.ExportRecord{Collection: c.Name, Record: t.result.Record, Version: t.result.Version, Values: t.result.Values, Withheld: withheld[i]})
	}
	return a.entered.Ref().String(), nil
}

// Journal reads rows of the journal with what proves them. Who may is policy,
// and reading is an entry.
func (v *Vault) Journal(ctx context.Context, call *Call, q *apitype.JournalRequest) (*apitype.JournalResult, error) {
	a, err := v.begin(call, verify.OpJournalRead, nil)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	if limit < 1 || limit > apitype.MaxPage {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeInvalid, Field: "limit", Message: "a page has 1 to 1,000 entries"})
	}
	e, err := v.enter(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	page, err := v.journal.Page(ctx, q.After, limit)
	if err != nil {
		return nil, err
	}
	out := &apitype.JournalResult{
		Rows: make([]apitype.JournalRow, len(page.Rows)), Segments: make([][]byte, len(page.Segments)),
		Anchors: make([]apitype.AnchorInfo, len(page.Anchors)), Next: page.Next, Entry: e.Ref().String(),
	}
	for i := range page.Rows {
		r := &page.Rows[i]
		out.Rows[i] = apitype.JournalRow{Position: r.Position, Row: r.Bytes, Salt: r.Salt[:]}
	}
	for i := range page.Segments {
		out.Segments[i] = page.Segments[i].Bytes
	}
	for i := range page.Anchors {
		a := &page.Anchors[i]
		out.Anchors[i] = apitype.AnchorInfo{Index: a.LedgerIndex, Leaf: a.Leaf, Fields: a.Fields, FirstSegment: a.FirstSegment, LastSegment: a.LastSegment}
	}
	return out, nil
}

// Receipt returns the proof that an entry stands in the ledger: to the
// principal of the entry, to those who may read the journal, and to those who
// may see the history of every person in it. To others an entry is as one that
// does not exist.
func (v *Vault) Receipt(ctx context.Context, call *Call, q *apitype.ReceiptRequest) (*verify.Receipt, error) {
	a, err := v.begin(call, verify.OpReceipt, nil)
	if err != nil {
		return nil, err
	}
	ref, ok := verify.ParseRowRef(q.Entry)
	if !ok {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeBadID, Field: "entry", Message: "not the name of an entry", Hint: "use node.incarnation.sequence as the answer gave it"})
	}
	auditor, desk := v.permits(call, verify.OpJournalRead), v.permits(call, verify.OpHistory)
	row, err := v.journal.RowByRef(ctx, ref)
	switch {
	case isCode(err, bonded.CodeWithheld):
		return nil, v.fail(a, withheld("entry"))
	case err != nil:
		return nil, v.fail(a, err)
	case row.Row.Principal != call.Grant.ID && !auditor && !(desk && aboutPeople(row.Row) && v.inScope(call.Grant, row.Row)):
		return nil, v.fail(a, withheld("entry"))
	}
	r, err := v.journal.Receipt(ctx, ref, q.Items)
	if err != nil {
		return nil, v.fail(a, err)
	}
	if _, err := v.enter(ctx, a, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// permits reports whether the policy lets the caller do op at all.
func (v *Vault) permits(call *Call, op verify.Operation) bool {
	_, err := v.decide(call, op, nil, nil)
	return err == nil
}

// aboutPeople reports whether every item of a row names a person, and there is
// one.
func aboutPeople(r *verify.Row) bool {
	for i := range r.Items {
		if r.Items[i].Subject.IsZero() {
			return false
		}
	}
	return len(r.Items) > 0
}
