package client

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"bonded/verify"
)

// ExportJournal pages through the whole journal and writes it in the form
// that package verify and bonded-verify reconcile read. Reading it is policy
// and an entry, for each page. It returns how many rows it wrote; after an
// error what was written is not a whole export.
func (c *Client) ExportJournal(ctx context.Context, why Why, w io.Writer) (rows uint64, err error) {
	buf := bufio.NewWriterSize(w, 1<<16)
	out, err := verify.NewJournalWriter(buf, c.cfg.Cell, 1)
	if err != nil {
		return 0, fmt.Errorf("export journal: %w", err)
	}
	for after := uint64(0); ; {
		page, err := c.Journal(ctx, JournalRequest{Why: why, After: after, Limit: 1000})
		if err != nil {
			return rows, fmt.Errorf("export journal: %w", err)
		}
		if err := writePage(out, page); err != nil {
			return rows, fmt.Errorf("export journal: %w", err)
		}
		rows += uint64(len(page.Rows))
		if page.Next == 0 {
			break
		}
		after = page.Next
	}
	if err := out.Close(); err != nil {
		return rows, fmt.Errorf("export journal: %w", err)
	}
	return rows, buf.Flush()
}

func writePage(out *verify.JournalWriter, page *JournalResult) error {
	for _, r := range page.Rows {
		row := verify.JournalRow{Position: r.Position, Row: r.Row}
		copy(row.Salt[:], r.Salt)
		if err := out.WriteRow(row); err != nil {
			return err
		}
	}
	for _, s := range page.Segments {
		if err := out.WriteSegment(s); err != nil {
			return err
		}
	}
	for _, a := range page.Anchors {
		if err := out.WriteAnchor(verify.JournalAnchor{
			Index: a.Index, Leaf: a.Leaf, Fields: a.Fields, First: a.FirstSegment, Last: a.LastSegment,
		}); err != nil {
			return err
		}
	}
	return nil
}
