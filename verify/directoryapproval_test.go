package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded/verify"
)

// approvalKey is the approval key of a test custodian.
func approvalKey(id string) ed25519.PrivateKey {
	seed := hash("custodian " + id)
	return ed25519.NewKeyFromSeed(seed[:])
}

// testCustodians are 2 of 3 of the firm and 1 of 2 independent ones.
func testCustodians() *verify.Custodians {
	c := &verify.Custodians{Cell: "eu", KeySet: hash("key set"), Epoch: 3}
	for _, r := range []struct {
		name    string
		of, min int
	}{{"firm", 3, 2}, {verify.RoleIndependent, 2, 1}} {
		role := verify.CustodianRole{Name: r.name, Threshold: r.min}
		for i := range r.of {
			id := fmt.Sprintf("%s-%d", r.name, i+1)
			role.Members = append(role.Members, verify.Custodian{Index: uint64(i + 1), ID: id, Key: approvalKey(id).Public().(ed25519.PublicKey)})
		}
		c.Roles = append(c.Roles, role)
	}
	return c
}

// approveDirectory returns the approvals of custodians named by role and place.
func approveDirectory(c *verify.Custodians, version uint64, digest [32]byte, seats ...[2]int) []*verify.DirectoryApproval {
	var list []*verify.DirectoryApproval
	for _, s := range seats {
		r := &c.Roles[s[0]]
		m := &r.Members[s[1]]
		a := &verify.DirectoryApproval{
			Cell: c.Cell, Version: version, Digest: digest, KeySet: c.KeySet, Epoch: c.Epoch, Role: r.Name, Index: m.Index, Custodian: m.ID,
		}
		a.Sign(approvalKey(m.ID))
		list = append(list, a)
	}
	return list
}

var testQuorum = [][2]int{{0, 0}, {0, 2}, {1, 1}}

func TestDirectoryNeedsTheQuorumOfEveryRole(t *testing.T) {
	c, digest := testCustodians(), hash("directory")
	good := func() []*verify.DirectoryApproval { return approveDirectory(c, 2, digest, testQuorum...) }
	check := func(list []*verify.DirectoryApproval) error {
		return verify.CheckDirectoryApprovals(c, 2, digest, list)
	}
	if err := check(good()); err != nil {
		t.Fatal(err)
	}
	other := testCustodians()
	other.Cell = "cn"
	if err := check(append(good(), approveDirectory(other, 9, hash("else"), [2]int{0, 0})...)); err != nil {
		t.Errorf("with an approval of another cell: %v", err)
	}
	later := testCustodians()
	later.KeySet, later.Epoch = hash("next key set"), 4
	first := func(change func(a *verify.DirectoryApproval)) []*verify.DirectoryApproval {
		list := good()
		change(list[0])
		return list
	}
	for name, x := range map[string]struct {
		list []*verify.DirectoryApproval
		code string
	}{
		"none":                       {nil, verify.FailApproval},
		"below the firm's threshold": {approveDirectory(c, 2, digest, [2]int{0, 0}, [2]int{1, 0}), verify.FailApproval},
		"nobody independent":         {approveDirectory(c, 2, digest, [2]int{0, 0}, [2]int{0, 1}, [2]int{0, 2}), verify.FailApproval},
		"one person twice":           {append(good(), approveDirectory(c, 2, digest, [2]int{0, 0})...), verify.FailApproval},
		"of another version":         {approveDirectory(c, 3, digest, testQuorum...), verify.FailApproval},
		"of another file":            {approveDirectory(c, 2, hash("else"), testQuorum...), verify.FailApproval},
		"of a later key set":         {approveDirectory(later, 2, digest, testQuorum...), verify.FailCustody},
		"of another cell alone":      {approveDirectory(other, 2, digest, testQuorum...), verify.FailApproval},
		"a signature altered":        {first(func(a *verify.DirectoryApproval) { a.Signature[9] ^= 1 }), verify.FailApproval},
		"signed by somebody else":    {first(func(a *verify.DirectoryApproval) { a.Sign(approvalKey("firm-2")) }), verify.FailApproval},
		"a seat that is not there": {first(func(a *verify.DirectoryApproval) {
			a.Index = 4
			a.Sign(approvalKey("firm-1"))
		}), verify.FailCustody},
		"a role that is not there": {first(func(a *verify.DirectoryApproval) {
			a.Role = "guests"
			a.Sign(approvalKey("firm-1"))
		}), verify.FailCustody},
	} {
		if err := check(x.list); err == nil || verify.FailureOf(err).Code != x.code {
			t.Errorf("%s: %v, want %s", name, err, x.code)
		}
	}
	if err := verify.CheckDirectoryApprovals(&verify.Custodians{Cell: "eu"}, 2, digest, nil); err == nil {
		t.Error("no custodians are a quorum")
	}
}

