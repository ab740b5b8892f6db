package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
)

// MaxPromise is how long the header value of a [Promise] can be, in bytes.
const MaxPromise = 2048

// maxPromisePath is how many hashes a path can have: more than a segment needs.
const maxPromisePath = 24

// A Promise is signed with each group commit of the vault, before the segment
// is sealed or anchored: dropping or exchanging one of its rows later is then
// provable to anyone who is shown the promise and the segment. The signature
// is the same for all rows of the commit.
type Promise struct {
	Cell    bonded.CellID
	Ref     RowRef      // the row this copy of the promise was given for
	Leaf    [32]byte    // its row leaf
	Segment uint64      // number of the segment that will hold it
	Index   uint64      // position of the row in that segment, from 0
	Begin   uint64      // position in the segment of the first row of the commit
	Size    uint64      // rows of the segment after the commit
	Root    [32]byte    // RFC 6962 root over the row leaves of those Size rows
	Batch   [32]byte    // RFC 6962 root over the [PromiseLeaf] of rows Begin to Size-1
	Path    []tlog.Hash // from the row's PromiseLeaf to Batch
	Sig     [64]byte    // Ed25519 of the vault's promise key over Message
}

// PromiseLeaf returns the leaf of a row in the tree of its commit:
// SHA-256(0x00 ‖ incarnation ‖ sequence ‖ row leaf), numbers as 64 bits
// big-endian. It ties the name of the row to its leaf; cell and node are
// signed beside the root.
func PromiseLeaf(ref RowRef, leaf [32]byte) [32]byte {
	var b [1 + 8 + 8 + 32]byte
	binary.BigEndian.PutUint64(b[1:], ref.Incarnation)
	binary.BigEndian.PutUint64(b[9:], ref.Seq)
	copy(b[17:], leaf[:])
	return sha256.Sum256(b[:])
}

// Message returns the signed bytes: lp("bonded/promise/2", cell, node,
// segment, begin, size, root, batch). Row, leaf and index are under batch.
func (p *Promise) Message() []byte {
	return canon.LP([]byte("bonded/promise/2"), []byte(p.Cell), canon.U64(uint64(p.Ref.Node)),
		canon.U64(p.Segment), canon.U64(p.Begin), canon.U64(p.Size), p.Root[:], p.Batch[:])
}

// Verify reports whether p was signed by key and is for the row it names.
func (p *Promise) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && p.Covers() && ed25519.Verify(key, p.Message(), p.Sig[:])
}

// Covers reports whether the path leads from the row that p names, at its
// index, to the batch root: what is signed is then signed for this row. It
// does not look at the signature.
func (p *Promise) Covers() bool {
	if p.Begin > p.Index || p.Index >= p.Size || p.Size > maxTreeSize {
		return false
	}
	return CheckPath(p.Batch, p.Path, int64(p.Index-p.Begin), int64(p.Size-p.Begin), PromiseLeaf(p.Ref, p.Leaf)) == nil //nolint:gosec // below maxTreeSize
}

// String returns the value of the Bonded-Receipt header:
// v2;cell=eu;row=1.3.4711;leaf=…;segment=9;index=2;begin=1;size=5;root=…;batch=…;path=….…;sig=…
// with standard base64 and a dot between the hashes of the path.
func (p *Promise) String() string {
	b := make([]byte, 0, 448+45*len(p.Path))
	num := func(name string, n uint64) { b = strconv.AppendUint(append(b, name...), n, 10) }
	hash := func(name string, h []byte) { b = base64.StdEncoding.AppendEncode(append(b, name...), h) }
	b = append(append(b, "v2;cell="...), p.Cell...)
	num(";row=", uint64(p.Ref.Node))
	num(".", p.Ref.Incarnation)
	num(".", p.Ref.Seq)
	hash(";leaf=", p.Leaf[:])
	num(";segment=", p.Segment)
	num(";index=", p.Index)
	num(";begin=", p.Begin)
	num(";size=", p.Size)
	hash(";root=", p.Root[:])
	hash(";batch=", p.Batch[:])
	dot := ";path="
	for i := range p.Path {
		hash(dot, p.Path[i][:])
		dot = "."
	}
	if len(p.Path) == 0 {
		b = append(b, dot...)
	}
	hash(";sig=", p.Sig[:])
	return string(b)
}

// promiseNames are the parts of the header after its version, in order.
var promiseNames = [...]string{"cell=", "row=", "leaf=", "segment=", "index=", "begin=", "size=", "root=", "batch=", "path=", "sig="}

// ParsePromise reads what [Promise.String] wrote, strictly. It returns a
// [bonded.Error] with code invalid for anything else. What it returns is not
// yet checked: see [Promise.Verify].
func ParsePromise(s string) (*Promise, error) {
	bad := bonded.Errorf(bonded.CodeInvalid, "not a batch promise")
	rest, ok := strings.CutPrefix(s, "v2;")
	if !ok || len(s) > MaxPromise {
		return nil, bad
	}
	var v [len(promiseNames)]string
	for i, name := range promiseNames {
		part, after, more := strings.Cut(rest, ";")
		if more != (i < len(promiseNames)-1) {
			return nil, bad
		}
		if v[i], ok = strings.CutPrefix(part, name); !ok {
			return nil, bad
		}
		rest = after
	}
	p := &Promise{Cell: bonded.CellID(v[0])}
	p.Ref, ok = ParseRowRef(v[1])
	ok = ok && p.Cell.Valid() && promiseBytes(p.Leaf[:], v[2]) &&
		promiseNumber(&p.Segment, v[3]) && promiseNumber(&p.Index, v[4]) && promiseNumber(&p.Begin, v[5]) && promiseNumber(&p.Size, v[6]) &&
		promiseBytes(p.Root[:], v[7]) && promiseBytes(p.Batch[:], v[8]) && promiseBytes(p.Sig[:], v[10])
	if !ok {
		return nil, bad
	}
	if v[9] == "" {
		return p, nil
	}
	for h := range strings.SplitSeq(v[9], ".") {
		p.Path = append(p.Path, tlog.Hash{})
		if len(p.Path) > maxPromisePath || !promiseBytes(p.Path[len(p.Path)-1][:], h) {
			return nil, bad
		}
	}
	return p, nil
}

// promiseNumber reads a decimal without leading zeros.
func promiseNumber(dst *uint64, s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	*dst = n
	return err == nil && strconv.FormatUint(n, 10) == s
}

// promiseBytes reads base64 of exactly len(dst) bytes.
func promiseBytes(dst []byte, s string) bool {
	b, err := decodeBase64(s)
	return err == nil && copy(dst, b) == len(dst) && len(b) == len(dst)
}
