//go:build unix

package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"bonded"
)

// report proves the case offline, watches the ledger once, and counts the day.
func (s *story) report(ctx context.Context) error {
	cell, dir := s.founder.Cell, s.d.Layout.Directory()
	c, ok := s.d.Directory.Cell(cell)
	if !ok {
		return bonded.Errorf(bonded.CodeInternal, "the directory has no cell %s", cell)
	}
	// 1. The package, without keys: who asked, who approved, what was entered.
	if err := s.verify(ctx, cell, "package", s.released, "--directory", dir); err != nil {
		return err
	}
	// 2. The ledger, its slots, and that everything due is opened.
	if err := s.bonded(ctx, nil, "monitor", c.Ledger, "--directory", dir, "--cell", string(cell), "--once"); err != nil {
		return err
	}
	s.line("bonded monitor: ledger, slots and openings", "hold")
	// 3. The transparency report, and its proof against the ledger.
	proofs := filepath.Join(s.dir, "proofs")
	journal, book := filepath.Join(proofs, string(cell)+"-journal.jsonl"), filepath.Join(proofs, string(cell)+"-book.jsonl")
	out, today := filepath.Join(s.dir, "report"), time.Now().UTC().Format(time.DateOnly)
	var made struct {
		Totals []struct {
			Table, Column, Count, Published string
		} `json:"totals"`
	}
	closed := filepath.Join(s.dir, "closed.jsonl")
	if err := s.bonded(ctx, nil, "report", "closed", "--directory", dir, "--cell", string(cell), "--person", s.d.Layout.Person(cell, "legal-1"), "--out", closed); err != nil {
		return err
	}
	if err := s.bonded(ctx, &made, "report", "make", "--admin", filepath.Join(s.d.Layout.Admin(), "admin.key"), "--cell", string(cell),
		"--from", today, "--to", today, "--journal", journal, "--book", book, "--closed", closed, "--out", out); err != nil {
		return err
	}
	for _, t := range made.Totals {
		switch t.Column {
		case "requests_received", "requests_refused", "requests_opened_full", "told_before", "told_after", "by_front_door", "unexplained":
			s.line("report, "+t.Table+": "+t.Column, fmt.Sprintf("%s (published as %s)", t.Count, t.Published))
		}
	}
	return s.verify(ctx, cell, "report", out, "--directory", dir, "--ledger", c.Ledger, "--journal", journal, "--book", book)
}
