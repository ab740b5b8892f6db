//go:build unix

package bondedtest_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/custodian"
	"bonded/internal/foundation"
	"bonded/internal/quorum"
	"bonded/verify"
)

// A crooked door hands in other partials than its custodian made; alter may
// keep them to itself and return nil.
type crooked struct {
	*client.PersonClient
	alter func(*apitype.CasePartials) *apitype.CasePartials
}

func (c *crooked) Partials(ctx context.Context, id bonded.CaseID, p *apitype.CasePartials) (*apitype.CasePartialsResult, error) {
	if c.alter != nil {
		p = c.alter(p)
	}
	return c.PersonClient.Partials(ctx, id, p)
}

// folder opens the folder of a custodian, which is an owner that lies.
func (o *door) folder(id string) (*custodian.Folder, *client.PersonClient) {
	o.t.Helper()
	pass, err := os.ReadFile(o.d.Layout.CustodianPassphrase(o.Cell, id))
	must(o.t, err)
	f, err := custodian.Open(o.d.Layout.Custodian(o.Cell, id), custodian.Options{Passphrase: bytes.TrimSpace(pass)})
	must(o.t, err)
	p, err := client.NewPerson(client.PersonConfig{Directory: o.d.Directory, Cell: o.Cell, Person: f.Person(), Key: f.Key()})
	must(o.t, err)
	return f, p
}

// compute has a custodian compute for a case once its opening is witnessed,
// and returns the partials as they were handed in.
func (o *door) compute(id bonded.CaseID, who string, alter func(*apitype.CasePartials) *apitype.CasePartials) (made [][]byte) {
	o.t.Helper()
	must(o.t, o.tryCompute(id, who, func(p *apitype.CasePartials) *apitype.CasePartials {
		made = append(made, p.Partials...)
		if alter != nil {
			p = alter(p)
		}
		return p
	}))
	return made
}

func (o *door) tryCompute(id bonded.CaseID, who string, alter func(*apitype.CasePartials) *apitype.CasePartials) error {
	o.t.Helper()
	f, p := o.folder(who)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(casePatient); ; <-tick.C {
		done, err := f.Compute(o.ctx(), &crooked{p, alter}, id)
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return bonded.Errorf(bonded.CodeStale, "the opening of the case is not witnessed")
		}
	}
}

func attackCases(o *door, good goodCase) {
	t := o.t
	t.Run("below the quorum", func(t *testing.T) { belowQuorum(o.on(t)) })
	t.Run("partials of others", func(t *testing.T) { wrongPartials(o.on(t), good) })
	t.Run("an altered record", func(t *testing.T) { alteredRecord(o.on(t)) })
	t.Run("a requester who is a custodian", func(t *testing.T) { ownCustodian(o.on(t)) })
	t.Run("witnesses that are gone", func(t *testing.T) { goneWitnesses(o.on(t)) })
}

// belowQuorum approves a case with too few, then with enough of one role and
// none of the other.
func belowQuorum(o *door) {
	t := o.t
	s := o.named()
	id := o.before(s)
	for _, who := range []string{"firm-1", "firm-2", "firm-3"} { // two of the firm are enough, three are no other role
		o.approve(id, who)
		if v := o.wantUnopened(id); v.State != "awaiting_quorum" {
			t.Errorf("with approvals of the firm alone the case is %s", v.State)
		}
		err := o.early(id, who)
		wantCode(t, err, bonded.CodeStale, bonded.CodeConflict)
	}
	// One and the same approval does not count twice.
	_, err := o.ApproveScope(o.ctx(), "firm-1", id)
	if err == nil {
		t.Error("a custodian decided twice")
	}
	o.wantUnopened(id)
	// With the other role it goes on, and one custodian who is gone is not
	// missed.
	o.approve(id, "independent-1")
	o.work(id, "firm-1", "firm-3", "independent-1") // firm-2 computes nothing
	o.wantOpens(id, s)
}

// early hands in partials before there is an opening.
func (o *door) early(id bonded.CaseID, who string) error {
	o.t.Helper()
	_, p := o.folder(who)
	_, err := p.Partials(o.ctx(), id, &apitype.CasePartials{Partials: [][]byte{{1}}})
	return err
}

