package vault

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/journal"
	"bonded/verify"
)

// maxLooked is how many rows one search of the journal looks through.
const maxLooked = 2048

// Collections returns the schema as people may know it.
func (v *Vault) Collections() []apitype.CollectionInfo {
	var out []apitype.CollectionInfo
	for _, name := range sortedNames(v.cfg.Schema.Collections) {
		c := v.cfg.Schema.Collections[name]
		info := apitype.CollectionInfo{Name: name}
		for _, fn := range sortedNames(c.Fields) {
			f := c.Fields[fn]
			purposes := f.Purposes
			if len(purposes) == 0 {
				purposes = c.Purposes
			}
			info.Fields = append(info.Fields, apitype.FieldInfo{
				Name: fn, Class: string(f.Class), Indexed: f.Indexed(), Quorum: f.Custody == CustodyQuorum, Purposes: slices.Clone(purposes),
			})
		}
		out = append(out, info)
	}
	return out
}

// Health says how the cell stands, as [Vault.Status] does, to the cell's own
// people: it names no person, and nothing is entered.
func (v *Vault) Health(ctx context.Context) *apitype.StatusResult {
	out := v.stands()
	v.askKeyholder(ctx, out, v.mayOpen())
	return out
}

// Tallies returns how many rows the journal has, by hour or by day, from a time
// on. They are counts without names.
func (v *Vault) Tallies(ctx context.Context, daily bool, from time.Time) ([]apitype.Tally, error) {
	unit := journal.TallyHour
	if daily {
		unit = journal.TallyDay
	}
	list, err := v.journal.Tallies(ctx, unit, from)
	if err != nil {
		return nil, err
	}
	out := make([]apitype.Tally, len(list))
	for i := range list {
		out[i] = apitype.Tally(list[i])
	}
	return out, nil
}

// Outline says what there is of a person, within the grant and without a
// value. It is entered as a look at the person's history.
func (v *Vault) Outline(ctx context.Context, call *Call, q *apitype.SubjectRequest) (*apitype.PersonOutline, error) {
	a, err := v.beginSubject(ctx, call, verify.OpHistory, q)
	if err != nil {
		return nil, err
	}
	e, err := v.enter(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	out := &apitype.PersonOutline{Subject: q.Subject, State: "erased", Entry: e.Ref().String()}
	s, err := v.store.Subject(ctx, q.Subject.ID)
	if err != nil {
		return nil, err
	}
	if s == nil {
		out.Tombstone, err = v.store.Tombstoned(ctx, v.mark(q.Subject.ID))
		return out, err
	}
	out.State, out.Created = string(s.State), unix(s.Created)
	if s.State != StateActive {
		if e, err := v.store.Erasure(ctx, s.ID); err != nil {
			return nil, err
		} else if e != nil {
			due := unix(e.Due)
			out.Due = &due
		}
		return out, nil
	}
	return out, v.outlineRecords(ctx, call, s.ID, out)
}

func (v *Vault) outlineRecords(ctx context.Context, call *Call, subject bonded.ID, out *apitype.PersonOutline) error {
	records, err := v.store.Records(ctx, subject)
	if err != nil {
		return err
	}
	now := v.now().Unix()
	for _, r := range records {
		c := v.cfg.Schema.collectionByID(r.Collection)
		if c == nil || !call.Grant.Touches(c.Name) || r.expired(c, now) {
			continue
		}
		o := apitype.RecordOutline{Collection: c.Name, Record: v.recordText(r.ID), Version: r.Version, Created: unix(r.Created)}
		for i := range r.Fields {
			f := c.field(r.Fields[i].Field)
			if f == nil || !call.Grant.Covers(c.Name, f.Name) {
				continue
			}
			o.Fields = append(o.Fields, f.Name)
			if f.Custody == CustodyQuorum || r.Fields[i].Envelope != nil {
				o.Quorum = append(o.Quorum, f.Name)
			}
		}
		slices.Sort(o.Fields)
		out.Records = append(out.Records, o)
	}
	rows, err := v.store.BasisOf(ctx, subject)
	if err != nil {
		return err
	}
	for _, r := range rows {
		var b apitype.BasisRecord
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return altered(err)
		}
		if p := &b.Processing; p.Collection == "" || call.Grant.Touches(p.Collection) {
			out.Basis = append(out.Basis, b)
		}
	}
	return nil
}

