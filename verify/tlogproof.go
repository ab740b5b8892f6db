package verify

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tlogProofHeader is the first line of a proof (c2sp.org/tlog-proof, "Format").
const tlogProofHeader = "c2sp.org/tlog-proof@v1"

// Limits of a proof. A tree of maxTreeSize entries has paths of 56 hashes.
const (
	// MaxTlogProofSize is the largest proof this package reads, in bytes.
	MaxTlogProofSize = 96 << 10
	maxProofHashes   = 63
)

// A TlogProof is a parsed c2sp.org/tlog-proof@v1: an entry's place, its path
// to the root, and the checkpoint of that root.
type TlogProof struct {
	Extra      []byte // unauthenticated data of the application; nil if absent
	Index      int64  // zero-based index of the entry
	Hashes     tlog.RecordProof
	Checkpoint []byte // the signed note, verbatim
}

// ParseTlogProof reads a proof strictly: each value has one spelling, so
// formatting the result gives the same bytes. It checks no signature and no
// hash. The error is a [Failure] with code [FailMalformed].
func ParseTlogProof(b []byte) (*TlogProof, error) {
	bad := func(what string) (*TlogProof, error) {
		return nil, Fail(FailMalformed, "tlog-proof: %s", what)
	}
	if len(b) > MaxTlogProofSize {
		return bad("too large")
	}
	head, cp, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok || len(cp) == 0 {
		return bad("no checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != tlogProofHeader {
		return bad("first line is not " + tlogProofHeader)
	}
	lines = lines[1:]
	p := &TlogProof{}
	if len(lines) > 0 {
		if s, ok := strings.CutPrefix(lines[0], "extra "); ok {
			e, err := decodeBase64(s)
			if err != nil || len(e) == 0 {
				return bad("extra data is not base64")
			}
			p.Extra, lines = e, lines[1:]
		}
	}
	if len(lines) == 0 {
		return bad("no index")
	}
	s, ok := strings.CutPrefix(lines[0], "index ")
	if !ok {
		return bad("no index")
	}
	if p.Index, ok = parseDecimal(s); !ok || p.Index >= maxTreeSize {
		return bad("index is not a decimal in range")
	}
	if len(lines)-1 > maxProofHashes {
		return bad("too many hashes")
	}
	for _, l := range lines[1:] {
		h, err := parseHash(l)
		if err != nil {
			return bad("a hash is not 32 bytes in base64")
		}
		p.Hashes = append(p.Hashes, h)
	}
	if _, err := ParseCheckpointUnverified(cp); err != nil {
		return nil, err
	}
	p.Checkpoint = append([]byte(nil), cp...)
	return p, nil
}

// Format returns the proof in its text form.
func (p *TlogProof) Format() []byte {
	b := append([]byte(nil), tlogProofHeader+"\n"...)
	if len(p.Extra) > 0 {
		b = append(append(append(b, "extra "...), b64.EncodeToString(p.Extra)...), '\n')
	}
	b = append(strconv.AppendInt(append(b, "index "...), p.Index, 10), '\n')
	for _, h := range p.Hashes {
		b = append(append(b, b64.EncodeToString(h[:])...), '\n')
	}
	return append(append(b, '\n'), p.Checkpoint...)
}

// An Inclusion is what a proof has shown: this entry stands at Index in every
// tree that Checkpoint's log shows to the witnesses of the policy.
type Inclusion struct {
	Index      int64
	LeafHash   tlog.Hash
	Checkpoint *Checkpoint
	Extra      []byte // as in the proof: not authenticated
}

// CheckInclusion checks that leaf, the entry's bytes, is in the log of logVkey
// under the witness policy, as proof, a tlog-proof, says. The error is a
// [Failure] with one of the codes of [OpenCheckpoint] or [FailInclusion].
func CheckInclusion(leaf, proof []byte, logVkey string, policy *WitnessPolicy) (*Inclusion, error) {
	p, err := ParseTlogProof(proof)
	if err != nil {
		return nil, err
	}
	cp, err := OpenCheckpoint(p.Checkpoint, logVkey, policy)
	if err != nil {
		return nil, err
	}
	h := tlog.RecordHash(leaf)
	if p.Index >= cp.Size {
		return nil, Fail(FailInclusion, "entry %d is not in a tree of %d entries", p.Index, cp.Size)
	}
	if err := tlog.CheckRecord(p.Hashes, cp.Size, cp.Root, p.Index, h); err != nil {
		return nil, Fail(FailInclusion, "the path does not lead from entry %d to the root of %d entries", p.Index, cp.Size)
	}
	return &Inclusion{Index: p.Index, LeafHash: h, Checkpoint: cp, Extra: p.Extra}, nil
}
