package verify

import (
	"fmt"
	"strconv"
)

// Sentences says in plain English what the check of a ledger has shown, one
// sentence a line.
func (rep *CellLedgerReport) Sentences() []string {
	if rep.Checkpoint == nil {
		return nil
	}
	cp := rep.Checkpoint
	lines := []string{
		fmt.Sprintf("Ledger %q holds %s in %s and %s; all were read and hashed.",
			cp.Origin, count64(rep.Entries, "entry"), count64(rep.Bundles, "bundle"), count64(rep.Tiles, "tile")),
		fmt.Sprintf("%s of the policy cosigned the checkpoint of %s.", count(len(cp.Cosignatures), "witness"), count64(cp.Size, "entry")),
	}
	if t := cp.WitnessTime(); !t.IsZero() {
		lines = append(lines, fmt.Sprintf("A quorum of them says that it was the newest at %s or later.", t.Format("2006-01-02T15:04:05Z")))
	}
	lines = append(lines, fmt.Sprintf("It has %s, %s of the directory and %s of what is to take effect.",
		count64(rep.Anchors, "anchor"), count64(rep.Directories, "version"), count64(rep.Controls, "announcement")))
	return append(lines, rep.Cases.Sentences()...)
}

// Sentences says in plain English what both books together have shown, one
// sentence a line.
func (rep *ReconcileReport) Sentences() []string {
	s := fmt.Sprintf
	lines := []string{
		s("Book: %s.", countU(rep.BookRows, "row")),
		s("matched: %d (releases of keys with their entry)", rep.Matched),
		s("orphan: %d (releases whose entry was lost and is named afterwards; they count as openings)", rep.Orphans),
		s("unanswered: %d (entries that the journal itself says got no release)", rep.Unanswered),
		s("refused: %d (by the keyholder; %d of them not repeated in the journal, %d more for rows that are not in it)", rep.Refused, rep.Unrepeated, rep.LostAsk),
		s("destroyed: %d (subject keys, each with its entry)", rep.Destroyed),
		s("entries without a release: %d (%d of them after the last one that the book answers)", rep.WithoutRelease, rep.Pending),
		s("%d key releases without an entry", rep.ReleasedWithoutEntry),
		s("Of the releases, %d (%d items) were proven by the asker, %d (%d items) are vault-asserted, %d (%d items) were jobs.",
			rep.Proven.Releases, rep.Proven.Items, rep.Asserted.Releases, rep.Asserted.Items, rep.Jobs.Releases, rep.Jobs.Items),
		s("Of the releases, %d (%d items) went through the front door: a quorum of custodians approved them for the requester of a case.", rep.Cases.Releases, rep.Cases.Items),
		s("Of the same releases, %d (%d items) are vault-resolved: the vault chose what was opened.", rep.Resolved.Releases, rep.Resolved.Items),
	}
	if n := rep.AnchoredBook; n > rep.BookRows {
		lines = append(lines, s("The book ends at row %d, but an anchor shows its row %d: it was exported before that anchor, or its end was cut off. Ask for a newer export.", rep.BookRows, n))
	}
	return append(lines, rep.JournalSentences()...)
}

// JournalSentences says what the journal alone has shown: the part of
// [ReconcileReport.Sentences] that needs no book, with the faults found.
func (rep *ReconcileReport) JournalSentences() []string {
	s := fmt.Sprintf
	lines := []string{s("Journal: %s in %s under %s.", countU(rep.Rows, "row"), countU(rep.Segments, "segment"), countU(rep.Anchors, "anchor"))}
	switch {
	case rep.Anchors == 0:
		lines = append(lines, "No anchor is in the export: nothing shows that the journal is the one the ledger knows.")
	case rep.ProvenInLog == 0:
		lines = append(lines, s("%s covered by anchors; neither ledger nor proofs were given, so the anchors are only what the journal says.", are(rep.AnchoredRows, "row")))
	default:
		lines = append(lines, s("%s covered by anchors; %d of %d anchors are shown to be in the ledger.", are(rep.AnchoredRows, "row"), rep.ProvenInLog, rep.Anchors))
	}
	if rep.Unanchored > 0 {
		lines = append(lines, s("%s at the end not anchored yet.", are(rep.Unanchored, "row")))
	}
	if rep.NewerAnchors > 0 {
		lines = append(lines, s("The ledger has %s after the end of the export.", count64(rep.NewerAnchors, "anchor")))
	}
	for _, f := range rep.Findings {
		lines = append(lines, s("fault %s: %s", f.Code, f.Message))
	}
	if n := uint64(len(rep.Findings)); rep.Faults > n {
		lines = append(lines, s("and %d more faults", rep.Faults-n))
	}
	return lines
}

func count64(n int64, what string) string { return countU(uint64(max(n, 0)), what) } //nolint:gosec // not negative

func countU(n uint64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "entry":
		return s64(n) + " entries"
	case what == "witness":
		return s64(n) + " witnesses"
	default:
		return s64(n) + " " + what + "s"
	}
}

func are(n uint64, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return countU(n, what) + " are"
}

func s64(n uint64) string { return strconv.FormatUint(n, 10) }
