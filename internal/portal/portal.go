// Package portal writes the public pages of a cell as files that any web server
// or bucket serves: what the cell is, its ledger, its transparency report, the
// operator's dated statement, how to check all of it, and what happened to one's
// own data. Each language has a folder; nothing is asked of a server, nothing is
// kept about readers, and what is pasted into a page stays there.
//
// It reads no file and fetches nothing: the caller has checked what it hands
// over. Start at [Build].
package portal

import (
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/locale"
	"bonded/verify"
	"bonded/web"
)

// Names of files of a portal.
const (
	Manifest   = "manifest.json"
	Signatures = "manifest.signatures.json"
	Evidence   = "manifest.json.evidence" // that the ledger announces the manifest
	Statement  = "data/statement.json"
	Directory  = "data/cells.json"
	worker     = "sw.js"
	reports    = "report/"
)

// Unlisted is how many files of a portal its manifest does not name: itself, its
// signatures and its evidence.
const Unlisted = 3

// Names of assets beside those of package web.
const (
	wasmFile = "verify.wasm.gz"
	execFile = "wasm_exec.js"
)

// perPage is how many entries of the ledger a page shows. Most are folded.
const perPage = 250

// An Input is what the pages show. All of it was checked by the caller.
type Input struct {
	Now     time.Time
	Program string // version of this program

	Cell       bonded.CellID
	Operator   string             // name by which the law knows it; empty: not said
	Directory  []byte             // cells.json
	Signature  []byte             // cells.json.sig
	Custodians *verify.Custodians // in force; nil: the cell has none
	Custody    []byte             // their certificates, as GET /v1/custody gives them; nil: none

	Organisations map[string]string // that custodians belong to, by id, as the operator says

	Checkpoint *verify.Checkpoint
	First      time.Time                 // time of the first entry of the ledger
	Counts     map[verify.LeafKind]int64 // of leaves in the whole ledger
	Entries    []Entry                   // the newest, oldest first
	Opened     Tally                     // of case leaves in the whole ledger

	Feed bool // the cell publishes openings of cases

	Report      *verify.Report    // nil: none
	ReportFiles map[string][]byte // as published; nil: none
	Statement   []byte            // signed; nil: none
	Stated      *verify.PortalStatement
	StatedBy    string // id of the signer

	Wasm     []byte // verify.wasm; nil: pages check by the small verifier alone
	WasmGzip []byte // the same, compressed
	WasmExec []byte // the script that runs it
}

// An Entry is a leaf of the ledger with what was published of it.
type Entry struct {
	Index  int64
	Leaf   *verify.Leaf
	Opened *verify.OpenedCase // nil: not opened, or nothing to open
}

// A Tally counts what was opened of the case leaves of a ledger: how many of
// them were of cases and how many covers. Its zero value has counted nothing.
type Tally struct {
	Leaves int64 // opened, of whatever they were
	Covers int64 // of those
	Events int64 // of those: of cases

	cases map[bonded.ID]bool
}

// Add counts an opened leaf, which is in the ledger.
func (t *Tally) Add(o *verify.OpenedCase) {
	t.Leaves++
	switch o.Entry.Type {
	case verify.EntryCover:
		t.Covers++
	case verify.EntryCase:
		t.Events++
		if o.Shut(verify.FieldCase) {
			return
		}
		if t.cases == nil {
			t.cases = map[bonded.ID]bool{}
		}
		t.cases[o.Entry.Case] = true
	}
}

// Cases is of how many cases an event was opened.
func (t *Tally) Cases() int64 { return int64(len(t.cases)) }

// Other is how many opened leaves were neither covers nor events of cases.
func (t *Tally) Other() int64 { return t.Leaves - t.Covers - t.Events }

// A builder makes one portal.
type builder struct {
	*Input

	dir    *verify.Directory
	cell   *verify.DirectoryCell
	policy *verify.WitnessPolicy
	words  *locale.Catalogue
	files  map[string][]byte
	assets map[string]*web.File
	folder string // of assets, named by what is in it
}

// Build returns the files of a portal by path, the manifest among them, unsigned.
func Build(in *Input) (map[string][]byte, error) {
	b := &builder{Input: in, files: map[string][]byte{}, assets: map[string]*web.File{}}
	var err error
	if b.dir, err = verify.ParseDirectory(in.Directory); err != nil {
		return nil, err
	}
	var ok bool
	if b.cell, ok = b.dir.Cell(in.Cell); !ok {
		return nil, bonded.Errorf(bonded.CodeWrongCell, "the directory has no cell %s", in.Cell)
	}
	if b.policy, err = verify.ParseWitnessPolicy([]byte(b.cell.WitnessPolicy)); err != nil {
		return nil, err
	}
	if b.words, err = locale.Shipped(); err != nil {
		return nil, err
	}

	// 1. What pages load, in a folder whose name changes with it.
	b.putAssets()

	// 2. What they show and check.
	b.putData()

	// 3. The pages, in each language.
	for _, tag := range b.words.Languages() {
		if err := b.putPages(tag); err != nil {
			return nil, fmt.Errorf("write the pages in %s: %w", tag, err)
		}
	}
	if err := b.putIndex(); err != nil {
		return nil, fmt.Errorf("write the first page: %w", err)
	}

	// 4. The list of all files, and what keeps them for reading offline.
	b.putWorker()
	b.putManifest()
	return b.files, nil
}

