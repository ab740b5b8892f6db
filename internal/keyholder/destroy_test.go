package keyholder_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// erasure enters the erasure of a subject, anchors it alone, and returns what
// a vault would send.
func (w *world) erasure(subject bonded.ID) *wire.Destroy {
	w.t.Helper()
	w.seq++
	row := &verify.Row{
		RowRef: verify.RowRef{Node: 1, Incarnation: 1, Seq: w.seq}, Cell: "eu", Time: uint64(w.now().UnixMilli()),
		Operation: verify.OpErase, Outcome: verify.OutcomeAllowed, Principal: "desk", Assurance: verify.AssuranceVault,
		Purpose: "subject_request", RequestID: bonded.NewID(), Items: []verify.RowItem{{Subject: subject}},
	}
	var salt verify.Salt
	_, _ = rand.Read(salt[:])
	leaf := verify.RowLeaf(row, salt)
	w.open = append(w.open, leaf)
	at := len(w.open) - 1
	leaves := make([]tlog.Hash, len(w.open))
	for i := range w.open {
		leaves[i] = w.open[i]
	}
	a := w.anchor()
	r := verify.MakeReceipt(row, salt, w.seg, leaves, at, a.hashes, 0, a.leaf, a.fields, string(a.Proof), nil)
	return &wire.Destroy{
		Subject: subject, Auth: wire.Auth{Principal: "desk", Assurance: verify.AssuranceVault}, Purpose: "subject_request", Reason: "letter of 3 March",
		Ref: row.RowRef, Leaf: leaf, Receipt: r.Encode(),
	}
}

