package verify

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
)

// Codes of failures of release packages, beside those of what they hold.
const (
	FailTruncated = "truncated" // the file ends before the package does
	FailSection   = "section"   // a section is unknown, out of order, over its limit, or one too many or too few
	FailPackage   = "package"   // the bytes are not those that the vault signed
	FailDirectory = "directory" // the package is to be checked by another version of the directory
	FailExpired   = "expired"   // the package, or what allowed it, has run out
	FailScope     = "scope"     // what was released is not what was approved, or not what was asked for
	FailRecipient = "recipient" // it is sealed to another key than the one it names
	FailRegistry  = "registry"  // who asked does not stand in the register
	FailEntry     = "entry"     // an entry of the ledger is not the one that has to be there
	FailDisclosed = "disclosed" // an item was released that no receipt shows
	FailCombined  = "combined"  // the quorum's answer does not fit its item
)

// A PackageReader reads the sections of a release package one after the other,
// with memory for the largest only. It checks their order, number and length,
// and the digest in the end; it trusts nothing else: see [CheckPackage].
type PackageReader struct {
	in    *bufio.Reader
	hash  hash.Hash
	kind  PackageSection // of the section read last
	count [sectionEnd]int
	total int64
	buf   []byte
	end   *PackageEnd
	sum   [32]byte
	err   error
}

// NewPackageReader returns a reader of the package in r.
func NewPackageReader(r io.Reader) *PackageReader {
	return &PackageReader{in: bufio.NewReaderSize(r, 64<<10), hash: sha256.New()}
}

// Next returns the next section. Its bytes are good until the next call. After
// the last section it returns [io.EOF], and it is certain by then that the
// digest in the end is that of the bytes read and that nothing follows. Other
// errors are [Failure]s; the reader does not go on after one.
func (p *PackageReader) Next() (PackageSection, []byte, error) {
	if p.err != nil {
		return 0, nil, p.err
	}
	kind, b, err := p.next()
	p.err = err
	return kind, b, err
}

func (p *PackageReader) next() (PackageSection, []byte, error) {
	// 1. The magic, before the first section.
	if p.kind == 0 {
		var magic [len(PackageMagic)]byte
		if err := p.read(magic[:]); err != nil {
			return 0, nil, err
		}
		if string(magic[:]) != PackageMagic {
			return 0, nil, Fail(FailMalformed, "this is not a release package")
		}
		_, _ = p.hash.Write(magic[:])
	}
	if p.kind == SectionEnd {
		return 0, nil, p.finish()
	}

	// 2. Kind and length, and whether they may stand here.
	var head [PackageHeaderSize]byte
	if err := p.read(head[:]); err != nil {
		return 0, nil, err
	}
	kind, size := PackageSection(head[0]), binary.BigEndian.Uint64(head[1:])
	if err := p.order(kind, size); err != nil {
		return 0, nil, err
	}
	if kind == SectionEnd {
		p.hash.Sum(p.sum[:0])
	}

	// 3. The bytes.
	if uint64(cap(p.buf)) < size {
		p.buf = make([]byte, 0, max(size, 64<<10))
	}
	p.buf = p.buf[:size]
	if err := p.read(p.buf); err != nil {
		return 0, nil, err
	}
	_, _ = p.hash.Write(head[:])
	_, _ = p.hash.Write(p.buf)
	if kind == SectionEnd {
		end, err := ParsePackageEnd(p.buf)
		if err != nil {
			return 0, nil, err
		}
		p.end = end
	}
	return kind, p.buf, nil
}

func (p *PackageReader) read(b []byte) error {
	n, err := io.ReadFull(p.in, b)
	p.total += int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Fail(FailTruncated, "the file ends before the package does, after %d bytes", p.total)
	case err != nil:
		return Unknown(FailMissing, err, "the package cannot be read")
	}
	return nil
}

// order reports whether a section may stand here.
func (p *PackageReader) order(kind PackageSection, size uint64) error {
	if kind == 0 || kind >= sectionEnd {
		return Fail(FailSection, "section %d is none that this version knows", kind)
	}
	l := &packageLimits[kind]
	switch {
	case size > l.size:
		return Fail(FailSection, "the %s has %d bytes, and %d are allowed", kind, size, l.size)
	case kind < p.kind:
		return Fail(FailSection, "the %s stands behind the %s", kind, p.kind)
	case p.count[kind] >= l.most:
		return Fail(FailSection, "there are more than %d of the section %s", l.most, kind)
	}
	for k := max(p.kind, 1); k < kind; k++ {
		if p.count[k] < packageLimits[k].least {
			return Fail(FailSection, "the section %s is missing", k)
		}
	}
	p.kind = kind
	p.count[kind]++
	return nil
}

// finish checks the digest and that nothing follows.
func (p *PackageReader) finish() error {
	if p.end.Digest != p.sum {
		return Fail(FailPackage, "the digest at the end of the package is not that of its bytes")
	}
	if p.end.Released+p.end.Refused != uint64(p.count[SectionItem]) || p.end.Receipts != uint64(p.count[SectionReceipt]) { //nolint:gosec // counted from 0
		return Fail(FailPackage, "the end counts other items or receipts than there are")
	}
	if _, err := p.in.ReadByte(); err == nil {
		return Fail(FailSection, "something follows the end of the package")
	} else if !errors.Is(err, io.EOF) {
		return Unknown(FailMissing, err, "the package cannot be read")
	}
	return io.EOF
}

// End returns the end, once [PackageReader.Next] has returned it.
func (p *PackageReader) End() *PackageEnd { return p.end }
