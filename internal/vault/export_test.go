//go:build unix

package vault_test

import (
	"bytes"
	"testing"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

func TestJournalPagesOfOneRowKeepTheChainOfAnchors(t *testing.T) {
	c := newCell(t, func(c *cell) { c.early = true })
	p := c.create(values("name", `"Anna"`))
	got, err := c.get(p, "name")
	must(t, err)
	c.await("an anchor over the read", func() error {
		_, err := c.v.Receipt(t.Context(), c.call("app"), &apitype.ReceiptRequest{Entry: got.Entry})
		return err
	})

	var b bytes.Buffer
	w, err := verify.NewJournalWriter(&b, "eu", 1)
	must(t, err)
	rows, err := c.v.Journal(t.Context(), c.call("app"), &apitype.JournalRequest{Limit: apitype.MaxPage})
	must(t, err)
	end := rows.Rows[len(rows.Rows)-1].Position
	anchors, early := 0, 0
	for after := uint64(0); after < end; {
		page, err := c.v.Journal(t.Context(), c.call("app"), &apitype.JournalRequest{After: after, Limit: 1})
		must(t, err)
		if len(page.Rows) != 1 || page.Next != after+1 {
			t.Fatalf("page after %d: %d rows, next %d", after, len(page.Rows), page.Next)
		}
		r := page.Rows[0]
		must(t, w.WriteRow(verify.JournalRow{Position: r.Position, Row: r.Row, Salt: verify.Salt(r.Salt)}))
		for _, s := range page.Segments {
			must(t, w.WriteSegment(s))
		}
		for _, a := range page.Anchors {
			if a.LastSegment == 0 {
				early++
			}
			must(t, w.WriteAnchor(verify.JournalAnchor{Index: a.Index, Leaf: a.Leaf, Fields: a.Fields, First: a.FirstSegment, Last: a.LastSegment}))
		}
		anchors, after = anchors+len(page.Anchors), page.Next
	}
	must(t, w.Close())
	if anchors == 0 || early == 0 {
		t.Fatalf("%d anchors in the pages, %d of them from before the first segment", anchors, early)
	}
	jr, err := verify.NewJournalReader(&b)
	must(t, err)
	if _, err := verify.CheckJournal(jr, &c.cells.Cells[0], verify.ReconcileOptions{}); err != nil {
		t.Error(err)
	}
	_, err = c.v.Journal(t.Context(), c.call("app"), &apitype.JournalRequest{Limit: apitype.MaxPage + 1})
	wantCode(t, err, bonded.CodeInvalid)
}
