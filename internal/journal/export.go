package journal

import (
	"context"
	"fmt"
	"io"

	"bonded/verify"
)

// exportPage is how many rows are in memory at a time where all are gone
// through; a row of a large batch can have 200 kB.
const exportPage = 512

// A Page is a part of the journal for export: rows, the segments that end in
// them, and the anchors whose last segment ends in them.
type Page struct {
	Rows     []StoredRow
	Segments []StoredSegment
	Anchors  []AnchorInfo
	Next     uint64 // position to go on after; 0 at the end of the journal
}

// Page returns up to limit rows after a position, 0 for the first, with what
// ends in them. Anchors that cover no segment stand with the one before them;
// so the last page can grow while nobody writes.
func (j *Journal) Page(ctx context.Context, after uint64, limit int) (*Page, error) {
	limit = clampPage(limit)
	rows, err := j.Rows(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	p := &Page{Rows: rows}
	upTo := after
	if len(rows) > 0 {
		upTo = rows[len(rows)-1].Position
	}
	if len(rows) == limit {
		p.Next = upTo
	}
	if p.Segments, err = j.SegmentsEndingIn(ctx, after, upTo); err != nil {
		return nil, err
	}
	var first, last uint64 // segments that end here; 0 stands for before the first
	switch n := len(p.Segments); {
	case n > 0:
		first, last = p.Segments[0].Number, p.Segments[n-1].Number
		if after == 0 {
			first = 0
		}
	case after > 0:
		return p, nil
	}
	p.Anchors, err = j.anchors(ctx, "WHERE a.last_segment BETWEEN ? AND ? ORDER BY a.number", int64(first), int64(last)) //nolint:gosec // counts
	return p, err
}

// Export writes the whole journal as it stands now in the form that
// [verify.NewJournalReader] reads. Progress is told the rows done; nil means
// nobody.
func (j *Journal) Export(ctx context.Context, w io.Writer, progress func(rows, of uint64)) error {
	out, err := verify.NewJournalWriter(w, j.cell, j.node)
	if err != nil {
		return fmt.Errorf("export journal: %w", err)
	}
	of := j.Head().Rows
	for after := uint64(0); ; {
		p, err := j.Page(ctx, after, exportPage)
		if err != nil {
			return fmt.Errorf("export journal: %w", err)
		}
		if err := p.write(out); err != nil {
			return fmt.Errorf("export journal: %w", err)
		}
		after += uint64(len(p.Rows))
		if progress != nil {
			progress(after, max(of, after))
		}
		if p.Next == 0 {
			break
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("export journal: %w", err)
	}
	return nil
}

func (p *Page) write(out *verify.JournalWriter) error {
	for i := range p.Rows {
		r := &p.Rows[i]
		if err := out.WriteRow(verify.JournalRow{Position: r.Position, Row: r.Bytes, Salt: r.Salt}); err != nil {
			return err
		}
	}
	for i := range p.Segments {
		if err := out.WriteSegment(p.Segments[i].Bytes); err != nil {
			return err
		}
	}
	for i := range p.Anchors {
		a := &p.Anchors[i]
		err := out.WriteAnchor(verify.JournalAnchor{
			Index: a.LedgerIndex, Leaf: a.Leaf, Fields: a.Fields, First: a.FirstSegment, Last: a.LastSegment, Proof: string(a.Proof),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
