package keyholder_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/keyholder"
	"bonded/internal/policy"
	"bonded/internal/wire"
	"bonded/verify"
)

// waitADay makes announced changes wait for a day.
func waitADay(w *world) { w.limits.WaitingTime = 24 * time.Hour }

// wantSet checks which set is in force, and which waits if any.
func wantSet(t *testing.T, w *world, inForce, waits uint64) {
	t.Helper()
	st := w.status()
	var waiting uint64
	for _, v := range st.Waiting {
		if v.Subject == verify.ControlGrants {
			waiting = v.Number
		}
	}
	if st.GrantSet != inForce || waiting != waits {
		t.Errorf("set %d is in force and %d waits, want %d and %d", st.GrantSet, waiting, inForce, waits)
	}
}

// mayRead reports whether a principal's read is answered.
func mayRead(w *world, p person, principal string) bool {
	w.t.Helper()
	e := w.entry(verify.OpRead, p.read("name"))
	e.Auth.Principal = principal
	return w.unlock(e).Entries[0].Code == ""
}

func details(w *world, kind verify.BookKind) (list []string) {
	for _, r := range w.book() {
		if r.Kind == kind {
			list = append(list, r.Detail)
		}
	}
	return list
}

func TestWiderGrantSetWaitsForItsTime(t *testing.T) {
	w := newWorld(t, waitADay)
	p := w.create()
	w.addGrant("late", func(*grant.Grant) {})
	e := w.announceGrants()
	announced := w.now()

	// 1. By hand and without evidence it is not taken.
	if _, err := w.k.InstallGrants(t.Context(), e.File, nil); bonded.CodeOf(err) != bonded.CodeStale || !strings.Contains(err.Error(), "no evidence") {
		t.Errorf("without evidence: %v", err)
	}
	wantSet(t, w, 1, 0)
	// 2. With it, it waits, also over a restart and shown again.
	for range 2 {
		res, err := w.k.Evidence(t.Context(), e)()
		if err != nil || res.InForce || res.Waiting.Until != uint64(announced.Add(24*time.Hour).Unix()) {
			t.Fatalf("Evidence = %+v, %v", res, err)
		}
		wantSet(t, w, 1, 2)
		if mayRead(w, p, "late") {
			t.Error("a waiting grant reads")
		}
		w.anchorAll()
		w.restart()
		w.anchorAll()
	}
	due := func() {
		t.Helper()
		if err := w.k.PutDueGrants(); err != nil {
			t.Fatal(err)
		}
	}
	// 3. Our own clock alone is not enough.
	w.pass(23*time.Hour + 59*time.Minute)
	w.anchorAll()
	w.pass(time.Minute)
	due()
	wantSet(t, w, 1, 2)
	// 4. Nor would the witnesses' alone be: both are past now.
	w.anchorAll()
	due()
	wantSet(t, w, 2, 0)
	if !mayRead(w, p, "late") {
		t.Error("a grant in force does not read")
	}
	if got, want := details(w, verify.BookGrants), []string{"1 by hand", "2 entry 1 waits", "2 entry 1"}; !slices.Equal(got, want) {
		t.Errorf("the book says %q, want %q", got, want)
	}
	w.anchorAll()
	w.restart()
	wantSet(t, w, 2, 0)
	if res, err := w.k.Evidence(t.Context(), e)(); err != nil || !res.InForce {
		t.Errorf("shown again: %+v, %v", res, err)
	}
}