func TestAnnouncementNamesItsApprovals(t *testing.T) {
	c, digest := testCustodians(), hash("directory")
	list := approveDirectory(c, 2, digest, testQuorum...)
	sum := verify.DirectoryApprovalsDigest("eu", list)
	said := verify.Control{Subject: verify.ControlDirectory, Number: 2, Digest: digest, Approvals: sum[:]}
	file := verify.EncodeDirectoryApprovals(list)
	if err := said.CheckApproved(c, file); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	if verify.DirectoryApprovalsDigest("eu", list) != sum || !bytes.Equal(verify.EncodeDirectoryApprovals(append(list, list[0])), file) {
		t.Error("the order of approvals counts")
	}
	more := verify.EncodeDirectoryApprovals(approveDirectory(c, 2, digest, append([][2]int{{0, 1}}, testQuorum...)...))
	silent, other, policy := said, said, said
	silent.Approvals, other.Number, policy.Subject = nil, 3, verify.ControlPolicy
	for name, x := range map[string]struct {
		said *verify.Control
		file []byte
	}{
		"without any in the leaf":       {&silent, file},
		"other approvals":               {&said, more},
		"another version":               {&other, file},
		"another subject":               {&policy, file},
		"approvals in another spelling": {&said, append(file, '\n')},
	} {
		if err := x.said.CheckApproved(c, x.file); err == nil {
			t.Errorf("%s: it counts as approved", name)
		}
	}
}

func TestAnyChangedByteOfApprovalsIsNoticed(t *testing.T) {
	c, digest := testCustodians(), hash("directory")
	list := approveDirectory(c, 2, digest, testQuorum...)
	sum := verify.DirectoryApprovalsDigest("eu", list)
	said := verify.Control{Subject: verify.ControlDirectory, Number: 2, Digest: digest, Approvals: sum[:]}
	good := verify.EncodeDirectoryApprovals(list)
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if err := said.CheckApproved(c, b); err == nil {
			t.Fatalf("byte %d changed and nothing noticed", i)
		}
	}
}

func TestComparedDirectoriesSayWhatChanged(t *testing.T) {
	h := &history{t: t, cell: historyCell}
	old, next := h.directory(), h.directory()
	if d := verify.CompareDirectories(old, next); d != nil {
		t.Errorf("the same is different: %v", d)
	}
	next.Version++
	next.Cells[0].KeyholderKey = verify.EncodePublicKey(approvalKey("other").Public().(ed25519.PublicKey))
	next.Cells[0].WitnessPolicy = "quorum none\n"
	next.Cells[0].VaultCA = "PEM"
	var got []string
	for _, c := range verify.CompareDirectories(old, next) {
		got = append(got, string(c.Cell)+" "+c.Member)
	}
	if d := cmp.Diff([]string{" version", "eu witness_policy", "eu keyholder_key", "eu vault_ca"}, got); d != "" {
		t.Error(d)
	}
	next = h.directory()
	next.Cells[0].ID = "cn"
	if list := verify.CompareDirectories(old, next); !slices.Contains(list, verify.DirectoryChange{Cell: "eu", Member: "id", Old: "eu"}) ||
		!slices.Contains(list, verify.DirectoryChange{Cell: "cn", Member: "id", New: "cn"}) {
		t.Errorf("a cell that went and one that came: %v", list)
	}
}

func FuzzParseDirectoryApprovals(f *testing.F) {
	f.Add(verify.EncodeDirectoryApprovals(nil))
	f.Add(verify.EncodeDirectoryApprovals(approveDirectory(testCustodians(), 2, hash("directory"), testQuorum...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := verify.ParseDirectoryApprovals(b)
		if err == nil && !bytes.Equal(verify.EncodeDirectoryApprovals(list), b) {
			t.Fatal("two spellings")
		}
	})
}

func TestVectorsOfDirectoryApprovals(t *testing.T) {
	c, digest := testCustodians(), verify.DirectoryDigest([]byte("directory"))
	list := approveDirectory(c, 2, digest, testQuorum...)
	sum := verify.DirectoryApprovalsDigest("eu", list)
	var all []any
	for _, a := range list {
		all = append(all, obj{"approval": plain(*a), "bytes": hex.EncodeToString(a.Encode())})
	}
	goldenJSON(t, "directory-approvals.json", obj{
		"comment":    "Vectors of spec/directory.md section 4: approvals of version 2 of the directory whose file is the nine bytes \"directory\". Bytes are hexadecimal, 64-bit numbers text; file is the file.",
		"custodians": plain(*c), "approvals": all, "digest": hex.EncodeToString(sum[:]), "file": string(verify.EncodeDirectoryApprovals(list)),
	})
}
