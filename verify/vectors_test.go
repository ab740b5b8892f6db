package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

const vectorsDir = "../spec/vectors"

// golden compares a file of spec/vectors with what the code makes; UPDATE=1
// rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join(vectorsDir, filepath.FromSlash(name))
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is not what the code makes; if the format was meant to change, run UPDATE=1 go test", name)
	}
}

func goldenJSON(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	golden(t, name, b.Bytes())
}

// plain turns a value into what any language reads from JSON: names in snake
// case, bytes in hexadecimal, row references as text, 64-bit numbers as text
// because JSON numbers lose digits.
func plain(v any) any {
	if r, ok := v.(verify.RowRef); ok {
		return r.String()
	}
	x := reflect.ValueOf(v)
	switch x.Kind() {
	case reflect.Pointer:
		return plain(x.Elem().Interface())
	case reflect.Struct:
		m := map[string]any{}
		for i := range x.NumField() {
			name := x.Type().Field(i).Name
			if name == "RowRef" {
				name = "Row"
			}
			m[snake(name)] = plain(x.Field(i).Interface())
		}
		return m
	case reflect.Array, reflect.Slice:
		if x.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("%x", v)
		}
		list := []any{}
		for i := range x.Len() {
			list = append(list, plain(x.Index(i).Interface()))
		}
		return list
	case reflect.Uint64:
		return fmt.Sprint(x.Uint())
	case reflect.String:
		return x.String()
	default:
		return v
	}
}

func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 && !strings.HasSuffix(s[:i], "I") && s != "RequestID" {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Replace(b.String(), "requestid", "request_id", 1)
}

func hexes[T ~[]byte](bs []T) []string {
	out := []string{}
	for _, b := range bs {
		out = append(out, hex.EncodeToString(b))
	}
	return out
}

type obj = map[string]any

func TestVectorsOfRows(t *testing.T) {
	g := newGen(5)
	rows := []*verify.Row{newHistory(t, "").newRow(verify.OpRead, "a+b+c")}
	rows[0].Seq = 1
	for range 7 {
		rows = append(rows, g.row())
	}
	var list []any
	for i, r := range rows {
		s := salt(fmt.Sprint("vector ", i))
		head, items, leaves, root, leaf := rowByHand(r, s)
		if got := verify.RowLeaf(r, s); !bytes.Equal(got[:], leaf) {
			t.Fatalf("row %d", i)
		}
		list = append(list, obj{
			"row": plain(r), "salt": hex.EncodeToString(s[:]), "bytes": hex.EncodeToString(verify.EncodeRow(r)), "head": hex.EncodeToString(head),
			"items": hexes(items), "item_leaves": hexes(leaves), "items_root": hex.EncodeToString(root), "leaf": hex.EncodeToString(leaf),
		})
	}
	good := verify.EncodeRow(rows[0])
	refused := []any{}
	for _, c := range []struct {
		why string
		b   []byte
	}{
		{"another version", append([]byte{2}, good[1:]...)},
		{"a trailing byte", append(bytes.Clone(good), 0)},
		{"cut off", good[:len(good)-1]},
		{"the length of the cell in two bytes", append([]byte{1, 0x82, 0}, good[2:]...)},
		{"empty", nil},
	} {
		if _, err := verify.DecodeRow(c.b); err == nil {
			t.Errorf("accepted: %s", c.why)
		}
		refused = append(refused, obj{"why": c.why, "bytes": hex.EncodeToString(c.b)})
	}
	goldenJSON(t, "rows.json", obj{"comment": "Vectors of spec/journal.md. Bytes are hexadecimal, 64-bit numbers text. Everything in \"refused\" must not decode.", "rows": list, "refused": refused})
}

func TestVectorsOfBooks(t *testing.T) {
	h := newHistory(t, "Ca Ra Ba+b! F@ Ea")
	var rows []any
	var chain [32]byte
	for _, raw := range h.book {
		chain = verify.BookChain(chain, raw)
		r, err := verify.DecodeBookRow(raw)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, obj{"row": plain(r), "bytes": hex.EncodeToString(raw), "chain": hex.EncodeToString(chain[:])})
	}
	key := logKey("keyholder")
	sign := func(msg []byte, sig *[64]byte) { copy(sig[:], ed25519.Sign(key, msg)) }
	head := h.head()
	var prev [32]byte
	var subject []any
	for n := uint64(1); n <= 3; n++ {
		leaf := hash(fmt.Sprint("leaf ", n))
		next := verify.SubjectChain(prev, n, leaf)
		subject = append(subject, obj{"before": plain(prev), "n": n, "row_leaf": plain(leaf), "after": plain(next)})
		prev = next
	}
	count := verify.SubjectCount{Cell: "eu", Subject: id("subject a"), N: 3, Chain: prev, Head: chain, Time: 1_790_000_000_009}
	sign(count.Message(), &count.Sig)
	tombKey := hash("tombstone key")
	var tombs []any
	var tc [32]byte
	for n := uint64(1); n <= 2; n++ {
		s := id(fmt.Sprint("erased ", n))
		m := hmac.New(sha256.New, tombKey[:])
		m.Write(s[:])
		mark := [32]byte(m.Sum(nil))
		tc = verify.TombstoneChain(tc, mark)
		tomb := verify.Tombstone{Cell: "eu", N: n, Mark: mark, Chain: tc, Time: 1_790_000_000_000 + n}
		sign(tomb.Message(), &tomb.Sig)
		tombs = append(tombs, obj{"subject": plain(s), "tombstone": plain(tomb), "message": hex.EncodeToString(tomb.Message())})
	}
	goldenJSON(t, "books.json", obj{
		"comment": "Vectors of spec/keyholder.md. Bytes are hexadecimal, 64-bit numbers text. All signatures are of keyholder_key.",
		"rows":    rows, "keyholder_key": hex.EncodeToString(key.Public().(ed25519.PublicKey)),
		"head":    obj{"head": plain(head), "message": hex.EncodeToString(head.Message()), "bytes": hex.EncodeToString(head.Encode())},
		"subject": subject, "count": obj{"count": plain(count), "message": hex.EncodeToString(count.Message())},
		"tombstone_key": plain(tombKey), "tombstones": tombs,
	})
}

