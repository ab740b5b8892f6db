package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// gen makes random values; the same seed makes the same.
type gen struct{ *rand.Rand }

func newGen(seed byte) gen { return gen{rand.New(rand.NewChaCha8([32]byte{seed}))} }

func (g gen) bytes(dst []byte) {
	for i := range dst {
		dst[i] = byte(g.IntN(256))
	}
}

func (g gen) id() (id bonded.ID) {
	if g.IntN(4) > 0 {
		g.bytes(id[:])
	}
	return id
}

func (g gen) hash() (h [32]byte) {
	if g.IntN(3) > 0 {
		g.bytes(h[:])
	}
	return h
}

func (g gen) text() string {
	return []string{"", "a", "users", "Zoë", "北京市", "𐍈 four bytes", strings.Repeat("x", 64)}[g.IntN(7)]
}

func (g gen) texts() (ss []string) {
	for range g.IntN(4) {
		ss = append(ss, g.text())
	}
	return ss
}

func (g gen) uint() uint64 { return g.Uint64() >> g.IntN(64) }

func (g gen) ref() verify.RowRef {
	return verify.RowRef{Node: uint16(g.uint()), Incarnation: g.uint(), Seq: g.uint()}
}

func (g gen) row() *verify.Row {
	r := &verify.Row{
		RowRef: g.ref(), Cell: []bonded.CellID{"eu", "cn", "abcdefgh"}[g.IntN(3)], Time: g.uint(), Operation: verify.Operation(g.IntN(25)),
		Outcome: verify.Outcome(1 + g.IntN(6)), Code: bonded.Code(g.text()), Principal: g.text(), Assurance: verify.Assurance(g.IntN(5)),
		Resolved: g.IntN(2) == 0, Collection: g.text(), Purpose: bonded.Purpose(g.text()), Reason: g.text(), Basis: g.text(), Rules: g.texts(),
		RequestID: g.id(), Digest: g.hash(), Policy: g.hash(), Refers: g.ref(), Count: g.uint(),
	}
	for range g.IntN(6) {
		r.Items = append(r.Items, verify.RowItem{Subject: g.id(), Record: g.id(), Fields: g.texts(), Index: g.texts()})
	}
	return r
}

func (g gen) bookRow() *verify.BookRow {
	r := &verify.BookRow{
		Seq: g.uint(), Kind: verify.BookKind(1 + g.IntN(6)), Cell: "eu", Time: g.uint(), Row: g.ref(), RowLeaf: g.hash(),
		Operation: verify.Operation(g.IntN(25)), Outcome: verify.Outcome(1 + g.IntN(6)), Code: bonded.Code(g.text()), Principal: g.text(),
		Assurance: verify.Assurance(g.IntN(5)), Resolved: g.IntN(2) == 0, Collection: g.text(), Purpose: bonded.Purpose(g.text()),
		Reason: g.text(), Basis: g.text(), Digest: g.hash(), Policy: g.hash(), Detail: g.text(),
	}
	for range g.IntN(6) {
		it := verify.BookItem{Subject: g.id(), Record: g.id(), Index: g.texts(), Code: bonded.Code(g.text()), N: g.uint()}
		for _, n := range g.texts() {
			it.Fields = append(it.Fields, verify.BookField{Name: n, Version: g.id()})
		}
		r.Items = append(r.Items, it)
	}
	return r
}

func (g gen) segment() *verify.Segment {
	return &verify.Segment{
		Cell: "eu", Node: uint16(g.uint()), Incarnation: g.uint(), Number: g.uint(), First: g.uint(), Count: g.uint(),
		Root: g.hash(), Prev: g.hash(), PrevCheckpoint: g.hash(),
	}
}

func (g gen) leaf() *verify.Leaf {
	return &verify.Leaf{Kind: verify.LeafKind(1 + g.IntN(3)), Cell: "eu", Time: g.uint(), OpenBy: g.uint(), Prev: g.hash(), Root: g.hash()}
}

