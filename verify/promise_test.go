package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// promise returns the promise for the row at a position (from 1), given when a
// commit had brought rows begin to size-1 into its segment.
func (h *history) promise(position, begin, size int) *verify.Promise {
	h.t.Helper()
	row, err := verify.DecodeRow(h.rows[position-1].Row)
	if err != nil {
		h.t.Fatal(err)
	}
	for i, raw := range h.segs {
		s, err := verify.DecodeSegment(raw)
		if err != nil {
			h.t.Fatal(err)
		}
		if uint64(position) >= s.First+s.Count {
			continue
		}
		var batch []tlog.Hash
		for j := begin; j < size; j++ {
			r, err := verify.DecodeRow(h.rows[int(s.First)-1+j].Row)
			if err != nil {
				h.t.Fatal(err)
			}
			batch = append(batch, verify.PromiseLeaf(r.RowRef, h.segLeaves[i][j]))
		}
		index := position - int(s.First)
		return signPromise(&verify.Promise{
			Cell: h.cell, Ref: row.RowRef, Leaf: h.segLeaves[i][index], Segment: s.Number, Index: uint64(index), Begin: uint64(begin), Size: uint64(size),
			Root: verify.TreeRoot(h.segLeaves[i][:size]), Batch: verify.TreeRoot(batch), Path: verify.TreePath(batch, index-begin),
		})
	}
	h.t.Fatalf("row %d is in no segment", position)
	return nil
}

func signPromise(p *verify.Promise) *verify.Promise {
	copy(p.Sig[:], ed25519.Sign(logKey("promise"), p.Message()))
	return p
}

func (h *history) checkPromise(t *testing.T, p *verify.Promise, edit func(lines) lines) error {
	t.Helper()
	j, err := verify.NewJournalReader(bytes.NewReader(h.journal(edit)))
	if err != nil {
		t.Fatal(err)
	}
	vs, err := verify.CheckPromises([]*verify.Promise{p}, h.dirCell(), j)
	if err != nil {
		t.Fatal(err)
	}
	return vs[0]
}

func TestCheckPromisesHoldsForWhatWasKept(t *testing.T) {
	h := newHistory(t, "Ca Ra | Rb F Ra Rb F | ^ Ra | ^")
	for begin := range 5 {
		for size := begin + 1; size <= 5; size++ {
			for i := begin; i < size; i++ {
				p := h.promise(3+i, begin, size)
				if err := h.checkPromise(t, p, nil); err != nil {
					t.Errorf("row %d of commit %d to %d: %v", i, begin, size, err)
				}
				p.Index = uint64((i + 1) % 5)
				wantFailure(t, h.checkPromise(t, p, nil), verify.DoesNotHold, verify.FailPromise)
			}
		}
	}
	cut := func(l lines) lines { return l[:8] } // before segment 2 was closed
	if err := h.checkPromise(t, h.promise(4, 0, 2), cut); err != nil {
		t.Errorf("kept in the open segment: %v", err)
	}
	wantFailure(t, h.checkPromise(t, h.promise(7, 4, 5), func(l lines) lines { return l[:5] }), verify.CannotTell, verify.FailMissing)
	wantFailure(t, h.checkPromise(t, h.promise(4, 0, 5), func(l lines) lines { return l[:6] }), verify.CannotTell, verify.FailMissing)
}

// Whatever is altered in a promise, it is no longer the vault's.
func TestPromiseIsSignedForItsRowOnly(t *testing.T) {
	h := newHistory(t, "Ca Ra Rb F Ra | ^")
	key := logKey("promise").Public().(ed25519.PublicKey)
	for name, alter := range map[string]func(*verify.Promise){
		"cell": func(p *verify.Promise) { p.Cell = "cn" }, "node": func(p *verify.Promise) { p.Ref.Node++ },
		"incarnation": func(p *verify.Promise) { p.Ref.Incarnation++ }, "sequence": func(p *verify.Promise) { p.Ref.Seq++ },
		"leaf": func(p *verify.Promise) { p.Leaf[0] ^= 1 }, "segment": func(p *verify.Promise) { p.Segment++ },
		"index": func(p *verify.Promise) { p.Index++ }, "begin": func(p *verify.Promise) { p.Begin++ }, "size": func(p *verify.Promise) { p.Size++ },
		"root": func(p *verify.Promise) { p.Root[0] ^= 1 }, "batch": func(p *verify.Promise) { p.Batch[0] ^= 1 },
		"path": func(p *verify.Promise) { p.Path[1][0] ^= 1 }, "a shorter path": func(p *verify.Promise) { p.Path = p.Path[:1] },
		"a longer path": func(p *verify.Promise) { p.Path = append(p.Path, tlog.Hash{}) }, "signature": func(p *verify.Promise) { p.Sig[9] ^= 1 },
		"an index before the commit": func(p *verify.Promise) { p.Index = 0 }, "a huge place": func(p *verify.Promise) { p.Index, p.Size = 1<<63, 1<<64-1 },
	} {
		p := h.promise(4, 1, 5)
		if !p.Verify(key) {
			t.Fatal("the promise as it was made does not verify")
		}
		alter(p)
		if p.Verify(key) {
			t.Errorf("verifies with another %s", name)
		}
	}
}