// wrongPartials hands in partials that are not the custodian's own for this
// case. Whoever signs for a wrong one is named in the ledger.
func wrongPartials(o *door, good goodCase) {
	t := o.t
	s := o.named()
	id := o.before(s)
	o.approve(id, "firm-1", "firm-2", "firm-3", "independent-1")
	own := o.compute(id, "firm-1", nil)

	// 1. The bytes of another custodian, again.
	_, firm2 := o.folder("firm-2")
	_, err := firm2.Partials(o.ctx(), id, &apitype.CasePartials{Partials: own})
	wantCode(t, err, bonded.CodeInvalid)
	// 2. Again by the same one: nothing changes.
	_, firm1 := o.folder("firm-1")
	if r, err := firm1.Partials(o.ctx(), id, &apitype.CasePartials{Partials: own}); err != nil || !r.Complete {
		t.Errorf("handed in again: %+v, %v", r, err)
	}
	// 3. Somebody who is no custodian.
	if _, err := o.asOfficer(doorOfficer).Partials(o.ctx(), id, &apitype.CasePartials{Partials: own}); err == nil {
		t.Error("a requester handed in partials")
	}
	// 4. Honest work for another case.
	if slices.EqualFunc(own, good.partials, bytes.Equal) {
		t.Fatal("partials of two cases are equal")
	}
	_, err = firm1.Partials(o.ctx(), good.id, &apitype.CasePartials{Partials: own})
	if err == nil {
		t.Error("a case that was delivered took partials")
	}
	// 5. A lie: a partial with one bit of its proof altered.
	err = o.tryCompute(id, "firm-2", func(p *apitype.CasePartials) *apitype.CasePartials {
		for i := range p.Partials {
			if n := len(p.Partials[i]); n > 0 {
				p.Partials[i][n-32] ^= 1
			}
		}
		return p
	})
	wantCode(t, err, bonded.CodeAtFault)
	v := o.view(id)
	if !hasAlarm(v, "custodian firm-2") || hasAlarm(v, "custodian firm-1") {
		t.Errorf("the custodian who lied is not the one named: %+v", v.Entries)
	}
	if v.Package != "" {
		t.Error("a package came of a lie")
	}
	// The others are enough.
	o.work(id, "firm-3", "independent-1")
	o.wantOpens(id, s)

	// 6. Partials of one case for another one that is open.
	other := o.before(o.named())
	o.approve(other, "firm-1", "firm-2", "independent-1")
	err = o.tryCompute(other, "firm-1", func(p *apitype.CasePartials) *apitype.CasePartials {
		p.Partials = own
		return p
	})
	wantCode(t, err, bonded.CodeAtFault, bonded.CodeInvalid)
	if v := o.view(other); v.Package != "" || bonded.CodeOf(err) == bonded.CodeAtFault && !hasAlarm(v, "custodian firm-1") {
		t.Errorf("a replayed partial is not named: %+v", v.Entries)
	}
	o.work(other, "firm-1", "firm-2", "independent-1")
}

// alteredRecord alters a record behind the back of the vault after it was put
// before the custodians.
func alteredRecord(o *door) {
	t := o.t
	s := o.named()
	id := o.before(s)
	stop(t, o.d, "eu/vault")
	db := database(t, o.d.Layout.Vault("eu")+"/vault.db")
	var n int64
	var fields []byte
	must(t, db.QueryRowContext(t.Context(), "SELECT n, fields FROM record ORDER BY n DESC LIMIT 1").Scan(&n, &fields))
	old := bytes.Clone(fields)
	fields[40] ^= 1 // within the envelope, which stands first
	exec1(t, db, "UPDATE record SET fields = ? WHERE n = ?", fields, n)
	must(t, db.Close())
	restart(t, o.d, "eu/vault")
	ready(t, o.d)
	if out, err := o.ApproveScope(o.ctx(), "firm-1", id); err == nil {
		t.Errorf("a custodian approved an altered record:\n%s", out)
	}
	if v := o.wantUnopened(id); len(v.Approvals) != 0 {
		t.Errorf("an approval came of it: %+v", v.Approvals)
	}
	// With what stood there before it goes on.
	stop(t, o.d, "eu/vault")
	db = database(t, o.d.Layout.Vault("eu")+"/vault.db")
	exec1(t, db, "UPDATE record SET fields = ? WHERE n = ?", old, n)
	must(t, db.Close())
	restart(t, o.d, "eu/vault")
	ready(t, o.d)
	o.approve(id, "firm-1", "firm-2", "independent-1")
	o.work(id, "firm-1", "firm-2", "independent-1")
	o.wantOpens(id, s)
}

// ownCustodian has an agency ask that a custodian belongs to.
func ownCustodian(o *door) {
	t := o.t
	const id = "privacy-watch"
	o.agency(id, "Example Privacy Watch") // independent-2 belongs to it
	o.officer("officer-watch", id)
	c := o.file("officer-watch", o.text("officer-watch", id, o.named(), ""))
	o.approved(c)
	_, err := o.AwaitScope(o.ctx(), "legal-1", c)
	must(t, err)
	o.approve(c, "firm-1", "firm-2")
	if out, err := o.ApproveScope(o.ctx(), "independent-2", c); err == nil {
		t.Errorf("a custodian approved what its own organisation asks for:\n%s", out)
	}
	// Nor does the front door take what a custodian signs all the same.
	f, p := o.folder("independent-1")
	checked, err := f.Check(o.ctx(), p, c)
	must(t, err)
	lf, lp := o.folder("independent-2")
	_, err = lf.Approve(o.ctx(), lp, checked)
	wantCode(t, err, bonded.CodeForbidden)
	if v := o.wantUnopened(c); v.State != "awaiting_quorum" {
		t.Errorf("the case is %s", v.State)
	}
}

