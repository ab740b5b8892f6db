package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// A ReportLedger is what a report needs of a ledger that was checked: its head,
// its root at one size, and the leaves of cases.
type ReportLedger struct {
	Checkpoint *Checkpoint
	Size       int64 // of the part that counts
	Root       tlog.Hash
	Leaves     int64 // of cases within Size, covers among them

	cell   bonded.CellID
	hashes map[int64]tlog.Hash
}

// ReadReportLedger checks a whole ledger as [CheckCellLedger] does and keeps
// the leaves of cases within its first size entries; -1 means all of them. The
// error is a [Failure]. It holds some 50 bytes for each leaf.
func ReadReportLedger(fetch func(path string) ([]byte, error), cell *DirectoryCell, size int64, opts LogOptions) (*ReportLedger, error) {
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return nil, err
	}
	l := &ReportLedger{cell: cell.ID, hashes: map[int64]tlog.Hash{}, Size: size, Root: emptyRoot}
	chain := leafChain{cell: cell.ID}
	tree := compactTree{full: func(int, int64, []tlog.Hash) error { return nil }}
	var first *Failure
	opts.hashed = func(index int64, data []byte, h tlog.Hash) error {
		if f := chain.add(index, data, h); f != nil && first == nil {
			first = f
		}
		if size >= 0 && index >= size {
			return nil
		}
		if leaf, err := DecodeLeaf(data); err == nil && leaf.Kind == LeafCase {
			l.hashes[index] = h
			l.Leaves++
		}
		return tree.add(h)
	}
	rep, err := CheckLog(fetch, vkey, policy, opts)
	switch {
	case err != nil && (first == nil || VerdictOf(err) == DoesNotHold):
		return nil, err
	case first != nil:
		return nil, first
	case size > rep.Checkpoint.Size:
		return nil, Unknown(FailMissing, nil, "the ledger has %d entries, and the report is over %d: ask for a newer copy of the ledger", rep.Checkpoint.Size, size)
	}
	l.Checkpoint, l.Size, l.Root = rep.Checkpoint, tree.size, tree.root()
	return l, nil
}

// Place checks an opening and finds its leaf. It returns nil for one past the
// part of the ledger that counts. The error is a [Failure].
func (l *ReportLedger) Place(o *CaseOpening) (*OpenedCase, error) {
	c, err := o.Check()
	if err != nil {
		return nil, err
	}
	if c.Index >= l.Size {
		return nil, nil //nolint:nilnil // it is of no concern
	}
	if c.Leaf.Cell != l.cell || l.hashes[c.Index] != c.Hash {
		return nil, Fail(FailInclusion, "the opening of entry %d is of no entry of the ledger", c.Index)
	}
	return c, nil
}

// ReadOpenings reads openings, as many JSON values as there are: openings in
// the format of [ParseCaseOpening], or pages of the feed, which hold a list of
// them as openings. It calls do for each. The error is a [Failure], or what do
// returned.
func ReadOpenings(r io.Reader, do func(*CaseOpening) error) error {
	dec := json.NewDecoder(r)
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var page struct {
			Openings []json.RawMessage `json:"openings"`
		}
		if err != nil || json.Unmarshal(raw, &page) != nil {
			return Fail(FailMalformed, "the openings are not in the format %s, nor pages of the feed", OpeningFormat)
		}
		if page.Openings == nil {
			page.Openings = []json.RawMessage{raw}
			if bytes.Contains(raw, []byte(`"openings"`)) && !bytes.Contains(raw, []byte(`"leaf"`)) {
				continue // an empty page
			}
		}
		for _, o := range page.Openings {
			opening, err := ParseCaseOpening(o)
			if err != nil {
				return err
			}
			if err := do(opening); err != nil {
				return err
			}
		}
	}
}

// PlaceAll reads openings and places each, see [ReadOpenings] and
// [ReportLedger.Place]. Of openings of one entry that keep different fields
// closed it takes the one that keeps the fewest.
func (l *ReportLedger) PlaceAll(r io.Reader) ([]*OpenedCase, error) {
	var out []*OpenedCase
	at := map[int64]int{}
	err := ReadOpenings(r, func(o *CaseOpening) error {
		c, err := l.Place(o)
		if err != nil || c == nil {
			return err
		}
		if i, ok := at[c.Index]; ok {
			if len(c.Closed) < len(out[i].Closed) {
				out[i] = c
			}
			return nil
		}
		at[c.Index] = len(out)
		out = append(out, c)
		return nil
	})
	return out, err
}