// The hash over 10,000 random values of each format pins its every byte
// without a file of that size.
func TestFormatsAccumulateToKnownHashes(t *testing.T) {
	g := newGen(1)
	rows, books, segs, leaves := sha256.New(), sha256.New(), sha256.New(), sha256.New()
	for range 10_000 {
		row, salt := g.row(), verify.Salt(g.hash())
		leaf := verify.RowLeaf(row, salt)
		if err := row.Check(); err != nil {
			t.Fatal(err)
		}
		rows.Write(verify.EncodeRow(row))
		rows.Write(leaf[:])
		books.Write(verify.EncodeBookRow(g.bookRow()))
		seg := g.segment()
		h := seg.Hash()
		segs.Write(verify.EncodeSegment(seg))
		segs.Write(h[:])
		leaves.Write(g.leaf().Encode())
	}
	got := map[string]string{}
	for n, h := range map[string]interface{ Sum([]byte) []byte }{"rows": rows, "book rows": books, "segments": segs, "leaves": leaves} {
		got[n] = hex.EncodeToString(h.Sum(nil))
	}
	want := map[string]string{
		"rows":      "cf417ffe9e20c90378cf1a7eaa395319c344432f1d97796e4808ca101160bffa",
		"book rows": "dca70e36276bdeb708cab9a0d5ab6704f33b355f389028fb579633f6ea82aba3",
		"segments":  "12925867f7c2a27acbec40a817020419cd26538b08d939bc7fb7163a08272d09",
		"leaves":    "9762e4dcbc3d48111320ba1a6ab97b3b9c965b1639766a16a02bb506c18f454e",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRowLeafIsWhatTheSpecificationSays(t *testing.T) {
	g := newGen(2)
	for range 500 {
		row, s := g.row(), verify.Salt(g.hash())
		head, items, _, _, leaf := rowByHand(row, s)
		if want := append(head, bytes.Join(items, nil)...); !bytes.Equal(want, verify.EncodeRow(row)) {
			t.Fatalf("bytes of %+v", row)
		}
		if got := verify.RowLeaf(row, s); !bytes.Equal(got[:], leaf) {
			t.Fatalf("leaf of %+v", row)
		}
	}
}

func TestDecodersReadEveryValueAndNoOtherSpelling(t *testing.T) {
	g := newGen(3)
	for range 300 {
		row, book, seg, leaf := g.row(), g.bookRow(), g.segment(), g.leaf()
		checkFormat(t, "row", row, verify.EncodeRow, verify.DecodeRow)
		checkFormat(t, "book row", book, verify.EncodeBookRow, verify.DecodeBookRow)
		checkFormat(t, "segment", seg, verify.EncodeSegment, verify.DecodeSegment)
		checkFormat(t, "leaf", leaf, (*verify.Leaf).Encode, verify.DecodeLeaf)
		head := &verify.Head{Cell: "eu", Seq: g.uint(), Chain: g.hash(), Time: g.uint()}
		g.bytes(head.Sig[:])
		checkFormat(t, "head", head, (*verify.Head).Encode, verify.DecodeHead)
	}
}

// checkFormat checks that v is read back, and that whatever else the decoder
// accepts near it is read as something else.
func checkFormat[V any](t *testing.T, name string, v *V, encode func(*V) []byte, decode func([]byte) (*V, error)) {
	t.Helper()
	b := encode(v)
	got, err := decode(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if d := cmp.Diff(v, got); d != "" {
		t.Fatalf("%s: %s", name, d)
	}
	for _, c := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0), nil} {
		if _, err := decode(c); err == nil {
			t.Fatalf("%s: accepted %d of %d bytes", name, len(c), len(b))
		}
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1 << (i % 8)
		if w, err := decode(c); err == nil && !bytes.Equal(encode(w), c) {
			t.Fatalf("%s: two spellings with byte %d changed", name, i)
		}
	}
}

func TestRowCheckRefusesWhatWouldNotDecode(t *testing.T) {
	long := strings.Repeat("x", 513)
	for name, alter := range map[string]func(*verify.Row){
		"cell":       func(r *verify.Row) { r.Cell = "EU" },
		"code":       func(r *verify.Row) { r.Code = bonded.Code(long) },
		"principal":  func(r *verify.Row) { r.Principal = long },
		"collection": func(r *verify.Row) { r.Collection = long[:65] },
		"purpose":    func(r *verify.Row) { r.Purpose = bonded.Purpose(long[:65]) },
		"reason":     func(r *verify.Row) { r.Reason = long[:257] },
		"basis":      func(r *verify.Row) { r.Basis = "\xff" },
		"rules":      func(r *verify.Row) { r.Rules = make([]string, 65) },
		"operation":  func(r *verify.Row) { r.Operation = 27 },
		"items":      func(r *verify.Row) { r.Items = []verify.RowItem{{Fields: []string{long[:65]}}} },
	} {
		r := newGen(4).row()
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		alter(r)
		if err := r.Check(); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := verify.DecodeRow(verify.EncodeRow(r)); err == nil && name != "cell" {
			t.Errorf("%s: decodes all the same", name)
		}
	}
}

func TestSignedStatementsHoldForTheirKeyAndContentOnly(t *testing.T) {
	key, other := logKey("keyholder"), logKey("other").Public().(ed25519.PublicKey)
	pub := key.Public().(ed25519.PublicKey)
	head := verify.Head{Cell: "eu", Seq: 1, Chain: hash("c"), Time: 2}
	copy(head.Sig[:], ed25519.Sign(key, head.Message()))
	count := verify.SubjectCount{Cell: "eu", Subject: id("s"), N: 1, Chain: hash("c"), Head: hash("h"), Time: 2}
	copy(count.Sig[:], ed25519.Sign(key, count.Message()))
	tomb := verify.Tombstone{Cell: "eu", N: 1, Mark: hash("m"), Chain: hash("c"), Time: 2}
	copy(tomb.Sig[:], ed25519.Sign(key, tomb.Message()))
	promise := verify.Promise{Cell: "eu", Ref: verify.RowRef{Node: 1, Incarnation: 1, Seq: 1}, Segment: 1, Size: 1, Root: hash("r")}
	promise.Batch = verify.PromiseLeaf(promise.Ref, promise.Leaf)
	copy(promise.Sig[:], ed25519.Sign(key, promise.Message()))
	if !head.Verify(pub) || !count.Verify(pub) || !tomb.Verify(pub) || !promise.Verify(pub) {
		t.Error("a right signature is refused")
	}
	if head.Verify(other) || count.Verify(other) || tomb.Verify(other) || promise.Verify(other) || head.Verify(nil) {
		t.Error("another key is accepted")
	}
	// No statement can pass for one of another kind or cell.
	messages := map[string]bool{}
	for _, m := range [][]byte{head.Message(), count.Message(), tomb.Message(), promise.Message()} {
		messages[string(m)] = true
	}
	head.Cell, count.N, tomb.N, promise.Size = "cn", 2, 2, 2
	if len(messages) != 4 || head.Verify(pub) || count.Verify(pub) || tomb.Verify(pub) || promise.Verify(pub) {
		t.Error("another statement is accepted")
	}
}

func TestOpenedFieldsBelongToTheirLeafAndPlace(t *testing.T) {
	var fields []verify.LeafField
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		fields = append(fields, verify.LeafField{Name: n, Salt: salt(n), Value: []byte(n)})
	}
	root := verify.CommitFields(fields)
	for i := range fields {
		f := verify.OpenField(fields, i)
		if err := f.Check(root); err != nil {
			t.Errorf("field %d: %v", i, err)
		}
		g := f
		g.Value = []byte("z")
		h := f
		h.Name = "z"
		k := f
		k.Index = (f.Index + 1) % 5
		if g.Check(root) == nil || h.Check(root) == nil || k.Check(root) == nil {
			t.Errorf("field %d: holds with another value, name or place", i)
		}
	}
	got, err := verify.DecodeFields(verify.EncodeFields(fields))
	if err != nil || cmp.Diff(fields, got) != "" {
		t.Error(err)
	}
}