// A vault that lies signs its own lie: the promise and the export together are
// the proof.
func TestCheckPromisesConvictsAVaultThatLies(t *testing.T) {
	const text = "Ca Ra | Rb F Ra | ^ Ra | ^"
	for _, c := range []struct {
		name, history string
		promise       func(h *history) *verify.Promise
		edit          func(lines) lines
		code, says    string
	}{
		{
			"dropped the row and signed a root without it", "Ca Ra | Rb Ra | ^ Ra | ^",
			func(h *history) *verify.Promise {
				// The batch root must hold the row, for the client looks; the running root is the vault's true one.
				p, kept := newHistory(t, text).promise(4, 0, 3), h.promise(3, 0, 2)
				p.Root = kept.Root
				return signPromise(p)
			}, nil, verify.FailPromise, "row 1.1.4 was promised at place 1 of segment 2, but the journal holds another there",
		},
		{
			"dropped the last row and signed a root without it", "Ca Ra | Rb F | ^ Ra | ^",
			func(h *history) *verify.Promise {
				p, kept := newHistory(t, text).promise(5, 0, 3), h.promise(4, 0, 2)
				p.Root = kept.Root
				return signPromise(p)
			}, nil, verify.FailPromise, "row 1.1.5 is missing: segment 2 holds 2 rows, the row was promised at place 2",
		},
		{
			"exchanged the row", "Ca Ra | Rb Ra Ra | ^ Ra | ^",
			func(*history) *verify.Promise { return newHistory(t, text).promise(4, 0, 3) },
			nil, verify.FailPromise, "row 1.1.4 was promised at place 1 of segment 2, but the journal holds another there: 1.1.4",
		},
		{
			"gave the leaf of another row", text,
			func(h *history) *verify.Promise {
				p, other := h.promise(4, 1, 2), h.promise(3, 0, 1)
				p.Leaf = other.Leaf
				p.Batch = verify.PromiseLeaf(p.Ref, p.Leaf)
				return signPromise(p)
			}, nil, verify.FailPromise, "row 1.1.4 was promised at place 1",
		},
		{
			"exchanged another row of the commit", "Ca Ra | Ra F Ra | ^ Ra | ^",
			func(h *history) *verify.Promise {
				p := newHistory(t, text).promise(4, 0, 3)
				p.Root = h.promise(4, 0, 3).Root
				return signPromise(p)
			}, nil, verify.FailPromise, "rows 0 to 2 of segment 2 are not those that were promised with row 1.1.4",
		},
		{
			"exchanged a row before the commit", "Ca Ra | Ra F Ra | ^ Ra | ^",
			func(*history) *verify.Promise { return newHistory(t, text).promise(4, 1, 2) },
			nil, verify.FailPromise, "the first 2 rows of segment 2 are not those that were promised with row 1.1.4",
		},
		{
			"left the segment out", text,
			func(h *history) *verify.Promise { return h.promise(4, 0, 3) },
			func(l lines) lines {
				// Rows and segment 2 are gone, its anchor and all after it are there.
				return slices.DeleteFunc(l, func(e verify.JournalEntry) bool {
					s, err := verify.DecodeSegment(e.Segment)
					return err == nil && s.Number == 2 || e.Row != nil && e.Row.Position >= 3 && e.Row.Position <= 5
				})
			}, verify.FailMissingSegment, "segment 2 with row 1.1.4, which was promised, is missing",
		},
		{
			"left the last segment out, but not its anchor", text,
			func(h *history) *verify.Promise { return h.promise(6, 0, 1) },
			func(l lines) lines {
				return slices.DeleteFunc(l, func(e verify.JournalEntry) bool {
					s, err := verify.DecodeSegment(e.Segment)
					return err == nil && s.Number == 3 || e.Row != nil && e.Row.Position == 6
				})
			}, verify.FailMissingSegment, "segment 3 with row 1.1.6, which was promised, is missing",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t, c.history)
			p := c.promise(h)
			if !p.Verify(logKey("promise").Public().(ed25519.PublicKey)) {
				t.Fatal("the client would have refused the promise at once")
			}
			err := h.checkPromise(t, p, c.edit)
			wantFailure(t, err, verify.DoesNotHold, c.code)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v", err)
			}
		})
	}
	h := newHistory(t, text)
	later := h.promise(4, 0, 3)
	later.Segment = 9
	wantFailure(t, h.checkPromise(t, signPromise(later), nil), verify.CannotTell, verify.FailMissing)
	foreign := h.promise(4, 0, 3)
	foreign.Cell = bonded.CellID("cn")
	wantFailure(t, h.checkPromise(t, signPromise(foreign), nil), verify.CannotTell, verify.FailCell)
}