// goneWitnesses takes away two of three witnesses before the quorum stands:
// its entry is made and opens nothing until they are back.
func goneWitnesses(o *door) {
	t := o.t
	s := o.named()
	id := o.before(s)
	o.approve(id, "firm-1", "firm-2")
	stop(t, o.d, "witness-1", "witness-2")
	o.approve(id, "independent-1")
	v := o.view(id)
	if events(v, verify.EventOpening) != 1 {
		t.Errorf("the quorum stands and its opening is not entered: %s", v.State)
	}
	f, p := o.folder("firm-1")
	for began := time.Now(); time.Since(began) < 5*time.Second; { // several slots of the ledger
		if done, err := f.Compute(o.ctx(), p, id); done {
			t.Fatalf("a custodian computed for an opening that nobody witnessed: %v", err)
		}
		if v := o.view(id); v.State != "opening" || v.Package != "" {
			t.Fatalf("the case is %s with package %q", v.State, v.Package)
		}
	}
	o.wantWithheld(id)
	restart(t, o.d, "witness-1", "witness-2")
	o.work(id, "firm-1", "firm-2", "independent-1")
	o.wantOpens(id, s)
}

// reshareCases replaces a custodian while a case is before the old ones.
func reshareCases(o *door) {
	t := o.t
	s := o.named()
	id := o.before(s)
	o.approve(id, "firm-1", "firm-3") // counts no more after the resharing
	old, oldDoor := o.folder("firm-3")
	checked, err := old.Check(o.ctx(), oldDoor, id)
	must(t, err)
	before := old.KeySet()

	// 1. firm-4 takes the place of firm-3.
	fresh := foundation.Custodian{ID: "firm-4", Role: "firm", Organisation: "Example AG"}
	o.Plan.Custodians = slices.Clone(o.Plan.Custodians)
	o.Plan.Custodians[2] = fresh
	must(t, o.MakeCustodians(o.ctx()))
	roles, err := o.Roles()
	must(t, err)
	p := &quorum.Params{
		Cell: o.Cell, Ceremony: bonded.NewID(), Kind: quorum.KindReshare, Epoch: before.Epoch() + 1, Roles: roles,
		Previous: before.Digest(), Handover: [][]uint8{{1, 2}, {1, 2}},
	}
	must(t, p.Check(before))
	must(t, o.Hold(o.ctx(), o.admin(), p, []string{"firm-1", "firm-2", "firm-4", "independent-1", "independent-2"}))
	must(t, o.AddCustodian(o.ctx(), o.admin(), fresh))

	// 2. The release key is the same, the shares are others.
	now, _ := o.folder("firm-4")
	if k := now.KeySet(); k.Epoch() != before.Epoch()+1 || k.ReleaseKey() != before.ReleaseKey() || k.Digest() == before.Digest() {
		t.Errorf("epoch %d with release key %x, was %d with %x", k.Epoch(), k.ReleaseKey(), before.Epoch(), before.ReleaseKey())
	}

	// 3. The case is put before the new custodians; who was replaced approves
	// nothing any more.
	poll(t, "the case before the new custodians", func() error {
		if v := o.view(id); events(v, verify.EventQuorum) != 2 || len(v.Approvals) != 0 {
			return bonded.Errorf(bonded.CodeStale, "%d times before them, %d approvals", events(v, verify.EventQuorum), len(v.Approvals))
		}
		return nil
	})
	_, err = old.Approve(o.ctx(), oldDoor, checked)
	wantCode(t, err, bonded.CodeStaleShare, bonded.CodeUnauthenticated, bonded.CodeForbidden, bonded.CodeWithheld)
	if out, err := o.ApproveScope(o.ctx(), "firm-3", id); err == nil {
		t.Errorf("a custodian who was replaced approved:\n%s", out)
	}
	o.wantUnopened(id)
	poll(t, "an approval of the new round", func() error { // its entry is witnessed a slot later
		_, err := o.ApproveScope(o.ctx(), "firm-4", id)
		return err
	})
	o.approve(id, "firm-1", "independent-1")
	o.work(id, "firm-1", "firm-4", "independent-1")
	o.wantOpens(id, s) // sealed under the key set of before
}
