package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// A history is a whole cell on paper: both books, segments, anchors and the
// ledger, made from a line of text so that a test reads like what happened.
// Words are separated by spaces:
//
//	Ca   creates subject a          Ra   reads subject a
//	Ba+c reads a and c in one batch F    searches
//	Ea   enters an erasure of a and destroys its key
//	|    closes a segment           ^    anchors the segments since
//
// A mark after a word says what goes wrong:
//
//   - released, but the row is not in the journal (skipped, or a hidden orphan)
//   - released, the row was lost, an orphan names it
//     =  entered, never released      ?  the same, and a second row says so
//     !  refused by the keyholder, and a second row says so
//     2  released twice for one row   #  the release has a wrong subject number
//     %  the journal has another reason than the book
//     @  by bearer key                &  the vault chose the items
//     $  the row is entered twice
type history struct {
	t     testing.TB
	cell  bonded.CellID
	rows  []verify.JournalRow
	segs  [][]byte
	anch  []verify.JournalAnchor
	lines []verify.JournalEntry // the journal export in order
	book  [][]byte
	chain [32]byte
	heads map[int]verify.Head

	seq, bookSeq uint64
	counts       map[bonded.ID]uint64
	leaves       []tlog.Hash // of the open segment
	openFrom     int         // index into rows of the open segment
	segHash      [][32]byte
	prevSeg      [32]byte
	anchoredSegs int
	entries      [][]byte // of the ledger
	prevAnchor   tlog.Hash
	prevControl  tlog.Hash
	controls     []announced
	fields       [][]verify.LeafField
	segLeaves    [][]tlog.Hash
}

const historyCell = bonded.CellID("eu")

func id(label string) bonded.ID {
	h := sha256.Sum256([]byte("bonded test id " + label))
	return bonded.ID(h[:16])
}

func salt(label string) verify.Salt { return sha256.Sum256([]byte("bonded test salt " + label)) }

func hash(label string) [32]byte { return sha256.Sum256([]byte("bonded test hash " + label)) }

func newHistory(t testing.TB, text string) *history {
	t.Helper()
	h := &history{t: t, cell: historyCell, counts: map[bonded.ID]uint64{}, heads: map[int]verify.Head{}}
	h.genesis()
	for w := range strings.FieldsSeq(text) {
		switch w {
		case "|":
			h.seal()
		case "^":
			h.anchor()
		default:
			h.act(w)
		}
	}
	return h
}

func (h *history) genesis() {
	dir := h.directory().Encode()
	digest := verify.DirectoryDigest(dir)
	fields := []verify.LeafField{{Name: "directory", Salt: salt("genesis"), Value: digest[:]}}
	l := verify.Leaf{Kind: verify.LeafDirectory, Cell: h.cell, Time: 1_790_000_000, Root: verify.CommitFields(fields)}
	h.entries = append(h.entries, l.Encode())
}

// act enters one thing and releases its keys, or goes wrong as its mark says.
func (h *history) act(word string) {
	op := map[byte]verify.Operation{'C': verify.OpCreate, 'R': verify.OpRead, 'B': verify.OpRead, 'F': verify.OpFind, 'E': verify.OpErase}[word[0]]
	names, mark := word[1:], byte(0)
	if n := len(word); n > 1 && strings.IndexByte("-*=?!2#%@&$", word[n-1]) >= 0 {
		names, mark = word[1:n-1], word[n-1]
	}
	if word[0] == 'F' {
		names = ""
	}
	h.seq++
	row := h.newRow(op, names)
	switch mark {
	case '@':
		row.Assurance, row.Digest = verify.AssuranceVault, [32]byte{}
	case '&':
		row.Resolved = true
	}
	s := salt(fmt.Sprint("row ", h.seq))
	leaf := verify.RowLeaf(row, s)
	if mark == '%' {
		altered := *row
		altered.Reason = "another reason"
		defer func() { h.rows[len(h.rows)-1].Row = verify.EncodeRow(&altered) }()
	}
	if mark != '=' && mark != '?' {
		h.release(row, leaf, mark)
	}
	if mark == '2' {
		h.release(row, leaf, 0)
	}
	if mark != '-' && mark != '*' {
		h.enter(row, s)
	}
	second := map[byte]verify.Outcome{'*': verify.OutcomeOrphan, '?': verify.OutcomeUnanswered, '!': verify.OutcomeRefused}[mark]
	if second != 0 {
		h.seq++
		r := *row
		r.RowRef.Seq, r.Refers, r.Outcome = h.seq, row.RowRef, second
		if mark == '!' {
			r.Code = bonded.CodeKeyholderRefused
		}
		h.enter(&r, salt(fmt.Sprint("row ", h.seq)))
	}
	if mark == '$' {
		h.enter(row, s)
	}
}