func TestVectorsOfSegmentsLeavesAndPromises(t *testing.T) {
	h := newHistory(t, "Ca Ra | Rb F Ra | ^ ^ Ra | ^")
	var segs, leaves []any
	for i, raw := range h.segs {
		s, err := verify.DecodeSegment(raw)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, l := range h.segLeaves[i] {
			rows = append(rows, hex.EncodeToString(l[:]))
		}
		sh := s.Hash()
		segs = append(segs, obj{"segment": plain(s), "row_leaves": rows, "bytes": hex.EncodeToString(raw), "hash": hex.EncodeToString(sh[:])})
	}
	for i, a := range h.anch {
		l, err := verify.DecodeLeaf(a.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		lh := tlog.RecordHash(a.Leaf)
		var opened []any
		for j := range h.fields[i] {
			f := verify.OpenField(h.fields[i], j)
			var path []string
			for _, p := range f.Path {
				path = append(path, hex.EncodeToString(p[:]))
			}
			opened = append(opened, obj{"name": f.Name, "salt": plain(f.Salt), "value": hex.EncodeToString(f.Value), "index": f.Index, "count": f.Count, "path": path})
		}
		leaves = append(leaves, obj{
			"leaf": plain(l), "bytes": hex.EncodeToString(a.Leaf), "leaf_hash": hex.EncodeToString(lh[:]),
			"first_segment": a.First, "last_segment": a.Last, "fields": opened, "fields_bytes": hex.EncodeToString(a.Fields),
		})
	}
	goldenJSON(t, "anchors.json", obj{
		"comment":  "Vectors of spec/journal.md: segments and the anchor leaves over them. Bytes are hexadecimal, 64-bit numbers text.",
		"segments": segs, "anchors": leaves,
	})
	var promises []any
	for _, at := range [][3]int{{4, 0, 2}, {5, 2, 3}, {3, 0, 3}, {4, 0, 3}, {5, 0, 3}, {4, 1, 3}} {
		p := h.promise(at[0], at[1], at[2])
		leaf := verify.PromiseLeaf(p.Ref, p.Leaf)
		promises = append(promises, obj{"promise": plain(p), "promise_leaf": hex.EncodeToString(leaf[:]), "message": hex.EncodeToString(p.Message()), "header": p.String()})
	}
	goldenJSON(t, "promises.json", obj{
		"comment":     "Vectors of spec/journal.md. Bytes are hexadecimal, 64-bit numbers text. All are of rows 3 to 5, segment 2 in anchors.json, cut into commits in several ways.",
		"promise_key": hex.EncodeToString(logKey("promise").Public().(ed25519.PublicKey)),
		"promises":    promises,
	})
}

func TestVectorsOfNames(t *testing.T) {
	var ids []any
	for i, cell := range []bonded.CellID{"eu", "cn", "abcdefgh"} {
		v := id(fmt.Sprint("name ", i))
		ids = append(ids, obj{
			"cell": cell, "id": plain(v), "subject": bonded.SubjectID{Cell: cell, ID: v}.String(), "record": bonded.RecordID{Cell: cell, ID: v}.String(),
			"token": bonded.Token{Cell: cell, ID: v}.String(), "case": bonded.CaseID{Cell: cell, ID: v}.String(),
		})
	}
	good := bonded.SubjectID{Cell: "eu", ID: id("name 0")}.String()
	var refused []string
	for _, s := range []string{strings.ToUpper(good), good[:len(good)-1], strings.Replace(good, "_eu_", "_cn_", 1), "rec" + good[3:], good + "0", strings.Replace(good, "sub_eu_", "sub_eu_8", 1)[:len(good)]} {
		if _, err := bonded.ParseSubjectID(s); err == nil {
			t.Errorf("accepted %q", s)
		}
		refused = append(refused, s)
	}
	goldenJSON(t, "names.json", obj{"comment": "Vectors of spec/encoding.md. Nothing in \"refused\" is a subject id.", "ids": ids, "refused": refused})
}

// TestVectorsOfACell writes one small cell as files: directory, ledger, both
// exported books, a receipt. bonded-verify is tested on the same files.
func TestVectorsOfACell(t *testing.T) {
	h := newHistory(t, "Ca Cb | Ra Rb@ F& ^ Ba+b | Rb! Ra? Ra= Rb* | ^ ^ Ea Cc | ^")
	dir := h.directory().Encode()
	golden(t, "cell/cells.json", dir)
	golden(t, "cell/cells.json.sig", verify.SignDirectory(logKey("admin"), dir))
	golden(t, "cell/journal.jsonl", h.journal(nil))
	golden(t, "cell/book.jsonl", h.bookExport(nil))
	golden(t, "cell/receipt.json", h.receipt(6, []int{1}).Encode())
	golden(t, "cell/promise.txt", []byte(h.promise(4, 0, 2).String()+"\n"))
	for p, b := range h.log().files {
		golden(t, "cell/ledger/"+p, b)
	}
}
