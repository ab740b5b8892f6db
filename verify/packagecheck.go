package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"bonded"
	"bonded/internal/canon"

	"golang.org/x/mod/sumdb/tlog"
)

// A PackageQuorum does those checks of a release package that need the group
// of the quorum. One serves one package.
type PackageQuorum interface {
	// Certificate checks that b certifies a key set that follows from that of the
	// call before, and says what it certifies.
	Certificate(b []byte) (*CertifiedKeySet, error)

	// Combined checks that combined is the answer of a quorum of the newest key
	// set to envelope, for this opening and no other.
	Combined(o *PackageOpening, item *ScopeItem, envelope, combined []byte) error
}

// A PackageOpening is what the quorum's answers of a package are bound to.
type PackageOpening struct {
	Case      bonded.CaseID
	Scope     [32]byte // digest
	Leaf      [32]byte // leaf hash of the entry with event opening
	Recipient []byte   // recipient key
}

// PackageOptions say by what a release package is checked.
type PackageOptions struct {
	Directory []byte        // the file cells.json
	Now       time.Time     // decides whether it has expired
	Quorum    PackageQuorum // required
	Recipient []byte        // recipient key it must be for; none: any
}

// A PackageReport is what a release package has shown.
type PackageReport struct {
	Manifest    *PackageManifest
	End         *PackageEnd
	Request     *CaseRequest
	Officer     *Person
	Agency      *Agency
	Scope       *Scope // its head: Items is empty
	Opening     PackageOpening
	Custodians  *CertifiedKeySet
	Approvals   []*Approval
	QuorumEntry *WitnessedEntry
	OpenEntry   *WitnessedEntry
	Subjects    int      // different people among the items
	Collections []string // in order of first use
	Fields      []string // names of fields of released items, in order of first use
}

// CheckPackage checks a release package of size bytes. It opens nothing: it
// says whether what is in it was asked for by an officer of the register,
// approved by a quorum of the custodians, witnessed before, entered row by row,
// and put together by the vault. The steps:
//
//  1. the whole file has the form of a package, and the vault of the cell
//     signed its digest;
//  2. the custodians: ordered by the administrator, certified, witnessed;
//  3. who asks, and the request;
//  4. the scope, the approvals of the quorum over it, the opening;
//  5. each item: in the scope, asked for, answered by the quorum;
//  6. each receipt, and every released item in one.
//
// The error is a [Failure].
func CheckPackage(r io.ReaderAt, size int64, o PackageOptions) (*PackageReport, error) {
	c := &packageCheck{opts: o, left: map[[32]byte]int{}, subjects: map[uint32]map[bonded.ID]struct{}{}, names: map[string]bool{}}
	var err error
	if c.dir, err = ParseDirectory(o.Directory); err != nil {
		return nil, Unknown(FailKey, err, "the directory is not usable")
	}
	if err := c.signed(io.NewSectionReader(r, 0, size)); err != nil {
		return nil, err
	}
	p := NewPackageReader(io.NewSectionReader(r, 0, size))
	for {
		kind, b, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.section(kind, b); err != nil {
			return nil, err
		}
	}
	if p.End().Digest != c.rep.End.Digest {
		return nil, Fail(FailPackage, "the package changed while it was read")
	}
	return &c.rep, nil
}

type packageCheck struct {
	opts  PackageOptions
	dir   *Directory
	cell  *DirectoryCell
	rep   PackageReport
	chain *CustodyChain
	reg   *RegisterProof

	request  *Statement
	next     int         // index of the next item
	released uint64      // items
	hashes   []tlog.Hash // of the items
	people   map[bonded.ID]struct{}
	subjects map[uint32]map[bonded.ID]struct{} // of each task
	left     map[[32]byte]int                  // how often receipts must still show an item
	names    map[string]bool
}