func (h *history) newRow(op verify.Operation, names string) *verify.Row {
	row := &verify.Row{
		RowRef: verify.RowRef{Node: 1, Incarnation: 1, Seq: h.seq}, Cell: h.cell, Time: 1_790_000_000_000 + h.seq,
		Operation: op, Outcome: verify.OutcomeAllowed, Principal: "svc-orders", Assurance: verify.AssuranceProven,
		Collection: "users", Purpose: "support", Reason: "ticket 4711", Basis: "contract", Rules: []string{"permit-app"},
		RequestID: id(fmt.Sprint("request ", h.seq)), Digest: hash(fmt.Sprint("digest ", h.seq)), Policy: hash("policy"),
	}
	if op == verify.OpFind {
		row.Items = []verify.RowItem{{Index: []string{"email"}}}
		return row
	}
	for n := range strings.SplitSeq(names, "+") {
		it := verify.RowItem{Subject: id("subject " + n), Record: id("record " + n), Fields: []string{"name", "email"}}
		switch op {
		case verify.OpCreate:
			it.Index = []string{"email"}
		case verify.OpErase:
			it.Record, it.Fields = bonded.ID{}, nil
		}
		row.Items = append(row.Items, it)
	}
	return row
}

// release appends the keyholder's row.
func (h *history) release(row *verify.Row, leaf [32]byte, mark byte) {
	h.bookSeq++
	b := &verify.BookRow{
		Seq: h.bookSeq, Kind: verify.BookUnlock, Cell: h.cell, Time: 1_790_000_000_000 + h.bookSeq, Row: row.RowRef, RowLeaf: leaf,
		Operation: row.Operation, Outcome: verify.OutcomeAllowed, Principal: row.Principal, Assurance: row.Assurance, Resolved: row.Resolved,
		Collection: row.Collection, Purpose: row.Purpose, Reason: row.Reason, Basis: row.Basis, Digest: row.Digest, Policy: row.Policy,
	}
	if row.Operation == verify.OpErase {
		b.Kind = verify.BookDestroy
	}
	if mark == '!' {
		b.Outcome, b.Code = verify.OutcomeRefused, bonded.CodeBudget
	}
	for i := range row.Items {
		it := &row.Items[i]
		bi := verify.BookItem{Subject: it.Subject, Record: it.Record, Index: it.Index}
		for _, f := range it.Fields {
			bi.Fields = append(bi.Fields, verify.BookField{Name: f, Version: id(fmt.Sprint("version ", row.Seq))})
		}
		if !it.Subject.IsZero() && mark != '!' && b.Kind == verify.BookUnlock {
			h.counts[it.Subject]++
			if mark == '#' {
				h.counts[it.Subject]++
			}
			bi.N = h.counts[it.Subject]
		}
		b.Items = append(b.Items, bi)
	}
	h.addBook(b)
}

func (h *history) addBook(b *verify.BookRow) {
	raw := verify.EncodeBookRow(b)
	h.book = append(h.book, raw)
	h.chain = verify.BookChain(h.chain, raw)
}

func (h *history) enter(row *verify.Row, s verify.Salt) {
	r := verify.JournalRow{Position: uint64(len(h.rows)) + 1, Row: verify.EncodeRow(row), Salt: s}
	h.rows = append(h.rows, r)
	h.lines = append(h.lines, verify.JournalEntry{Row: &verify.JournalRow{Position: r.Position}})
	h.leaves = append(h.leaves, verify.RowLeaf(row, s))
}

