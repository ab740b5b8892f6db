package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"bonded"
	"bonded/internal/canon"
)

// A DirectoryApproval is a custodian's signature under one version of the
// directory. Once a cell has custodians, a version counts at its parties only
// with a quorum of them: see [CheckDirectoryApprovals].
type DirectoryApproval struct {
	Cell      bonded.CellID // whose custodian signs; a directory of several cells needs the quorum of each
	Version   uint64
	Digest    [32]byte // see [DirectoryDigest]
	KeySet    [32]byte // of the custodians in force
	Epoch     uint64
	Role      string
	Index     uint64
	Custodian string
	Signature [ed25519.SignatureSize]byte
}

func (a *DirectoryApproval) encode(w *canon.Writer) {
	w.Byte(1) // format version
	w.String(string(a.Cell))
	w.Uint(a.Version)
	w.Fixed(a.Digest[:])
	w.Fixed(a.KeySet[:])
	w.Uint(a.Epoch)
	w.String(a.Role)
	w.Uint(a.Index)
	w.String(a.Custodian)
}

func (a *DirectoryApproval) message() []byte {
	var w canon.Writer
	a.encode(&w)
	return canon.LP([]byte("bonded/directory-approval/1"), w.B)
}

// Sign signs a with the custodian's approval key.
func (a *DirectoryApproval) Sign(key ed25519.PrivateKey) {
	copy(a.Signature[:], ed25519.Sign(key, a.message()))
}

// Encode returns the canonical bytes of a.
func (a *DirectoryApproval) Encode() []byte {
	var w canon.Writer
	a.encode(&w)
	w.Fixed(a.Signature[:])
	return w.B
}

// DecodeDirectoryApproval reads what [DirectoryApproval.Encode] wrote.
func DecodeDirectoryApproval(b []byte) (*DirectoryApproval, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	a := &DirectoryApproval{Cell: bonded.CellID(r.String(8)), Version: r.Uint()}
	r.Fixed(a.Digest[:])
	r.Fixed(a.KeySet[:])
	a.Epoch, a.Role, a.Index, a.Custodian = r.Uint(), r.String(64), r.Uint(), r.String(64)
	r.Fixed(a.Signature[:])
	return a, r.Done()
}

// Check reports whether a was signed by a custodian of c. The error is a
// [Failure].
func (a *DirectoryApproval) Check(c *Custodians) error {
	if a.Cell != c.Cell || a.KeySet != c.KeySet || a.Epoch != c.Epoch {
		return Fail(FailCustody, "the approval is under another key set than the one in force")
	}
	return c.signed(a.Role, a.Index, a.Custodian, a.message(), a.Signature[:])
}

// CheckDirectoryApprovals reports whether the approvals of the cell of c are a
// quorum of c for exactly one version of the directory: in every role at least
// its threshold of different people. Those beyond the threshold must hold as
// well; approvals of other cells are passed over. The error is a [Failure].
func CheckDirectoryApprovals(c *Custodians, version uint64, digest [32]byte, approvals []*DirectoryApproval) error {
	got := map[string]int{}
	people := map[string]bool{}
	for _, a := range approvals {
		switch {
		case a.Cell != c.Cell:
			continue
		case a.Version != version || a.Digest != digest:
			return Fail(FailApproval, "the approval of custodian %s is for another directory", a.Custodian)
		case people[a.Custodian]:
			return Fail(FailApproval, "custodian %s stands more than once", a.Custodian)
		}
		if err := a.Check(c); err != nil {
			return err
		}
		people[a.Custodian] = true
		got[a.Role]++
	}
	return c.quorum(got)
}

// DirectoryApprovalsDigest returns a digest over the approvals of one cell in
// whatever order: the field approvals of the announcement in its ledger.
func DirectoryApprovalsDigest(cell bonded.CellID, approvals []*DirectoryApproval) [32]byte {
	var parts [][]byte
	for _, a := range approvals {
		if a.Cell == cell {
			parts = append(parts, a.Encode())
		}
	}
	slices.SortFunc(parts, bytes.Compare)
	return sha256.Sum256(append([]byte("bonded/directory-approvals/1"), canon.LP(parts...)...))
}

// CheckApproved reports whether a version of the directory was announced with
// the quorum of c, given the file of approvals. The error is a [Failure].
func (c *Control) CheckApproved(by *Custodians, file []byte) error {
	if c.Subject != ControlDirectory {
		return Fail(FailControl, "the announcement is of subject %s, not %s", c.Subject, ControlDirectory)
	}
	approvals, err := ParseDirectoryApprovals(file)
	if err != nil {
		return err
	}
	if err := CheckDirectoryApprovals(by, c.Number, c.Digest, approvals); err != nil {
		return err
	}
	if d := DirectoryApprovalsDigest(by.Cell, approvals); !bytes.Equal(c.Approvals, d[:]) {
		return Fail(FailControl, "the version was announced with other approvals than those shown")
	}
	return nil
}

// DirectoryApprovalsFormat is the format name of this version of the file
// cells.json.approvals.
const DirectoryApprovalsFormat = "bonded/directory-approvals/1"

// MaxDirectoryApprovals is the largest file of approvals this package reads,
// in bytes.
const MaxDirectoryApprovals = 256 << 10

type directoryApprovalsJSON struct {
	Format    string     `json:"format"`
	Approvals []b64bytes `json:"approvals"`
}

// EncodeDirectoryApprovals returns the file of approvals, each once, in the
// order of their bytes: compact JSON with a newline at its end.
func EncodeDirectoryApprovals(approvals []*DirectoryApproval) []byte {
	j := directoryApprovalsJSON{Format: DirectoryApprovalsFormat, Approvals: []b64bytes{}}
	for _, a := range approvals {
		j.Approvals = append(j.Approvals, a.Encode())
	}
	slices.SortFunc(j.Approvals, func(a, b b64bytes) int { return bytes.Compare(a, b) })
	j.Approvals = slices.CompactFunc(j.Approvals, func(a, b b64bytes) bool { return bytes.Equal(a, b) })
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // byte strings always marshal
	}
	return append(b, '\n')
}

// ParseDirectoryApprovals reads what [EncodeDirectoryApprovals] wrote and
// refuses every other spelling. It checks no signature. The error is a
// [Failure] with code [FailMalformed].
func ParseDirectoryApprovals(b []byte) ([]*DirectoryApproval, error) {
	if len(b) > MaxDirectoryApprovals {
		return nil, Fail(FailMalformed, "approvals of a directory are over %d bytes", MaxDirectoryApprovals)
	}
	var j directoryApprovalsJSON
	if err := strictJSON(b, &j); err != nil {
		return nil, &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "approvals of a directory are not the JSON of this format", Err: err}
	}
	list := make([]*DirectoryApproval, len(j.Approvals))
	for i := range list {
		a, err := DecodeDirectoryApproval(j.Approvals[i])
		if err != nil {
			return nil, &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "an approval of a directory is not in the format", Err: err}
		}
		list[i] = a
	}
	if j.Format != DirectoryApprovalsFormat || !bytes.Equal(EncodeDirectoryApprovals(list), b) {
		return nil, Fail(FailMalformed, "approvals of a directory are not of format %s in its one spelling", DirectoryApprovalsFormat)
	}
	return list, nil
}
