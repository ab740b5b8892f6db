package release_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/recipient"
	"bonded/internal/release"
	"bonded/verify"
)

func (w *world) check(b []byte) (*verify.PackageReport, error) {
	return release.Check(bytes.NewReader(b), int64(len(b)), w.directory, now)
}

// opened opens a package and returns its rows.
func (w *world) opened(b []byte) (*rows, error) {
	out := new(rows)
	_, err := release.Open(bytes.NewReader(b), int64(len(b)), w.directory, now, w.key, w.private, out)
	return out, err
}

// rows is a sink in memory.
type rows struct {
	begun, ended bool
	rows         []string
}

func (r *rows) Begin(*verify.PackageReport) error { r.begun = true; return nil }

func (r *rows) Row(x *release.Row) error {
	s := string(x.Code)
	for _, f := range x.Fields {
		s += f.Name + "=" + string(f.Value) + " "
	}
	r.rows = append(r.rows, s)
	return nil
}

func (r *rows) End() error { r.ended = true; return nil }

func wantFailure(t testing.TB, err error, code string) {
	t.Helper()
	if f := verify.FailureOf(err); f == nil || f.Code != code {
		t.Errorf("err = %v, want a failure with code %s", err, code)
	}
}

func TestOpenGivesWhatWasReleased(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	rep, err := w.check(b)
	if err != nil {
		t.Fatal(err)
	}
	if rep.End.Released != 3 || rep.End.Refused != 1 || rep.Subjects != 3 || rep.Officer.ID != "officer-7" || len(rep.Approvals) != 3 || rep.Custodians.Dealt {
		t.Errorf("report: %+v", rep)
	}
	got, err := w.opened(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`email=person0@example.org name=Ada "the first" Beispiel, née=1 passport==C01X00T47 `,
		`email=person1@example.org name=Ada "the first" Beispiel, née=1 passport==C01X00T47 `,
		"erased",
		"amount=12.50 ",
	}
	if d := cmp.Diff(want, got.rows); d != "" || !got.ended {
		t.Error(d)
	}
}

func TestPackageOfNobodyHolds(t *testing.T) {
	w := newWorld(t)
	got, err := w.opened(w.made(nil))
	if err != nil || !got.ended || len(got.rows) != 0 {
		t.Errorf("%v %+v", err, got)
	}
}

func TestOutputsAreExact(t *testing.T) {
	w := newWorld(t)
	records := story()
	records[0].values[1] = []byte("two\nlines \xff")
	b := w.made(records)
	open := func(sink release.Sink) {
		t.Helper()
		if _, err := release.Open(bytes.NewReader(b), int64(len(b)), w.directory, now, w.key, w.private, sink); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	open(release.NewCSV(&out))
	table, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := []string{"Item", "Task", "Subject", "Record", "Collection", "Matched by", "Refused", "Entry", "email", "name", "passport", "amount", "Copy c0010000000000000000000000000000"}
	if d := cmp.Diff(head, table[0]); d != "" || len(table) != 5 {
		t.Error(d, len(table))
	}
	if d := cmp.Diff([]string{"users", "email", "", "1.1.100", "person0@example.org", "two\nlines \xff", "=C01X00T47", "", ""}, table[1][4:]); d != "" {
		t.Error(d)
	}
	out.Reset()
	open(release.NewJSON(&out))
	var doc struct {
		Format, Copy, Reference string
		Opening                 int64
		Items                   []struct {
			Item    int
			Refused string
			Fields  []struct {
				Name  string
				Match bool
				Value any
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err, out.String())
	}
	if doc.Format != release.FormatOpened || doc.Copy != "c0010000000000000000000000000000" || len(doc.Items) != 4 || doc.Items[2].Refused != "erased" || doc.Reference != "BKA-2026-4711" || doc.Opening == 0 {
		t.Errorf("%+v", doc)
	}
	if f := doc.Items[0].Fields; !f[0].Match || f[0].Value != "person0@example.org" || cmp.Diff(f[1].Value, map[string]any{"base64": "dHdvCmxpbmVzIP8="}) != "" {
		t.Errorf("%+v", f)
	}
}

func TestPackageForAnotherKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	w.private, w.key, _ = recipient.New()
	got, err := w.opened(b)
	wantFailure(t, err, verify.FailRecipient)
	if got.begun {
		t.Error("something was shown")
	}
}

func TestExpiredPackageIsRefused(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	for _, at := range []time.Time{expires, expires.Add(time.Hour)} {
		_, err := release.Check(bytes.NewReader(b), int64(len(b)), w.directory, at)
		wantFailure(t, err, verify.FailExpired)
	}
	if _, err := release.Check(bytes.NewReader(b), int64(len(b)), w.directory, expires.Add(-time.Second)); err != nil {
		t.Error(err)
	}
}

func TestPackageIsHeldToItsDirectory(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	for _, c := range []struct {
		name   string
		change func(*verify.Directory)
		code   string
	}{
		{"another version", func(d *verify.Directory) { d.Version = 2 }, verify.FailDirectory},
		{"no such cell", func(d *verify.Directory) { d.Default, d.Cells[0].ID = "cn", "cn" }, verify.FailCell},
		{"another vault", func(d *verify.Directory) { d.Cells[0].PromiseKey = verify.EncodePublicKey(public("other")) }, verify.FailPackage},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := verify.ParseDirectory(w.directory)
			if err != nil {
				t.Fatal(err)
			}
			c.change(d)
			_, err = release.Check(bytes.NewReader(b), int64(len(b)), d.Encode(), now)
			wantFailure(t, err, c.code)
		})
	}
	_, err := release.Check(bytes.NewReader(b), int64(len(b)), []byte("{}"), now)
	wantFailure(t, err, verify.FailKey)
}