// signed is step 1: form, digest, and the vault's signature.
func (c *packageCheck) signed(r io.Reader) error {
	p := NewPackageReader(r)
	for {
		kind, b, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if kind == SectionManifest {
			if c.rep.Manifest, err = ParsePackageManifest(b); err != nil {
				return err
			}
		}
	}
	m, end := c.rep.Manifest, p.End()
	cell, ok := c.dir.Cell(m.Cell)
	if !ok {
		return Unknown(FailCell, nil, "the directory has no cell %s", m.Cell)
	}
	key, err := DecodePublicKey(cell.PromiseKey)
	if err != nil {
		return Unknown(FailKey, err, "the directory has no usable promise key for cell %s", m.Cell)
	}
	if !end.SignedBy(m.Case, key) {
		return Fail(FailPackage, "the vault of cell %s has not signed these bytes", m.Cell)
	}
	c.cell, c.rep.End = cell, end
	digest := DirectoryDigest(c.opts.Directory)
	switch {
	case m.Directory != hex.EncodeToString(digest[:]):
		return Unknown(FailDirectory, nil, "the package is to be checked by another version of the directory than the one given")
	case m.Suite != cell.Suite:
		return Fail(FailCell, "the package names another suite than its cell has")
	case !c.opts.Now.Before(m.Expires):
		return Fail(FailExpired, "the package expired at %s", m.Expires.Format(time.RFC3339))
	}
	return nil
}

func (c *packageCheck) section(kind PackageSection, b []byte) error {
	switch kind {
	case SectionManifest:
		return nil // step 1
	case SectionCeremony:
		return c.ceremony(b)
	case SectionCustody:
		return c.custody(b)
	case SectionRegistry:
		return c.registry(b)
	case SectionRequest:
		return c.requested(b)
	case SectionScope:
		return c.scope(b)
	case SectionQuorum:
		return c.quorum(b)
	case SectionApproval:
		return c.approval(b)
	case SectionOpening:
		return c.opening(b)
	case SectionItem:
		return c.item(b)
	case SectionReceipt:
		if err := c.complete(); err != nil {
			return err
		}
		return c.receipt(b)
	case SectionEnd, sectionEnd:
	}
	if err := c.complete(); err != nil {
		return err
	}
	return c.finish()
}

// ceremony, custody: step 2.
func (c *packageCheck) ceremony(b []byte) error {
	s, err := ParseStatement(b)
	if err != nil {
		return err
	}
	if c.chain, err = NewCustodyChain(c.dir, c.cell.ID, s); err != nil {
		return err
	}
	c.reg, err = NewRegisterProof(c.dir, c.chain)
	return err
}

func (c *packageCheck) custody(b []byte) error {
	k, err := ParsePackageCustody(b)
	if err != nil {
		return err
	}
	set, err := c.opts.Quorum.Certificate(k.Certificate)
	if err != nil {
		return &Failure{Verdict: DoesNotHold, Code: FailCustody, Message: "a certificate of the custodians does not hold", Err: err}
	}
	c.rep.Custodians = set
	return c.chain.Add(set, &k.Entry)
}

// registry, requested: step 3.
func (c *packageCheck) registry(b []byte) error {
	g, err := ParsePackageRegistry(b)
	if err != nil {
		return err
	}
	return c.reg.Add(g)
}

func (c *packageCheck) requested(b []byte) error {
	s, err := ParseStatement(b)
	if err != nil {
		return err
	}
	if c.rep.Request, c.rep.Officer, c.rep.Agency, err = c.reg.CheckRequest(s, c.cell.ID); err != nil {
		return err
	}
	c.request = s
	return nil
}

// scope, quorum, approval, opening: step 4.
func (c *packageCheck) scope(b []byte) error {
	m := c.rep.Manifest
	s, err := DecodeScopeHead(b)
	if err != nil {
		return Fail(FailMalformed, "the head of the scope is not in the format")
	}
	now := c.chain.Current().Custodians
	recipient := RecipientDigest(c.rep.Request.Recipient)
	request := c.request.Digest(LabelRequest)
	switch {
	case s.Cell != m.Cell || s.Case != m.Case.ID || s.Kind != c.rep.Request.Kind:
		return Fail(FailScope, "the scope is of another case")
	case s.Request != request || m.Request != hex.EncodeToString(request[:]):
		return Fail(FailScope, "the scope is of another request than the one shown")
	case s.Recipient != recipient || m.Recipient != hex.EncodeToString(recipient[:]):
		return Fail(FailRecipient, "the scope names another recipient key than the request")
	case c.opts.Recipient != nil && RecipientDigest(c.opts.Recipient) != recipient:
		return Fail(FailRecipient, "the package is for another recipient key than yours")
	case s.KeySet != now.KeySet || s.Epoch != now.Epoch:
		return Fail(FailCustody, "the scope was put before other custodians than those in force")
	}
	c.rep.Scope = s
	digest, err := hex.DecodeString(m.Scope)
	if err != nil {
		return Fail(FailMalformed, "the manifest is not in the format")
	}
	c.rep.Opening = PackageOpening{Case: m.Case, Scope: [32]byte(digest), Recipient: c.rep.Request.Recipient}
	return nil
}