func TestTreePathLeadsFromEveryLeaf(t *testing.T) {
	for n := 1; n <= 40; n++ {
		leaves := make([]tlog.Hash, n)
		raw := make([][]byte, n)
		for i := range leaves {
			leaves[i] = sha256.Sum256([]byte{byte(i), byte(n)})
			raw[i] = leaves[i][:]
		}
		root := verify.TreeRoot(leaves)
		if !bytes.Equal(root[:], merkle(raw)) {
			t.Fatalf("root of %d", n)
		}
		for i := range leaves {
			p := verify.TreePath(leaves, i)
			if err := verify.CheckPath(root, p, int64(i), int64(n), leaves[i]); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, n, err)
			}
			if n > 1 && verify.CheckPath(root, p, int64((i+1)%n), int64(n), leaves[i]) == nil {
				t.Fatalf("leaf %d of %d holds at another place", i, n)
			}
		}
	}
	if verify.CheckPath(tlog.Hash{}, nil, 0, 1<<62, tlog.Hash{}) == nil {
		t.Error("a count over 2^56 is accepted")
	}
}

func TestParsePromiseReadsOneSpelling(t *testing.T) {
	p := &verify.Promise{
		Cell: "eu", Ref: verify.RowRef{Node: 1, Incarnation: 3, Seq: 4711}, Leaf: hash("l"), Segment: 9, Index: 2, Begin: 1, Size: 5,
		Root: hash("r"), Batch: hash("b"), Path: []tlog.Hash{hash("p1"), hash("p2")},
	}
	g, err := verify.ParsePromise(p.String())
	if err != nil || !reflect.DeepEqual(g, p) {
		t.Fatal(err)
	}
	s := p.String()
	path := s[strings.Index(s, "path=")+5 : strings.Index(s, ";sig=")]
	for name, bad := range map[string]string{
		"empty": "", "version": "v1" + s[2:], "a leading zero": strings.Replace(s, "segment=9", "segment=09", 1), "order": strings.Replace(s, "begin=1;size=5", "size=5;begin=1", 1),
		"a line end": strings.Replace(s, "leaf=", "leaf=\n", 1), "a space": s + " ", "more": s + ";x=1", "a sign": strings.Replace(s, "size=5", "size=+5", 1), "a big cell": strings.Replace(s, "cell=eu", "cell=EU", 1),
		"a path that ends in a dot": strings.Replace(s, path, path+".", 1), "a path that begins with one": strings.Replace(s, path, "."+path, 1),
		"half a hash": strings.Replace(s, path, path[:24], 1), "a long path": strings.Replace(s, path, path+strings.Repeat("."+path, 12), 1),
		"no path": strings.Replace(s, "path="+path+";", "", 1), "a part left out": strings.Replace(s, ";begin=1", "", 1), "no signature": s[:strings.Index(s, ";sig=")],
	} {
		if _, err := verify.ParsePromise(bad); err == nil {
			t.Errorf("accepted %s", name)
		}
	}
	p.Path = slices.Repeat(p.Path, 12)
	p.Ref, p.Segment, p.Index, p.Begin, p.Size = verify.RowRef{Node: 1<<16 - 1, Incarnation: 1<<64 - 1, Seq: 1<<64 - 1}, 1<<64-1, 1<<64-1, 1<<64-1, 1<<64-1
	if p.Cell = "abcdefgh"; len(p.String()) > verify.MaxPromise {
		t.Errorf("the longest promise has %d bytes", len(p.String()))
	}
	if g, err := verify.ParsePromise(p.String()); err != nil || !reflect.DeepEqual(g, p) || g.Covers() {
		t.Errorf("the longest promise: %v", err)
	}
}