func TestCheckRefusesEveryFlippedByte(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	for i := range b {
		if i%3 != 0 && i > 64 && i < len(b)-256 { // the ends whole, a third of the rest
			continue
		}
		b[i] ^= 1 << (i % 8)
		if _, err := w.check(b); verify.FailureOf(err) == nil {
			t.Fatalf("holds with byte %d of %d flipped: %v", i, len(b), err)
		}
		b[i] ^= 1 << (i % 8)
	}
}

func TestTruncatedPackageIsRefused(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	for n := 0; n < len(b); n += 97 {
		_, err := w.check(b[:n])
		wantFailure(t, err, verify.FailTruncated)
	}
	_, err := w.check(append(slices.Clone(b), 0))
	wantFailure(t, err, verify.FailSection)
}

// A section of a package taken apart.
type section struct {
	kind verify.PackageSection
	b    []byte
}

func apart(t testing.TB, b []byte) []section {
	t.Helper()
	var out []section
	p := verify.NewPackageReader(bytes.NewReader(b))
	for {
		kind, s, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, section{kind, slices.Clone(s)})
	}
}

// together writes sections and closes them as a vault would that lies.
func together(w *world, sections []section) []byte {
	out := []byte(verify.PackageMagic)
	end := &verify.PackageEnd{}
	put := func(s section) {
		out = append(out, byte(s.kind))
		out = binary.BigEndian.AppendUint64(out, uint64(len(s.b)))
		out = append(out, s.b...)
	}
	for _, s := range sections {
		switch s.kind {
		case verify.SectionEnd:
			continue
		case verify.SectionItem:
			if it, _, err := verify.ParsePackageItem(s.b); err == nil && it.Code != "" {
				end.Refused++
			} else {
				end.Released++
			}
		case verify.SectionReceipt:
			end.Receipts++
		}
		put(s)
	}
	end.Digest = sha256.Sum256(out)
	end.Sign(w.caseID, func(m []byte) []byte { return ed25519.Sign(testKey("promise"), m) })
	put(section{verify.SectionEnd, end.Encode()})
	return out
}

func find(sections []section, kind verify.PackageSection) int {
	return slices.IndexFunc(sections, func(s section) bool { return s.kind == kind })
}

func TestSectionsStandInTheirOrderOnce(t *testing.T) {
	w := newWorld(t)
	good := apart(t, w.made(story()))
	if _, err := w.check(together(w, good)); err != nil {
		t.Fatal(err)
	}
	for kind := verify.SectionManifest; kind <= verify.SectionOpening; kind++ {
		without := slices.DeleteFunc(slices.Clone(good), func(s section) bool { return s.kind == kind })
		_, err := w.check(together(w, without))
		wantFailure(t, err, verify.FailSection)
		i := find(good, kind)
		if !slices.Contains([]verify.PackageSection{verify.SectionCustody, verify.SectionRegistry, verify.SectionApproval}, kind) {
			_, err = w.check(together(w, slices.Insert(slices.Clone(good), i, good[i])))
			wantFailure(t, err, verify.FailSection)
		}
		swapped := slices.Clone(good)
		j := find(good, kind+1)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		_, err = w.check(together(w, swapped))
		wantFailure(t, err, verify.FailSection)
	}
	for _, kind := range []verify.PackageSection{0, 13, 255} {
		_, err := w.check(together(w, append(slices.Clone(good), section{kind, nil})))
		wantFailure(t, err, verify.FailSection)
	}
	over := slices.Clone(good)
	over[0].b = make([]byte, verify.MaxPackageManifest+1)
	_, err := w.check(together(w, over))
	wantFailure(t, err, verify.FailSection)
}