// event reads an entry of the case and checks what it is of.
func (c *packageCheck) event(b []byte, event string) (*WitnessedEntry, error) {
	e, err := ParsePackageEntry(b)
	if err != nil {
		return nil, err
	}
	in, err := c.chain.entry(e)
	if err != nil {
		return nil, err
	}
	x := in.Entry
	if x.Type != EntryCase || x.Case != c.rep.Opening.Case.ID || x.Event != event || x.Scope != c.rep.Opening.Scope {
		return nil, Fail(FailEntry, "entry %d is not the one with event %s of this case and scope", in.Index, event)
	}
	return in, nil
}

func (c *packageCheck) quorum(b []byte) (err error) {
	if c.rep.QuorumEntry, err = c.event(b, EventQuorum); err != nil {
		return err
	}
	if at := c.rep.QuorumEntry.Index; c.reg.Last >= at || c.chain.Index >= at {
		return Fail(FailEntry, "the register or the custodians were entered only after the scope was put before the custodians")
	}
	return nil
}

func (c *packageCheck) approval(b []byte) error {
	a, err := DecodeApproval(b)
	if err != nil {
		return Fail(FailMalformed, "an approval is not in the format")
	}
	c.rep.Approvals = append(c.rep.Approvals, a)
	return nil
}

func (c *packageCheck) opening(b []byte) (err error) {
	s := c.rep.Opening.Scope
	if err := CheckApprovals(c.chain.Current().Custodians, c.rep.Opening.Case.ID, s, c.rep.QuorumEntry.Hash, c.rep.Approvals); err != nil {
		return err
	}
	if c.rep.OpenEntry, err = c.event(b, EventOpening); err != nil {
		return err
	}
	e := c.rep.OpenEntry
	switch {
	case e.Entry.Content != OpeningContent(s, ApprovalsDigest(c.rep.Approvals), c.rep.Scope.Recipient):
		return Fail(FailEntry, "the entry of the opening is not of these approvals and this recipient")
	case e.Index <= c.rep.QuorumEntry.Index:
		return Fail(FailEntry, "the opening was entered before the scope was put before the custodians")
	case e.Leaf.Time > c.rep.Scope.Expires:
		return Fail(FailExpired, "the scope had expired when it was opened")
	}
	c.rep.Opening.Leaf = e.Hash
	return nil
}

// item is step 5.
func (c *packageCheck) item(b []byte) error {
	it, item, err := ParsePackageItem(b)
	if err != nil {
		return err
	}
	if it.Index != c.next {
		return Fail(FailScope, "item %d stands where item %d belongs", it.Index, c.next)
	}
	c.next++
	c.hashes = append(c.hashes, ScopeItemHash(it.Item))
	if err := c.asked(it.Index, item); err != nil {
		return err
	}
	key := disclosureKey(it.Row, item.Subject, item.Record, fieldNames(item))
	if it.Code != "" {
		c.left[key] += 0
		return nil
	}
	c.released++
	c.left[key]++
	for i := range item.Fields {
		if n := item.Fields[i].Name; !c.names["field "+n] {
			c.names["field "+n] = true
			c.rep.Fields = append(c.rep.Fields, n)
		}
	}
	if item.Envelope == ([32]byte{}) {
		return nil
	}
	if sha256.Sum256(it.Envelope) != item.Envelope {
		return Fail(FailScope, "the quorum envelope of item %d is not the one of the scope", it.Index)
	}
	if err := c.opts.Quorum.Combined(&c.rep.Opening, item, it.Envelope, it.Combined); err != nil {
		return &Failure{Verdict: DoesNotHold, Code: FailCombined, Message: "the quorum's answer does not fit its item", Err: err}
	}
	return nil
}