// anchorAll anchors, after it has shown every entry of the ledger before.
func (w *world) anchorAll() {
	w.t.Helper()
	next, err := w.catchUp(&wire.CatchUp{})
	for err == nil && next < uint64(len(w.entries)) {
		if a := w.shown[int(next)]; a != nil {
			if _, err := w.k.Anchor(w.t.Context(), &a.Anchor)(); err != nil {
				w.t.Fatal(err)
			}
		} else if _, err := w.catchUp(&wire.CatchUp{Entry: w.entries[next], Proof: w.proof(int64(next), w.now())}); err != nil {
			w.t.Fatal(err)
		}
		next, err = w.catchUp(&wire.CatchUp{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.anchor()
}

func TestTakingAwayDoesNotWait(t *testing.T) {
	w := newWorld(t, waitADay)
	p := w.create()
	session, key, _ := openSession(t, w, "sessions-only")
	drop := func(id string) {
		w.set.Grants = slices.DeleteFunc(w.set.Grants, func(g grant.Grant) bool { return g.ID == id })
	}
	// 1. By hand, without any evidence.
	drop("sessions-only")
	e := w.announceGrants()
	if res, err := w.k.InstallGrants(t.Context(), e.File, nil); err != nil || !res.InForce {
		t.Fatalf("a narrower set: %+v, %v", res, err)
	}
	wantSet(t, w, 2, 0)
	gone := w.entry(verify.OpRead, p.read("name"))
	gone.Auth.Principal = "sessions-only"
	prove(&gone, session, key, 1, nil)
	wantRefused(t, w.unlock(gone), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")
	// 2. In a set that also adds: what it takes away is away, what it adds waits.
	drop("elsewhere")
	w.set.Grants[0].Scope = map[string][]string{"users": {"email"}}
	w.addGrant("late", func(*grant.Grant) {})
	first := w.announceGrants()
	if res, err := w.k.Evidence(t.Context(), first)(); err != nil || res.InForce {
		t.Fatalf("a set that adds: %+v, %v", res, err)
	}
	check := func(when string) {
		t.Helper()
		wantSet(t, w, 2, w.set.Number)
		if mayRead(w, p, "app") || mayRead(w, p, "late") || mayRead(w, p, "elsewhere") {
			t.Errorf("%s: somebody reads", when)
		}
	}
	check("announced")
	// 3. A later set does not bring it back before its time, nor a restart.
	since := w.now()
	w.pass(time.Hour)
	w.anchorAll()
	w.addGrant("elsewhere", func(*grant.Grant) {})
	w.set.Grants[0].Scope = map[string][]string{"users": {"name", "email"}}
	if res, err := w.k.Evidence(t.Context(), w.announceGrants())(); err != nil || res.InForce {
		t.Fatalf("a set that gives back: %+v, %v", res, err)
	}
	check("given back")
	w.anchorAll()
	w.restart()
	w.anchorAll()
	check("after a restart")
	file, err := w.signed(w.set.Number + 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.k.InstallGrants(t.Context(), file, nil); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("given back by hand: %v", err)
	}
	check("given back by hand")
	// 4. One that narrows the waiting one does not begin to wait anew.
	drop("elsewhere")
	res, err := w.k.Evidence(t.Context(), w.announceGrants())()
	if want := uint64(since.Add(25 * time.Hour).Unix()); err != nil || res.Waiting.Until != want {
		t.Errorf("until %d, want %d: %v", res.Waiting.Until, want, err)
	}
	// 5. Also a set nobody announced takes away what it lacks.
	drop("desk")
	w.addGrant("later", func(*grant.Grant) {})
	if file, err = w.signed(w.set.Number + 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.k.InstallGrants(t.Context(), file, nil); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("by hand: %v", err)
	}
	desk := w.entry(verify.OpRead, p.read("name"))
	desk.Auth.Principal, desk.Purpose = "desk", "subject_request"
	wantRefused(t, w.unlock(desk), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")
}

func TestEvidenceThatIsNotOfTheSetIsRefused(t *testing.T) {
	w := newWorld(t, waitADay)
	w.addGrant("late", func(*grant.Grant) {})
	good := w.announceGrants()
	other := good.File
	w.set.Number--
	w.addGrant("other", func(*grant.Grant) {})
	same, err := w.signed(2)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := verify.ParseEvidence(good.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	altered := *parsed
	altered.Leaf = slices.Clone(parsed.Leaf)
	altered.Leaf[39]++
	unwitnessed := *parsed
	proof, err := verify.ParseTlogProof([]byte(parsed.Proof))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(proof.Checkpoint), "\n")
	proof.Checkpoint = []byte(strings.Join(lines[:len(lines)-2], ""))
	unwitnessed.Proof = string(proof.Format())
	for name, c := range map[string]struct {
		e    wire.Evidence
		code bonded.Code
		why  string
	}{
		"another set":         {wire.Evidence{Subject: verify.ControlGrants, Number: 2, Evidence: good.Evidence, File: same}, bonded.CodeStale, "another grant set"},
		"another number said": {wire.Evidence{Subject: verify.ControlGrants, Number: 3, Evidence: good.Evidence, File: other}, bonded.CodeStale, "not of grants 3"},
		"another subject":     {wire.Evidence{Subject: verify.ControlPolicy, Number: 2, Evidence: good.Evidence}, bonded.CodeStale, "not of policy 2"},
		"an altered leaf":     {wire.Evidence{Subject: verify.ControlGrants, Number: 2, Evidence: altered.Encode(), File: other}, bonded.CodeStale, "does not hold"},
		"an unwitnessed leaf": {wire.Evidence{Subject: verify.ControlGrants, Number: 2, Evidence: unwitnessed.Encode(), File: other}, bonded.CodeStale, "does not hold"},
		"no evidence":         {wire.Evidence{Subject: verify.ControlGrants, Number: 2, File: other}, bonded.CodeStale, "does not hold"},
		"an older number":     {*w.announceNumber(t, 1), bonded.CodeConfig, "not newer"},
		"number of the leaf":  {*w.announceAs(t, 3, 4), bonded.CodeStale, "announces grant set 3"},
		"a stranger's set":    {*w.announceStranger(t, 3), bonded.CodeConfig, "not signed by the administrator"},
		"a file for a policy": {wire.Evidence{Subject: verify.ControlPolicy, Number: 1, Evidence: w.announce(verify.ControlPolicy, 1, [32]byte{1}).Evidence, File: other}, bonded.CodeInvalid, "only a grant set"},
	} {
		_, err := w.k.Evidence(t.Context(), &c.e)()
		if bonded.CodeOf(err) != c.code || !strings.Contains(whole(err), c.why) {
			t.Errorf("%s: %v, want %s with %q", name, whole(err), c.code, c.why)
		}
		wantSet(t, w, 1, 0)
	}
	w.pass(10 * time.Minute)
	ahead := w.announceNumber(t, 4)
	w.pass(-10 * time.Minute)
	if _, err := w.k.Evidence(t.Context(), ahead)(); bonded.CodeOf(err) != bonded.CodeStale || !strings.Contains(whole(err), "ahead") {
		t.Errorf("witnessed in the future: %v", err)
	}
	if _, err := w.k.Evidence(t.Context(), good)(); err != nil {
		t.Errorf("the good one: %v", err)
	}
	wantSet(t, w, 1, 2)
}

func whole(err error) string {
	var e *bonded.Error
	if errors.As(err, &e) && e.Err != nil {
		return err.Error() + ": " + e.Err.Error()
	}
	return err.Error()
}

func (w *world) announceNumber(t *testing.T, n uint64) *wire.Evidence { return w.announceAs(t, n, n) }

// announceAs announces set n as number said.
func (w *world) announceAs(t *testing.T, said, n uint64) *wire.Evidence {
	t.Helper()
	file, err := w.signed(n)
	if err != nil {
		t.Fatal(err)
	}
	e := w.announce(verify.ControlGrants, said, grant.Digest(file))
	e.File = file
	return e
}

func (w *world) announceStranger(t *testing.T, n uint64) *wire.Evidence {
	t.Helper()
	admin := w.admin
	defer func() { w.admin = admin }()
	_, w.admin, _ = ed25519.GenerateKey(nil)
	return w.announceNumber(t, n)
}

func TestPolicyTextWaitsAndLawDoesNot(t *testing.T) {
	w := newWorld(t, waitADay)
	text := append(policy.DefaultOperatorPolicy(), "\n// reviewed\n"...)
	digest := sha256.Sum256(text)
	take := func() error { return w.k.SetTrust(w.trust(w.cells, text, false)) }
	if err := take(); bonded.CodeOf(err) != bonded.CodeStale || !strings.Contains(err.Error(), "no evidence") {
		t.Errorf("without evidence: %v", err)
	}
	// The same text under another law is the same text.
	law := w.trust(w.cells, nil, false)
	set, err := policy.Compile("policy.cedar", append(policy.DefaultOperatorPolicy(), `@id("law-of-the-day") forbid (principal, action, resource) when { false };`...), nil)
	if err != nil {
		t.Fatal(err)
	}
	law.Policy = set
	if err := w.k.SetTrust(law); err != nil {
		t.Errorf("law: %v", err)
	}
	if h := w.hello(); h.Policy != set.Digest() {
		t.Error("the set of today's law is not in force")
	}
	if err := w.k.SetTrust(w.trust(w.cells, nil, false)); err != nil {
		t.Fatal(err)
	}
	// The operator's own waits.
	e := w.announce(verify.ControlPolicy, 1, digest)
	if res, err := w.k.Evidence(t.Context(), e)(); err != nil || res.InForce {
		t.Fatalf("Evidence = %+v, %v", res, err)
	}
	if err := take(); bonded.CodeOf(err) != bonded.CodeStale || !strings.Contains(err.Error(), "takes effect from") {
		t.Errorf("before its time: %v", err)
	}
	w.pass(25 * time.Hour)
	w.anchorAll()
	if err := take(); err != nil {
		t.Fatal(err)
	}
	if st := w.status(); len(st.Waiting) != 0 {
		t.Errorf("waiting: %+v", st.Waiting)
	}
	if _, _, got := w.k.InForce(); string(got) != string(text) {
		t.Error("another text is in force")
	}
	if _, err := w.k.Evidence(t.Context(), w.announce(verify.ControlPolicy, 1, [32]byte{1}))(); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("an older number: %v", err)
	}
	if res, err := w.k.Evidence(t.Context(), e)(); err != nil || !res.InForce {
		t.Errorf("shown again: %+v, %v", res, err)
	}
	want := []string{"directory 1 by hand", "policy 0 by hand", "policy 1 entry " + place(w, e) + " waits", "policy 1 entry " + place(w, e)}
	if got := details(w, verify.BookControl); !slices.Equal(got, want) {
		t.Errorf("the book says %q, want %q", got, want)
	}
	// A start under the old text keeps the new one: it is booked.
	w.anchorAll()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.openStore()
	k, err := keyholder.New(keyholder.Config{Cell: "eu", Store: w.store, Driver: keyholder.UnlockedDriver(w.key), Keyring: w.ring, Limits: w.limits, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	if err := k.SetTrust(w.trust(w.cells, nil, false)); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("the old text at a start: %v", err)
	}
	if err := k.SetTrust(w.trust(w.cells, text, false)); err != nil {
		t.Errorf("the text in force at a start: %v", err)
	}
}

func place(w *world, e *wire.Evidence) string {
	w.t.Helper()
	p, err := verify.ParseEvidence(e.Evidence)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, b := range w.entries {
		if string(b) == string(p.Leaf) {
			return strconv.Itoa(i)
		}
	}
	w.t.Fatal("not in the ledger")
	return ""
}

func TestDirectoryWaitsUnlessAcceptedByHand(t *testing.T) {
	w := newWorld(t, waitADay)
	next := *w.cells
	next.Version = 2
	next.Issued = "2026-11-24T00:00:00Z"
	take := func(byHand bool) error { return w.k.SetTrust(w.trust(&next, nil, byHand)) }
	e := w.announce(verify.ControlDirectory, 2, verify.DirectoryDigest(next.Encode()))
	if _, err := w.k.Evidence(t.Context(), e)(); err != nil {
		t.Fatal(err)
	}
	if err := take(false); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("before its time: %v", err)
	}
	if err := take(true); err != nil {
		t.Fatal(err)
	}
	got := details(w, verify.BookControl)
	if last := got[len(got)-1]; last != "directory 2 entry "+place(w, e) {
		t.Errorf("the book says %q", last)
	}
	next.Version = 3
	if err := take(true); err != nil {
		t.Fatal(err)
	}
	got = details(w, verify.BookControl)
	if last := got[len(got)-1]; last != "directory 3 by hand" {
		t.Errorf("the book says %q", last)
	}
}

func TestChangesThatCannotBeBookedDoNotTakeEffect(t *testing.T) {
	w := newWorld(t)
	w.addGrant("late", func(*grant.Grant) {})
	e := w.announceGrants()
	text := append(policy.DefaultOperatorPolicy(), '\n')
	p := w.announce(verify.ControlPolicy, 1, sha256.Sum256(text))
	if _, err := w.k.Evidence(t.Context(), p)(); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.k.Evidence(t.Context(), e)(); err == nil {
		t.Error("a set is in force that is not booked")
	}
	if err := w.k.SetTrust(w.trust(w.cells, text, false)); err == nil {
		t.Error("a policy is in force that is not booked")
	}
	w.openStore()
	w.k.Close()
	w.start()
	wantSet(t, w, 1, 0)
	if _, _, got := w.k.InForce(); string(got) == string(text) {
		t.Error("a policy is in force that is not booked")
	}
}