func TestKindsThatAreNotThereAreRefused(t *testing.T) {
	row := newGen(4).bookRow()
	for kind, want := range map[verify.BookKind]bool{0: false, verify.BookStart: true, verify.BookCustody: true, verify.BookControl: true, 9: false} {
		row.Kind = kind
		if _, err := verify.DecodeBookRow(verify.EncodeBookRow(row)); (err == nil) != want {
			t.Errorf("book row of kind %d: %v", kind, err)
		}
	}
	leaf := newGen(4).leaf()
	for kind, want := range map[verify.LeafKind]bool{0: false, verify.LeafCase: true, verify.LeafControl: true, 5: false} {
		leaf.Kind = kind
		if _, err := verify.DecodeLeaf(leaf.Encode()); (err == nil) != want {
			t.Errorf("leaf of kind %d: %v", kind, err)
		}
	}
}

func TestNamesHaveNoHoles(t *testing.T) {
	for o := verify.Operation(1); o.Valid(); o++ {
		if p, err := verify.ParseOperation(o.String()); err != nil || p != o {
			t.Errorf("%d: %q %v", o, o, err)
		}
	}
	if verify.Operation(200).String() != "unknown" || verify.Outcome(200).String() != "unknown" || verify.Assurance(200).String() != "unknown" || verify.BookKind(200).String() != "unknown" {
		t.Error("a number without a name")
	}
}