// asked reports whether the request asks for an item: the record's collection,
// its fields or the one that shows the match, and no more people than allowed.
func (c *packageCheck) asked(i int, item *ScopeItem) error {
	if int(item.Task) >= len(c.rep.Request.Tasks) {
		return Fail(FailScope, "item %d is of no task of the request", i)
	}
	t := &c.rep.Request.Tasks[item.Task]
	if item.Collection != t.Collection {
		return Fail(FailScope, "item %d is of another collection than its task asks for", i)
	}
	if name, ok := t.Opens(item.Fields); !ok {
		return Fail(FailScope, "item %d has the field %q, which its task does not ask for", i, name)
	}
	people := c.subjects[item.Task]
	if people == nil {
		people = map[bonded.ID]struct{}{}
		c.subjects[item.Task] = people
	}
	people[item.Subject] = struct{}{}
	if len(people) > max(t.MaxSubjects, 1) {
		return Fail(FailScope, "task %d has more people than it asks for", item.Task)
	}
	if c.people == nil {
		c.people = map[bonded.ID]struct{}{}
	}
	c.people[item.Subject] = struct{}{}
	if !c.names["collection "+item.Collection] {
		c.names["collection "+item.Collection] = true
		c.rep.Collections = append(c.rep.Collections, item.Collection)
	}
	return nil
}

func fieldNames(item *ScopeItem) []string {
	names := make([]string, len(item.Fields))
	for i := range item.Fields {
		names[i] = item.Fields[i].Name
	}
	return names
}

// disclosureKey names one opening: this record, these fields, under that row.
func disclosureKey(row string, subject, record bonded.ID, fields []string) [32]byte {
	w := canon.Writer{B: make([]byte, 0, 256)}
	w.String(row)
	w.Fixed(subject[:])
	w.Fixed(record[:])
	w.Strings(fields)
	return sha256.Sum256(w.B)
}

// receipt is step 6.
func (c *packageCheck) receipt(b []byte) error {
	r, err := ParseReceipt(b)
	if err != nil {
		return err
	}
	if r.Cell != c.cell.ID {
		return Fail(FailCell, "a receipt is of another cell")
	}
	rep, err := CheckReceipt(r, c.dir)
	if err != nil {
		return err
	}
	if err := c.chain.same(rep.Checkpoint); err != nil {
		return err
	}
	id := c.rep.Opening.Case
	switch {
	case rep.Row.Operation != OpDisclose || rep.Row.Outcome != OutcomeAllowed || rep.Row.Basis != id.String():
		return Fail(FailDisclosed, "row %s is not of a release for this case", rep.Row.RowRef)
	case rep.Index <= c.rep.OpenEntry.Index:
		return Fail(FailDisclosed, "row %s was entered before the opening was", rep.Row.RowRef)
	}
	row := rep.Row.RowRef.String()
	for i := range rep.Items {
		it := &rep.Items[i]
		key := disclosureKey(row, it.Subject, it.Record, it.Fields)
		n, ok := c.left[key]
		if !ok {
			return Fail(FailDisclosed, "the receipt of row %s shows something that is no item of the package", row)
		}
		c.left[key] = max(n-1, 0)
	}
	return nil
}

// complete holds the items against the digest of the scope and the counts,
// once all of them are there.
func (c *packageCheck) complete() error {
	if c.hashes == nil && c.next > 0 {
		return nil // done
	}
	if c.next != c.rep.Manifest.Items {
		return Fail(FailScope, "the package has %d items, and its manifest says %d", c.next, c.rep.Manifest.Items)
	}
	if ScopeDigest(EncodeScopeHead(c.rep.Scope), c.hashes) != c.rep.Opening.Scope {
		return Fail(FailScope, "the items are not those of the scope that was approved")
	}
	if c.rep.End.Released != c.released {
		return Fail(FailPackage, "the end counts other released items than there are")
	}
	c.hashes, c.rep.Subjects = nil, len(c.people)
	return nil
}

// finish asks that every released item was shown by a receipt.
func (c *packageCheck) finish() error {
	for _, n := range c.left {
		if n > 0 {
			return Fail(FailDisclosed, "an item was released that no receipt shows")
		}
	}
	return nil
}