func (b *builder) putAssets() {
	for _, name := range []string{"bonded.css", "mark.svg", "verify.js", "portal.js"} {
		b.assets[name] = web.Files[name]
	}
	if b.Wasm != nil {
		b.assets[wasmFile] = web.NewFile(wasmFile, b.WasmGzip)
		b.assets[execFile] = web.NewFile(execFile, b.WasmExec)
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(b.assets)) {
		h.Write([]byte(b.assets[name].Name + "\n"))
	}
	b.folder = "a-" + hex.EncodeToString(h.Sum(nil)[:6]) + "/"
	for name, f := range b.assets {
		b.files[b.folder+name] = f.Body
	}
}

func (b *builder) putData() {
	b.files[Directory], b.files[Directory+".sig"] = b.Input.Directory, b.Input.Signature
	b.files["data/checkpoint"] = b.Checkpoint.Raw
	if b.Custody != nil {
		b.files["data/custody.json"] = b.Custody
	}
	if b.Input.Statement != nil {
		b.files[Statement] = b.Input.Statement
	}
	for name, body := range b.ReportFiles {
		b.files[reports+name] = body
	}
}

// policyText is the Content Security Policy of every page: nothing from anywhere
// but this portal, the ledger and the cell's public feed.
func (b *builder) policyText() string {
	connect := []string{"'self'"}
	for _, u := range []string{b.cell.Ledger, b.cell.API} {
		if o := origin(u); o != "" && !slices.Contains(connect, o) {
			connect = append(connect, o)
		}
	}
	return "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; worker-src 'self'; connect-src " +
		strings.Join(connect, " ") + "; base-uri 'none'; form-action 'none'"
}

func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, "; '\"") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// putWorker writes the script that keeps the portal for reading offline: all but
// further pages of the ledger and the files of the report, which are kept once
// they were read.
func (b *builder) putWorker() {
	keep, more := []string{}, []string{}
	for _, p := range slices.Sorted(maps.Keys(b.files)) {
		if strings.HasPrefix(p, reports) || strings.Contains(p, "/ledger-") {
			more = append(more, p)
			continue
		}
		keep = append(keep, p)
	}
	more = append(more, Manifest, Signatures, Evidence)
	list := func(v any) string {
		t, err := json.Marshal(v)
		if err != nil {
			panic(err) // texts always marshal
		}
		return string(t)
	}
	h := sha256.New()
	for _, p := range keep {
		sum := sha256.Sum256(b.files[p])
		h.Write([]byte(p + " " + hex.EncodeToString(sum[:]) + "\n"))
	}
	head := "const VERSION = " + list(hex.EncodeToString(h.Sum(nil)[:8])) + ";\nconst KEEP = " + list(keep) + ";\nconst MORE = " + list(more) + ";\nconst ASSETS = " + list(b.folder) + ";\n"
	b.files[worker] = append([]byte(head), web.Files["portal-worker.js"].Body...)
}

func (b *builder) putManifest() {
	digest := verify.DirectoryDigest(b.Input.Directory)
	m := &verify.PortalManifest{
		Format: verify.LabelPortalManifest, Cell: b.Cell, Operator: b.Operator, Made: b.Now.UTC().Truncate(time.Second), Program: b.Program,
		Directory: hex.EncodeToString(digest[:]),
	}
	for _, id := range slices.Sorted(maps.Keys(b.Organisations)) {
		m.Custodians = append(m.Custodians, verify.PortalCustodian{ID: id, Organisation: b.Organisations[id]})
	}
	for _, p := range slices.Sorted(maps.Keys(b.files)) {
		body := b.files[p]
		sum, integrity := sha256.Sum256(body), sha512.Sum384(body)
		m.Files = append(m.Files, verify.PortalFile{
			Path: p, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
			Integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]),
		})
	}
	b.files[Manifest] = m.Encode()
	b.files[Signatures], b.files[Evidence] = []byte("[]\n"), nil // until there are any
}

// pagesOf splits the newest entries into pages, newest first.
func pagesOf(entries []Entry) [][]Entry {
	newest := slices.Clone(entries)
	slices.SortFunc(newest, func(a, b Entry) int { return cmp.Compare(b.Index, a.Index) })
	out := slices.Collect(slices.Chunk(newest, perPage))
	if len(out) == 0 {
		out = [][]Entry{nil}
	}
	return out
}

// A run is one row of the list of entries: an entry that says something, or
// several in a row that say nothing one would look for.
type run []Entry

// fold is from how many on such entries stand in one row.
const fold = 3

// runsOf folds what is routine: anchors, what is sealed, covers, later dates, and
// the register, of whose entries no more than that is public.
func runsOf(entries []Entry) (out []run) {
	for rest := entries; len(rest) > 0; {
		n := 0
		for n < len(rest) && rest[n].routine() {
			n++
		}
		if n < fold {
			n = 1
		}
		out, rest = append(out, run(rest[:n])), rest[n:]
	}
	return out
}

func (e *Entry) sealed() bool { return e.Leaf.Kind == verify.LeafCase && e.Opened == nil }

// is reports whether an entry was opened and is of a type.
func (e *Entry) is(kind string) bool { return e.Opened != nil && e.Opened.Entry.Type == kind }

func (e *Entry) routine() bool {
	return e.Leaf.Kind == verify.LeafAnchor || e.sealed() || e.is(verify.EntryCover) || e.is(verify.EntryRegistry) || e.is(verify.EntryExtension)
}

// ledgerPage names a page of the ledger, from 1.
func ledgerPage(n int) string {
	if n == 1 {
		return "ledger.html"
	}
	return fmt.Sprintf("ledger-%d.html", n)
}