func (h *history) seal() {
	seg := &verify.Segment{
		Cell: h.cell, Node: 1, Incarnation: 1, Number: uint64(len(h.segs)) + 1, First: uint64(h.openFrom) + 1, Count: uint64(len(h.leaves)),
		Root: verify.TreeRoot(h.leaves), Prev: h.prevSeg, PrevCheckpoint: hash("checkpoint"),
	}
	h.segs, h.prevSeg = append(h.segs, verify.EncodeSegment(seg)), seg.Hash()
	h.segHash = append(h.segHash, seg.Hash())
	h.lines = append(h.lines, verify.JournalEntry{Segment: h.segs[len(h.segs)-1]})
	h.segLeaves = append(h.segLeaves, h.leaves)
	h.leaves, h.openFrom = nil, len(h.rows)
}

func (h *history) head() verify.Head {
	head := verify.Head{Cell: h.cell, Seq: h.bookSeq, Chain: h.chain, Time: 1_790_000_000_000 + h.bookSeq}
	copy(head.Sig[:], ed25519.Sign(logKey("keyholder"), head.Message()))
	return head
}

func (h *history) anchor() {
	var hashes []tlog.Hash
	for _, s := range h.segHash[h.anchoredSegs:] {
		hashes = append(hashes, s)
	}
	root := verify.TreeRoot(hashes)
	var last []byte
	if len(h.segs) > 0 {
		last = h.segs[len(h.segs)-1]
	}
	head, policy, digest := h.head(), hash("policy"), verify.DirectoryDigest(h.directory().Encode())
	values := [][]byte{root[:], last, head.Encode(), make([]byte, 40), policy[:], digest[:]}
	var fields []verify.LeafField
	for i, n := range []string{verify.AnchorSegments, verify.AnchorLast, verify.AnchorHead, verify.AnchorTombstones, verify.AnchorPolicy, verify.AnchorDirectory} {
		fields = append(fields, verify.LeafField{Name: n, Salt: salt(fmt.Sprint("anchor ", len(h.anch), n)), Value: values[i]})
	}
	l := verify.Leaf{Kind: verify.LeafAnchor, Cell: h.cell, Time: 1_790_000_000 + uint64(len(h.anch)), Prev: h.prevAnchor, Root: verify.CommitFields(fields)}
	raw := l.Encode()
	h.prevAnchor = tlog.RecordHash(raw)
	h.anch = append(h.anch, verify.JournalAnchor{
		Index: uint64(len(h.entries)), Leaf: raw, Fields: verify.EncodeFields(fields), First: uint64(h.anchoredSegs) + 1, Last: uint64(len(h.segs)),
	})
	h.fields = append(h.fields, fields)
	h.entries = append(h.entries, raw)
	h.anchoredSegs = len(h.segs)
	h.lines = append(h.lines, verify.JournalEntry{Anchor: &h.anch[len(h.anch)-1]})
}

// directory returns the directory of the cell.
func (h *history) directory() *verify.Directory {
	pub := func(label string) string {
		return verify.EncodePublicKey(logKey(label).Public().(ed25519.PublicKey))
	}
	_, vkey := namedLogSigner(h.t, "log.example/eu", "log eu")
	return &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Issued: "2026-09-21T00:00:00Z", Admin: pub("admin"), Default: h.cell,
		Cells: []verify.DirectoryCell{{
			ID: h.cell, Jurisdictions: []bonded.Jurisdiction{"DE", "FR"}, Suite: "aes-256-gcm", Ledger: "https://log.example/eu",
			LedgerKey: vkey, WitnessPolicy: logPolicyText(h.t, 2, 3), PromiseKey: pub("promise"), KeyholderKey: pub("keyholder"),
		}},
	}
}

func (h *history) dirCell() *verify.DirectoryCell {
	c, _ := h.directory().Cell(h.cell)
	return c
}

