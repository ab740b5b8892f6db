package keyholder_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/succession/ceremonytest"
	"bonded/internal/wire"
	"bonded/verify"
)

// next returns the directory of a world as a later version.
func (w *world) next(version uint64) *verify.Directory {
	d := *w.cells
	d.Version = version
	return &d
}

// approved announces a version of the directory with approvals of custodians,
// and shows both.
func (f *front) approved(d *verify.Directory, list []*verify.DirectoryApproval) *wire.Evidence {
	f.t.Helper()
	sum := verify.DirectoryApprovalsDigest("eu", list)
	e := f.announceApproved(verify.ControlDirectory, d.Version, verify.DirectoryDigest(d.Encode()), sum[:])
	e.File = verify.EncodeDirectoryApprovals(list)
	return e
}

func (f *front) approvalsOf(d *verify.Directory, people ...*ceremonytest.Custodian) []*verify.DirectoryApproval {
	return f.committee.ApproveDirectory(d.Version, verify.DirectoryDigest(d.Encode()), people...)
}

func TestDirectoryNeedsTheQuorumOnceThereAreCustodians(t *testing.T) {
	f := newFront(t)
	d := f.next(2)
	take := func() error { return f.k.SetTrust(f.trust(d, nil, false)) }
	quorum := f.committee.Quorum()
	good := f.approvalsOf(d, quorum...)
	forged := f.approvalsOf(d, quorum...)
	forged[0].Signature[3] ^= 1
	stranger := newFirst(t, f)
	silent := f.announce(verify.ControlDirectory, 2, verify.DirectoryDigest(d.Encode()))
	shown := *silent
	shown.File = verify.EncodeDirectoryApprovals(good)
	unshown := *f.approved(d, good)
	unshown.File = nil
	for name, e := range map[string]*wire.Evidence{
		"without any":                  silent,
		"approvals not in the leaf":    &shown,
		"approvals in the leaf alone":  &unshown,
		"below the quorum":             f.approved(d, good[1:]),
		"a forged one":                 f.approved(d, forged),
		"of another version":           f.approved(d, f.approvalsOf(f.next(3), quorum...)),
		"of custodians of another set": f.approved(d, stranger.ApproveDirectory(2, verify.DirectoryDigest(d.Encode()), stranger.Quorum()...)),
	} {
		_, err := f.k.Evidence(t.Context(), e)()
		var b *bonded.Error
		if !errors.As(err, &b) || b.Code != bonded.CodeStale || !slices.Equal(b.Rules, []string{"keyholder.directory-quorum"}) {
			t.Errorf("%s: %v", name, err)
		}
		if err := take(); bonded.CodeOf(err) != bonded.CodeStale {
			t.Errorf("%s: taken up: %v", name, err)
		}
	}
	f.anchorAll()
	if st := f.status(); !strings.Contains(st.Refusal, "directory 2: ") || !strings.Contains(st.Refusal, "not approved by the quorum") || len(st.Waiting) != 0 {
		t.Errorf("the status says %q and waits for %v", st.Refusal, st.Waiting)
	}
	// The quorum's is taken, and what the status said is over.
	if _, err := f.k.Evidence(t.Context(), f.approved(d, good))(); err != nil {
		t.Fatal(err)
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	if st := f.status(); st.Refusal != "" {
		t.Errorf("the status says %q", st.Refusal)
	}
}

func TestDirectoryAnnouncedBeforeTheCustodiansNeedsThemAfter(t *testing.T) {
	w := newWorld(t, waitADay)
	d := w.next(2)
	early := w.announce(verify.ControlDirectory, 2, verify.DirectoryDigest(d.Encode()))
	if _, err := w.k.Evidence(t.Context(), early)(); err != nil {
		t.Fatal(err)
	}
	if len(w.status().Waiting) != 1 {
		t.Fatal("it does not wait")
	}
	f := &front{world: w, committee: ceremonytest.Hold(t, "eu")}
	if _, err := f.show(f.link(f.committee, f.committee.Order(t, f.admin))); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if n := len(w.status().Waiting); n != 0 {
			t.Errorf("%s: %d changes wait", when, n)
		}
		if _, err := w.k.Evidence(t.Context(), early)(); bonded.CodeOf(err) != bonded.CodeStale {
			t.Errorf("%s: shown again without approvals: %v", when, err)
		}
	}
	check("with custodians")
	w.anchorAll()
	w.restart()
	w.anchorAll()
	check("after a restart")
	if _, err := w.k.Evidence(t.Context(), f.approved(d, f.approvalsOf(d, f.committee.Quorum()...)))(); err != nil {
		t.Errorf("the same version approved: %v", err)
	}
	if len(w.status().Waiting) != 1 {
		t.Error("it does not wait")
	}
}