// erase erases a person after the undo window.
func (w *world) erase(p person) *verify.Tombstone {
	w.t.Helper()
	d := w.erasure(p.subject)
	w.pass(w.limits.UndoWindow)
	w.anchor()
	tomb, err := w.destroy(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return tomb
}

func (w *world) destroy(d *wire.Destroy) (*verify.Tombstone, error) {
	again, err := wire.DecodeDestroy(d.Encode())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.k.Destroy(w.t.Context(), again)()
}

func wantRule(t *testing.T, err error, code bonded.Code, rule string) {
	t.Helper()
	var e *bonded.Error
	if !errors.As(err, &e) || e.Code != code || len(e.Rules) != 1 || e.Rules[0] != rule {
		t.Errorf("got %v, want %s by %s", err, code, rule)
	}
}

func TestErasedSubjectNeverReturns(t *testing.T) {
	w := newWorld(t)
	p, other := w.create(), w.create()
	tomb := w.erase(p)
	if !tomb.Verify(w.public.Key) || tomb.N != 1 {
		t.Errorf("tombstone %+v", tomb)
	}
	check := func() {
		t.Helper()
		again := wire.Item{Create: true, Subject: p.subject, Record: p.record, Fields: []wire.FieldVersion{{Name: "name"}}}
		res := w.unlock(w.entry(verify.OpRead, p.read("name"), other.read("name")), w.entry(verify.OpCreate, again))
		if res.Entries[0].Items[0].Code != bonded.CodeErased || res.Entries[0].Items[0].Keys != nil {
			t.Errorf("read of the erased: %q", res.Entries[0].Items[0].Code)
		}
		if res.Entries[0].Items[1].Keys[0] != other.key {
			t.Error("another person is gone as well")
		}
		if res.Entries[1].Items[0].Code != bonded.CodeErased {
			t.Errorf("created again: %q", res.Entries[1].Items[0].Code)
		}
	}
	check()
	if _, ok, err := w.store.Subject(t.Context(), p.subject); ok || err != nil {
		t.Errorf("the wrapped key is still there: %v", err)
	}
	w.restart()
	w.anchor()
	check()
	c, err := w.k.SubjectCount(t.Context(), p.subject)()
	if err != nil || c.N != 1 {
		t.Errorf("count of the erased = %+v, %v", c, err)
	}
	ts, err := w.k.Tombstones(t.Context(), 1)
	if err != nil || len(ts) != 1 || ts[0].Mark != tomb.Mark {
		t.Errorf("Tombstones = %v, %v", ts, err)
	}
}

func TestDestroyAgainGivesTheSameTombstone(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	first := w.erase(p)
	again, err := w.destroy(&wire.Destroy{Subject: p.subject, Auth: wire.Auth{Principal: "desk", Assurance: verify.AssuranceVault}, Purpose: "subject_request"})
	if err != nil || *again != *first {
		t.Errorf("Destroy again = %+v, %v", again, err)
	}
}

func TestDestroyIsHeldToReceiptWindowGrantAndCap(t *testing.T) {
	w := newWorld(t, func(w *world) {
		for i := range w.set.Grants {
			if w.set.Grants[i].ID == "desk" {
				w.set.Grants[i].HourlyCap = 1
			}
		}
	})
	p, other, third := w.create(), w.create(), w.create()
	d, forOther, forThird := w.erasure(p.subject), w.erasure(other.subject), w.erasure(third.subject)

	_, err := w.destroy(d)
	wantRule(t, err, bonded.CodeKeyholderRefused, "keyholder.undo-window")
	w.pass(w.limits.UndoWindow)
	w.anchor()

	swapped := *d
	swapped.Subject = other.subject
	_, err = w.destroy(&swapped)
	wantRule(t, err, bonded.CodeKeyholderRefused, "keyholder.receipt")
	none := *d
	none.Receipt = nil
	_, err = w.destroy(&none)
	wantRule(t, err, bonded.CodeKeyholderRefused, "keyholder.receipt")
	app := *d
	app.Auth.Principal = "app"
	_, err = w.destroy(&app)
	wantRule(t, err, bonded.CodeForbidden, "keyholder.erase-grant")
	job := *d
	job.Auth.Assurance = verify.AssuranceJob
	_, err = w.destroy(&job)
	wantRule(t, err, bonded.CodeForbidden, "keyholder.job")

	if _, err := w.destroy(d); err != nil {
		t.Fatal(err)
	}
	_, err = w.destroy(forOther)
	wantRule(t, err, bonded.CodeBudget, "keyholder.destroy-cap")
	forThird.Auth = wire.Auth{Principal: "jobs", Assurance: verify.AssuranceJob, Job: bonded.NewID()}
	forThird.Purpose = "maintenance"
	if _, err := w.destroy(forThird); err != nil {
		t.Errorf("under a job grant: %v", err)
	}
	w.restart()
	w.anchor()
	_, err = w.destroy(forOther)
	wantRule(t, err, bonded.CodeBudget, "keyholder.destroy-cap")
	w.pass(time.Hour)
	w.anchor()
	if _, err := w.destroy(forOther); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	refusals := 0
	for _, r := range w.book() {
		if r.Kind == verify.BookDestroy && r.Outcome == verify.OutcomeRefused {
			refusals++
		}
	}
	if refusals != 7 {
		t.Errorf("%d refusals booked, want 7", refusals)
	}
}

func TestRotationRewrapsAndDestroysTheOldCellKey(t *testing.T) {
	w := newWorld(t)
	var people []person
	for range 600 {
		people = append(people, w.create())
	}
	before := string(w.ring.file)
	if err := w.k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.k.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := w.status()
	if st.KeyVersion != 2 || st.Rewrapped != 600 || st.RewrapsUntil == 0 {
		t.Errorf("status %+v", st)
	}
	read := func() {
		t.Helper()
		for _, p := range people[:20] {
			if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Items[0].Keys[0] != p.key {
				t.Fatal("a key changed")
			}
		}
	}
	read()
	w.pass(time.Hour)
	w.anchor()
	if err := w.k.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.status(); st.RewrapsUntil != 0 {
		t.Error("the old cell key is still there")
	}
	read()
	w.restart()
	w.anchor()
	read()
	w.ring.file = []byte(before) // what an old copy of the keyring would open
	w.k.Close()
	if err := w.tryStart(); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("with the old keyring put back: %v", err)
	}
}

func TestErasureMakesTheCellKeyRotate(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.erase(p)
	if err := w.k.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.status(); st.KeyVersion != 1 {
		t.Fatal("rotated too early")
	}
	w.pass(w.limits.RotateAfter)
	if err := w.k.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.status(); st.KeyVersion != 2 {
		t.Error("not rotated")
	}
}