// log returns the ledger's files.
func (h *history) log() *staticLog {
	l := &staticLog{files: map[string][]byte{}}
	n := int64(len(h.entries))
	for i, e := range h.entries {
		hs, err := tlog.StoredHashes(int64(i), e, l)
		if err != nil {
			h.t.Fatal(err)
		}
		l.entries, l.hashes = append(l.entries, e), append(l.hashes, hs...)
	}
	for _, tile := range tlog.NewTiles(8, 0, n) {
		data, err := tlog.ReadTileData(tile, l)
		if err != nil {
			h.t.Fatal(err)
		}
		l.files[strings.Replace(tile.Path(), "tile/8/", "tile/", 1)] = data
	}
	for i := int64(0); i*verify.TileWidth < n; i++ {
		var b []byte
		width := min(n-i*verify.TileWidth, verify.TileWidth)
		for _, e := range l.entries[i*verify.TileWidth : i*verify.TileWidth+width] {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
		}
		l.files[verify.BundlePath(i, int(width))] = b
	}
	signer, _ := namedLogSigner(h.t, "log.example/eu", "log eu")
	l.files["checkpoint"] = cosigned(h.t, signer, checkpointText("log.example/eu", n, l.root(h.t, n)), map[string]int64{"w1.example": 1_790_000_100, "w3.example": 1_790_000_101})
	return l
}

// journal returns the journal export; edit may change its lines.
func (h *history) journal(edit func([]verify.JournalEntry) []verify.JournalEntry) []byte {
	var b bytes.Buffer
	w, err := verify.NewJournalWriter(&b, h.cell, 1)
	lines := slices.Clone(h.lines)
	for i := range lines {
		if r := lines[i].Row; r != nil {
			lines[i].Row = &h.rows[r.Position-1]
		}
	}
	if edit != nil {
		lines = edit(lines)
	}
	for _, e := range lines {
		switch {
		case err != nil:
			h.t.Fatal(err)
		case e.Row != nil:
			err = w.WriteRow(*e.Row)
		case e.Segment != nil:
			err = w.WriteSegment(e.Segment)
		default:
			err = w.WriteAnchor(*e.Anchor)
		}
	}
	if err := w.Close(); err != nil {
		h.t.Fatal(err)
	}
	return b.Bytes()
}

// bookExport returns the book export; edit may change its rows.
func (h *history) bookExport(edit func([][]byte) [][]byte) []byte {
	var b bytes.Buffer
	w, err := verify.NewBookWriter(&b, h.cell)
	if err != nil {
		h.t.Fatal(err)
	}
	rows := slices.Clone(h.book)
	if edit != nil {
		rows = edit(rows)
	}
	for _, r := range rows {
		if err := w.WriteRow(r); err != nil {
			h.t.Fatal(err)
		}
	}
	head := h.head()
	if err := w.Close(&head); err != nil {
		h.t.Fatal(err)
	}
	return b.Bytes()
}

// receipt returns the receipt of the row at a position (from 1), whose segment
// must be anchored.
func (h *history) receipt(position int, show []int) *verify.Receipt {
	row, err := verify.DecodeRow(h.rows[position-1].Row)
	if err != nil {
		h.t.Fatal(err)
	}
	for n, raw := range h.segs {
		seg, err := verify.DecodeSegment(raw)
		if err != nil {
			h.t.Fatal(err)
		}
		if uint64(position) >= seg.First+seg.Count {
			continue
		}
		for i, a := range h.anch {
			if uint64(n) >= a.Last {
				continue
			}
			leaf, err := verify.DecodeLeaf(a.Leaf)
			if err != nil {
				h.t.Fatal(err)
			}
			var hashes []tlog.Hash
			for _, s := range h.segHash[a.First-1 : a.Last] {
				hashes = append(hashes, s)
			}
			l := h.log()
			proof := staticProof(h.t, l, int64(a.Index), nil)
			return verify.MakeReceipt(row, h.rows[position-1].Salt, seg, h.segLeaves[n], position-int(seg.First), hashes, n+1-int(a.First), leaf, h.fields[i], string(proof), show)
		}
	}
	h.t.Fatalf("row %d is not anchored", position)
	return nil
}