// What a vault signs does not hold when the parts do not fit.
func TestPartsThatDoNotFitAreRefused(t *testing.T) {
	w := newWorld(t)
	good := apart(t, w.made(story()))
	item, receipt := find(good, verify.SectionItem), find(good, verify.SectionReceipt)
	first := w.caseID
	w.caseID = bonded.CaseID{Cell: cell, ID: bonded.NewID()}
	others := apart(t, w.made(story())) // another case of the cell
	w.caseID = first
	fork := newWorld(t)
	forked := apart(t, fork.made(story()))
	alter := func(s []section, i int, change func(*verify.PackageItem)) {
		it, _, err := verify.ParsePackageItem(slices.Clone(s[i].b))
		if err != nil {
			t.Fatal(err)
		}
		change(it)
		s[i].b = it.Encode()
	}
	take := func(kind verify.PackageSection) func([]section) []section {
		return func(s []section) []section {
			s[find(s, kind)] = others[find(others, kind)]
			return s
		}
	}
	for _, c := range []struct {
		name   string
		change func([]section) []section
		code   string
	}{
		{"two items swapped", func(s []section) []section { s[item], s[item+1] = s[item+1], s[item]; return s }, verify.FailScope},
		{"an item dropped", func(s []section) []section { return slices.Delete(s, item+3, item+4) }, verify.FailScope},
		{"an item twice", func(s []section) []section { return slices.Insert(s, item, s[item]) }, verify.FailScope},
		{"a receipt dropped", func(s []section) []section { return slices.Delete(s, receipt, receipt+1) }, verify.FailDisclosed},
		{"an item under another row", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) { it.Row = "1.1.101" })
			return s
		}, verify.FailDisclosed},
		{"an item refused that was released", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) {
				*it = verify.PackageItem{Index: it.Index, Item: it.Item, Code: bonded.CodeErased, Row: it.Row}
			})
			return s
		}, ""}, // says less than it could: no check can tell
		{"another envelope", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) {
				o, _, _ := verify.ParsePackageItem(s[item+1].b)
				it.Envelope = o.Envelope
			})
			return s
		}, verify.FailScope},
		{"a combination that is none", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) { it.Combined = it.Combined[1:] })
			return s
		}, verify.FailCombined},
		{"no combination", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) { it.Combined = nil })
			return s
		}, verify.FailMalformed},
		{"a field's ciphertext missing", func(s []section) []section {
			alter(s, item, func(it *verify.PackageItem) { it.Ciphertexts = it.Ciphertexts[1:] })
			return s
		}, verify.FailMalformed},
		{"the order of another ceremony", func(s []section) []section {
			s[find(s, verify.SectionCeremony)] = forked[find(forked, verify.SectionCeremony)]
			return s
		}, verify.FailStatement},
		{"other custodians", func(s []section) []section {
			s[find(s, verify.SectionCustody)] = forked[find(forked, verify.SectionCustody)]
			return s
		}, verify.FailStatement},
		{"an entry of the register in a fork", func(s []section) []section {
			s[find(s, verify.SectionRegistry)] = forked[find(forked, verify.SectionRegistry)]
			return s
		}, verify.FailForked},
		{"another request", take(verify.SectionRequest), verify.FailScope},
		{"another scope", take(verify.SectionScope), verify.FailScope},
		{"the quorum entry of another case", take(verify.SectionQuorum), verify.FailEntry},
		{"an approval of another case", take(verify.SectionApproval), verify.FailApproval},
		{"the opening of another case", take(verify.SectionOpening), verify.FailEntry},
		{"a receipt of another case", take(verify.SectionReceipt), verify.FailDisclosed},
		{"an approval twice", func(s []section) []section {
			i := find(s, verify.SectionApproval)
			return slices.Insert(s, i, s[i])
		}, verify.FailApproval},
		{"an approval dropped", func(s []section) []section {
			i := find(s, verify.SectionApproval)
			return slices.Delete(s, i, i+1)
		}, verify.FailApproval},
		{"the opening in the place of the quorum entry", func(s []section) []section {
			s[find(s, verify.SectionQuorum)].b = s[find(s, verify.SectionOpening)].b
			return s
		}, verify.FailEntry},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.check(together(w, c.change(slices.Clone(good))))
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, c.code)
		})
	}
}

// What only the recipient can tell is found before anything is shown.
func TestItemsThatDoNotOpenAreAltered(t *testing.T) {
	w := newWorld(t)
	good := apart(t, w.made(story()))
	item := find(good, verify.SectionItem)
	for name, change := range map[string]func(a, b *verify.PackageItem){
		"keys of another item":        func(a, b *verify.PackageItem) { a.Sealed = b.Sealed },
		"combination of another item": func(a, b *verify.PackageItem) { a.Combined = b.Combined },
		"ciphertext of another item":  func(a, b *verify.PackageItem) { a.Ciphertexts[0] = b.Ciphertexts[0] },
		"ciphertexts swapped": func(a, _ *verify.PackageItem) {
			a.Ciphertexts[0], a.Ciphertexts[1] = a.Ciphertexts[1], a.Ciphertexts[0]
		},
		"inner layer of another item": func(a, b *verify.PackageItem) { a.Ciphertexts[2] = b.Ciphertexts[2] },
	} {
		t.Run(name, func(t *testing.T) {
			s := slices.Clone(good)
			a, _, err := verify.ParsePackageItem(slices.Clone(s[item].b))
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := verify.ParsePackageItem(s[item+1].b)
			if err != nil {
				t.Fatal(err)
			}
			change(a, b)
			s[item].b = a.Encode()
			got, err := w.opened(together(w, s))
			if bonded.CodeOf(err) != bonded.CodeAltered || got.ended || len(got.rows) != 0 {
				t.Errorf("%v %+v", err, got)
			}
		})
	}
}