// SearchJournal returns rows of the journal that fit, newest first. Who may is
// policy, and looking is an entry, as for [Vault.Journal].
func (v *Vault) SearchJournal(ctx context.Context, call *Call, q *apitype.JournalSearch) (*apitype.JournalFound, error) {
	a, err := v.begin(call, verify.OpJournalRead, nil)
	if err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > apitype.MaxPage {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeInvalid, Field: "limit", Message: "a page has 1 to 1,000 entries"})
	}
	if q.Subject != nil {
		if err := v.sameCell(q.Subject.Cell, "subject"); err != nil {
			return nil, v.fail(a, err)
		}
	}
	e, err := v.enter(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	out := &apitype.JournalFound{Entry: e.Ref().String(), Size: v.journal.Head().Rows}
	switch {
	case q.Ref != nil:
		err = v.oneRow(ctx, q, out)
	case q.Subject != nil:
		err = v.rowsOfSubject(ctx, q, out)
	default:
		err = v.rowsThatFit(ctx, q, out)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (v *Vault) oneRow(ctx context.Context, q *apitype.JournalSearch, out *apitype.JournalFound) error {
	row, err := v.journal.RowByRef(ctx, *q.Ref)
	if err != nil {
		return err
	}
	seconds, err := v.journal.Seconds(ctx, *q.Ref)
	if err != nil {
		return err
	}
	out.Rows = append(out.Rows, apitype.JournalFoundRow{Position: row.Position, Row: row.Row})
	for i := range seconds[:min(len(seconds), q.Limit)] {
		out.Rows = append(out.Rows, apitype.JournalFoundRow{Position: seconds[i].Position, Row: seconds[i].Row})
	}
	return nil
}

// rowsOfSubject asks the index by subject.
func (v *Vault) rowsOfSubject(ctx context.Context, q *apitype.JournalSearch, out *apitype.JournalFound) error {
	rows, err := v.journal.History(ctx, q.Subject.ID, q.Before, q.Limit+1)
	if err != nil {
		return err
	}
	more := len(rows) > q.Limit
	if more {
		rows = rows[:q.Limit]
	}
	done := take(q, rows, out)
	if more && !done {
		out.Next = rows[len(rows)-1].Position
	}
	return nil
}

// rowsThatFit goes back from a position.
func (v *Vault) rowsThatFit(ctx context.Context, q *apitype.JournalSearch, out *apitype.JournalFound) error {
	before := q.Before
	if !q.To.IsZero() {
		end, err := v.journal.Before(ctx, q.To)
		if err != nil {
			return err
		}
		if before == 0 || end < before {
			before = end
		}
	}
	if before == 0 {
		before = out.Size + 1
	}
	for out.Looked < maxLooked && before > 1 {
		page := 1024
		if q.Principal == "" && q.Operation == 0 && q.Outcome == 0 {
			page = q.Limit
		}
		rows, err := v.journal.Newest(ctx, before, page)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		done := take(q, rows, out)
		if len(out.Rows) >= q.Limit {
			if out.Next = out.Rows[len(out.Rows)-1].Position; out.Next == 1 {
				out.Next = 0
			}
			return nil
		}
		if before = rows[len(rows)-1].Position; done {
			return nil
		}
	}
	if before > 1 {
		out.Next = before
	}
	return nil
}

// take adds rows that fit until there are enough, and reports whether the rows
// from here on are older than asked for.
func take(q *apitype.JournalSearch, rows []journal.StoredRow, out *apitype.JournalFound) (done bool) {
	for i := range rows {
		if len(out.Rows) == q.Limit {
			return false
		}
		r := rows[i].Row
		at := time.UnixMilli(int64(r.Time)).UTC() //nolint:gosec // milliseconds
		out.Looked++
		out.Back = at
		if !q.From.IsZero() && at.Before(q.From) {
			return true
		}
		if (q.Principal == "" || r.Principal == q.Principal) && (q.Operation == 0 || r.Operation == q.Operation) &&
			(q.Outcome == 0 || r.Outcome == q.Outcome) && (q.To.IsZero() || at.Before(q.To)) {
			out.Rows = append(out.Rows, apitype.JournalFoundRow{Position: rows[i].Position, Row: r})
		}
	}
	return false
}
