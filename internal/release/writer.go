package release

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// A Head is what stands in a package before its items: who asked, who
// approved, and what the ledger says of it.
type Head struct {
	Manifest  verify.PackageManifest // Format, Request, Scope, Recipient and Items are filled in by [NewWriter]
	Ceremony  *verify.Statement      // order of the first ceremony
	Custody   []verify.PackageCustody
	Registry  []verify.PackageRegistry // registrars, then the agency and the officer
	Request   *verify.Statement
	ScopeHead []byte              // canonical
	Items     [][32]byte          // hashes of all items of the scope, in order
	Quorum    verify.PackageEntry // with event quorum
	Approvals [][]byte            // canonical
	Opening   verify.PackageEntry // with event opening
}

// A Writer writes one package. It keeps nothing of what it wrote. After an
// error it is of no use, and neither is what it wrote.
type Writer struct {
	w        io.Writer
	id       bonded.CaseID
	items    [][32]byte
	next     int
	released uint64
	refused  uint64
	receipts uint64
	hash     hash.Hash
	err      error
}

// NewWriter writes the head of a package. Errors have code invalid if the head
// is not one that a reader takes, and are else those of w.
func NewWriter(w io.Writer, h *Head) (*Writer, error) {
	// 1. The manifest says what the parts are.
	m := h.Manifest
	scope, err := verify.DecodeScopeHead(h.ScopeHead)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeInvalid, err, "the head of the scope is malformed")
	}
	hashes := make([]tlog.Hash, len(h.Items))
	for i := range h.Items {
		hashes[i] = h.Items[i]
	}
	digest, request := verify.ScopeDigest(h.ScopeHead, hashes), h.Request.Digest(verify.LabelRequest)
	m.Format = verify.PackageFormat
	m.Cell, m.Case = scope.Cell, bonded.CaseID{Cell: scope.Cell, ID: scope.Case}
	m.Request, m.Scope, m.Recipient = hex.EncodeToString(request[:]), hex.EncodeToString(digest[:]), hex.EncodeToString(scope.Recipient[:])
	m.Items = len(h.Items)
	if err := m.Check(); err != nil {
		return nil, bonded.Wrap(bonded.CodeInvalid, err, "the manifest of the package is not complete")
	}

	// 2. The sections in their order.
	p := &Writer{w: w, id: m.Case, items: h.Items, hash: sha256.New()}
	p.write([]byte(verify.PackageMagic))
	p.section(verify.SectionManifest, m.Encode())
	p.section(verify.SectionCeremony, h.Ceremony.Encode())
	for i := range h.Custody {
		p.section(verify.SectionCustody, h.Custody[i].Encode())
	}
	for i := range h.Registry {
		p.section(verify.SectionRegistry, h.Registry[i].Encode())
	}
	p.section(verify.SectionRequest, h.Request.Encode())
	p.section(verify.SectionScope, h.ScopeHead)
	p.section(verify.SectionQuorum, h.Quorum.Encode())
	for _, a := range h.Approvals {
		p.section(verify.SectionApproval, a)
	}
	p.section(verify.SectionOpening, h.Opening.Encode())
	return p, p.err
}

// Add writes the next item, released or refused. Items come in the order of
// the scope, all of them. An item that a reader would refuse is an error with
// code invalid.
func (p *Writer) Add(it *verify.PackageItem) error {
	if p.err != nil {
		return p.err
	}
	b := it.Encode()
	if _, _, err := verify.ParsePackageItem(b); err != nil {
		p.err = bonded.Wrap(bonded.CodeInvalid, err, fmt.Sprintf("item %d is not complete", it.Index))
		return p.err
	}
	if it.Index != p.next || p.next >= len(p.items) || [32]byte(verify.ScopeItemHash(it.Item)) != p.items[p.next] {
		p.err = bonded.Errorf(bonded.CodeInvalid, "item %d is not item %d of the scope", it.Index, p.next)
		return p.err
	}
	p.next++
	if it.Code == "" {
		p.released++
	} else {
		p.refused++
	}
	p.section(verify.SectionItem, b)
	return p.err
}

// AddReceipt writes the JSON of a receipt of a row that released items. All
// items come before the first receipt.
func (p *Writer) AddReceipt(receipt []byte) error {
	if p.err == nil && p.next != len(p.items) {
		p.err = bonded.Errorf(bonded.CodeInvalid, "a receipt comes before item %d of %d", p.next, len(p.items))
	}
	p.receipts++
	p.section(verify.SectionReceipt, receipt)
	return p.err
}

// Finish writes the end, signed by sign with the key that the directory calls
// the vault's promise key, and returns SHA-256 of the whole file.
func (p *Writer) Finish(sign func(message []byte) []byte) ([32]byte, error) {
	if p.err == nil && p.next != len(p.items) {
		p.err = bonded.Errorf(bonded.CodeInvalid, "the package ends after %d of %d items", p.next, len(p.items))
	}
	if p.err != nil {
		return [32]byte{}, p.err
	}
	end := &verify.PackageEnd{Released: p.released, Refused: p.refused, Receipts: p.receipts, Digest: [32]byte(p.hash.Sum(nil))}
	end.Sign(p.id, sign)
	p.section(verify.SectionEnd, end.Encode())
	return [32]byte(p.hash.Sum(nil)), p.err
}

func (p *Writer) section(kind verify.PackageSection, b []byte) {
	head := [verify.PackageHeaderSize]byte{byte(kind)}
	binary.BigEndian.PutUint64(head[1:], uint64(len(b)))
	if p.err == nil && len(b) > kind.Limit() {
		p.err = bonded.Errorf(bonded.CodeTooLarge, "the %s has %d bytes, and %d are allowed in a package", kind, len(b), kind.Limit())
	}
	p.write(head[:])
	p.write(b)
}

func (p *Writer) write(b []byte) {
	if p.err != nil {
		return
	}
	_, _ = p.hash.Write(b) // a hash never fails
	if _, err := p.w.Write(b); err != nil {
		p.err = fmt.Errorf("write package: %w", err)
	}
}
