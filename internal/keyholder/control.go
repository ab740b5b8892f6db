package keyholder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/grant"
	"bonded/internal/wire"
	"bonded/verify"
)

// DefaultWaitingTime is how long after it was witnessed an announced change
// takes effect.
const DefaultWaitingTime = 24 * time.Hour

// ruleDirectoryQuorum refuses a version of the directory that the custodians
// have not approved.
const ruleDirectoryQuorum = "keyholder.directory-quorum"

// MaxWaitingTime is the longest waiting time an operator can set.
const MaxWaitingTime = 30 * 24 * time.Hour

// control is what was put in force and what waits, see spec/control.md. It is
// never changed: a new one takes its place.
type control struct {
	directory, signature, policy []byte // in force and booked; nil before the first unseal
	settled                      []byte // JSON of the grant set in force, if it is narrower than the one signed
	accepted                     map[verify.ControlSubject]uint64
	waiting                      map[verify.ControlSubject]*waiting
}

// waiting is an announcement whose evidence held.
type waiting struct {
	number uint64
	digest [32]byte
	index  int64  // in the ledger
	since  int64  // seconds; when it was witnessed
	file   []byte // of a grant set
}

var controlSubjects = []verify.ControlSubject{verify.ControlGrants, verify.ControlPolicy, verify.ControlDirectory}

func (c *control) clone() *control {
	n := *c
	n.accepted, n.waiting = maps.Clone(c.accepted), maps.Clone(c.waiting)
	return &n
}

func (c *control) encode() []byte {
	w := new(canon.Writer)
	w.Byte(1)
	for _, b := range [][]byte{c.directory, c.signature, c.policy, c.settled} {
		w.Bool(b != nil)
		w.Bytes(b)
	}
	for _, s := range controlSubjects {
		w.Uint(c.accepted[s])
		v := c.waiting[s]
		w.Bool(v != nil)
		if v != nil {
			w.Uint(v.number)
			w.Fixed(v.digest[:])
			w.Uint(uint64(v.index)) //nolint:gosec // never negative
			w.Uint(uint64(v.since)) //nolint:gosec // never negative
			w.Bytes(v.file)
		}
	}
	return w.B
}

func decodeControl(b []byte) (*control, error) {
	c := &control{accepted: map[verify.ControlSubject]uint64{}, waiting: map[verify.ControlSubject]*waiting{}}
	if b == nil {
		return c, nil
	}
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	for _, into := range []*[]byte{&c.directory, &c.signature, &c.policy, &c.settled} {
		there, v := r.Bool(), r.Bytes(wire.MaxFrame)
		if there {
			*into = append([]byte{}, v...)
		}
	}
	for _, s := range controlSubjects {
		if n := r.Uint(); n > 0 {
			c.accepted[s] = n
		}
		if r.Bool() {
			v := &waiting{number: r.Uint()}
			r.Fixed(v.digest[:])
			v.index, v.since = int64(r.Uint()), int64(r.Uint()) //nolint:gosec // written from int64
			v.file = append([]byte(nil), r.Bytes(wire.MaxFrame)...)
			c.waiting[s] = v
		}
	}
	if err := r.Done(); err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "what was put in force is altered in the database")
	}
	return c, nil
}

func (k *Keyholder) loadControl(ctx context.Context) error {
	b, err := k.cfg.Store.Control(ctx)
	if err != nil {
		return fmt.Errorf("read what is in force: %w", err)
	}
	k.control, err = decodeControl(b)
	return err
}

// setControl makes c take the place of what was, durable with p. The caller
// holds mu.
func (k *Keyholder) setControl(p *pending, c *control) {
	before := k.control
	p.undo = append(p.undo, func() { k.control = before })
	k.control = c
	p.commit.Control = c.encode()
}

// until returns when what was witnessed at a time can take effect.
func (k *Keyholder) until(since int64) time.Time {
	return time.Unix(since, 0).UTC().Add(k.cfg.Limits.WaitingTime)
}

// waited reports whether the waiting time is over, by the witnesses' clocks and
// by our own. The caller holds mu.
func (k *Keyholder) waited(since int64) bool {
	end := k.until(since)
	return k.cfg.Limits.WaitingTime == 0 || !k.now().Before(end) && !k.fresh.witnessed.Before(end)
}

func (k *Keyholder) waits(s verify.ControlSubject, v *waiting) wire.Waiting {
	return wire.Waiting{Subject: s, Number: v.number, Index: uint64(v.index), Until: uint64(k.until(v.since).Unix())} //nolint:gosec // never negative
}

// Evidence takes up evidence that the ledger announces a grant set, a policy
// or a version of the directory. What it announces takes effect after the
// waiting time; what a grant set takes away, at once. Evidence that does not
// hold, or is of another file, has code not_witnessed; an older number and a
// set beyond the ceilings bad_config. Showing the same again does nothing.
func (k *Keyholder) Evidence(ctx context.Context, e *wire.Evidence) func() (*wire.EvidenceResult, error) {
	res, p, err := k.evidence(e)
	if err != nil {
		k.refusedControl(ctx, e.Subject, e.Number, err)
		return func() (*wire.EvidenceResult, error) { return nil, err }
	}
	k.acceptedControl(e.Subject)
	return func() (*wire.EvidenceResult, error) {
		if p != nil {
			if err := p.wait(); err != nil {
				return nil, err
			}
		}
		return res, nil
	}
}

// refusedControl logs a refusal, once until another one comes.
func (k *Keyholder) refusedControl(ctx context.Context, s verify.ControlSubject, n uint64, err error) {
	text := fmt.Sprintf("%s %d: %v", s, n, err)
	k.mu.Lock()
	same := k.refusal == text
	k.refusal, k.refusedSubject = text, s
	k.mu.Unlock()
	if !same {
		k.log.LogAttrs(ctx, slog.LevelWarn, "an announced change is refused; what was in force stays",
			slog.String("subject", string(s)), slog.Uint64("number", n), slog.Any("error", err))
	}
}

// acceptedControl forgets the refusal of an earlier announcement of a subject.
func (k *Keyholder) acceptedControl(s verify.ControlSubject) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusedSubject == s {
		k.refusal, k.refusedSubject = "", ""
	}
}

func (k *Keyholder) evidence(e *wire.Evidence) (*wire.EvidenceResult, *pending, error) {
	k.mu.Lock()
	t, err := k.trust, k.ready()
	k.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	// 1. The evidence, by itself.
	a, err := verify.OpenEvidence(e.Evidence, t.cell)
	if err != nil {
		return nil, nil, bonded.Wrap(bonded.CodeStale, err, "the evidence shown does not hold")
	}
	switch {
	case a.Subject != e.Subject || a.Number != e.Number:
		return nil, nil, bonded.Errorf(bonded.CodeStale, "the evidence is of %s %d, not of %s %d", a.Subject, a.Number, e.Subject, e.Number)
	case e.Subject == verify.ControlGrants && a.Digest != grant.Digest(e.File):
		return nil, nil, bonded.Errorf(bonded.CodeStale, "the evidence is of another grant set than the one shown")
	case e.Subject == verify.ControlPolicy && len(e.File) > 0:
		return nil, nil, bonded.Errorf(bonded.CodeInvalid, "only a grant set and the approvals of a directory are taken from the line")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return nil, nil, err
	}
	if k.trust != t {
		return nil, nil, bonded.Errorf(bonded.CodeBusy, "the directory changed meanwhile: show it again")
	}
	if ahead := a.Witnessed.Sub(k.now()); ahead > maxSkew {
		return nil, nil, bonded.Errorf(bonded.CodeStale, "the witnesses' clocks are ahead of this one by %s", ahead.Round(time.Second))
	}
	// 2. Against what was accepted before.
	if e.Subject == verify.ControlGrants {
		return k.announcedGrants(e.File, a)
	}
	return k.announcedFile(a, e.File)
}

// approved checks that the custodians in force, if there are any, have
// approved a version of the directory. The caller holds mu.
func (k *Keyholder) approved(a *verify.Announcement, file []byte) error {
	if a.Subject != verify.ControlDirectory || k.custody == nil {
		return nil
	}
	why := verify.Fail(verify.FailApproval, "no approvals were shown")
	if len(file) > 0 {
		err := a.CheckApproved(k.custody.people, file)
		if err == nil {
			return nil
		}
		why = verify.FailureOf(err)
	}
	return &bonded.Error{
		Code: bonded.CodeStale, Message: "directory version " + strconv.FormatUint(a.Number, 10) + " is not approved by the quorum of the custodians in force: " + why.Message,
		Rules: []string{ruleDirectoryQuorum}, Hint: "cells.json.approvals stands beside cells.json before the vault announces it", Err: why,
	}
}

// announcedFile takes note of an announced policy or directory, whose file its
// operator brings; approvals are those of a directory. The caller holds mu.
func (k *Keyholder) announcedFile(a *verify.Announcement, approvals []byte) (*wire.EvidenceResult, *pending, error) {
	res := &wire.EvidenceResult{InForce: true, Waiting: wire.Waiting{Subject: a.Subject, Number: a.Number}}
	if v := k.control.waiting[a.Subject]; v != nil && v.number == a.Number && v.digest == a.Digest {
		res.InForce, res.Waiting = false, k.waits(a.Subject, v)
		return res, nil, nil
	}
	inForce := k.inForce(a.Subject) == a.Digest
	accepted := k.control.accepted[a.Subject]
	switch {
	case inForce && a.Number == accepted:
		return res, nil, nil
	case a.Number <= accepted:
		return nil, nil, bonded.Errorf(bonded.CodeConfig, "%s %d is not newer than %s %d, accepted before", a.Subject, a.Number, a.Subject, accepted)
	}
	if !inForce {
		if err := k.approved(a, approvals); err != nil {
			return nil, nil, err
		}
	}
	p, c := k.begin(), k.control.clone()
	c.accepted[a.Subject] = a.Number
	delete(c.waiting, a.Subject)
	if !inForce {
		v := &waiting{number: a.Number, digest: a.Digest, index: a.Index, since: a.Witnessed.Unix()}
		c.waiting[a.Subject] = v
		res.InForce, res.Waiting = false, k.waits(a.Subject, v)
		k.append(p, k.controlRow(a.Subject, v, "waits"))
	}
	k.setControl(p, c)
	k.enqueue(p)
	return res, p, nil
}

// controlRow returns the book row of something that waits or is put in force.
func (k *Keyholder) controlRow(s verify.ControlSubject, v *waiting, words ...string) *verify.BookRow {
	kind, detail := verify.BookControl, string(s)+" "
	if s == verify.ControlGrants {
		kind, detail = verify.BookGrants, ""
	}
	row := k.newRow(kind)
	detail += strconv.FormatUint(v.number, 10)
	if v.index < 0 {
		detail += " by hand"
	} else {
		detail += " entry " + strconv.FormatInt(v.index, 10)
	}
	for _, w := range words {
		detail += " " + w
	}
	row.Detail, row.Digest = detail, v.digest
	return row
}

// inForce returns the digest of the policy or directory that is booked as in
// force; zero if none is.
func (k *Keyholder) inForce(s verify.ControlSubject) [32]byte {
	file := k.control.policy
	if s == verify.ControlDirectory {
		file = k.control.directory
	}
	if file == nil {
		return [32]byte{}
	}
	return sha256.Sum256(file)
}

// InForce returns the directory with its signature and the policy text that
// are booked as in force, nil before the first unseal: until then the files of
// the operator are.
func (k *Keyholder) InForce() (directory, signature, policy []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.control.directory, k.control.signature, k.control.policy
}

// MayTakeUp returns nil if a policy text or directory with that digest may
// take the place of the one in force, and otherwise why it may not yet: code
// not_witnessed.
func (k *Keyholder) MayTakeUp(s verify.ControlSubject, digest [32]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mayTakeUp(s, digest)
}

func (k *Keyholder) mayTakeUp(s verify.ControlSubject, digest [32]byte) error {
	old := k.inForce(s)
	if old == ([32]byte{}) || old == digest {
		return nil
	}
	v := k.control.waiting[s]
	switch {
	case v == nil || v.digest != digest:
		return &bonded.Error{
			Code: bonded.CodeStale, Message: "the " + string(s) + " in the folder is not the one in force, and no evidence was shown that the ledger announces it",
			Hint: "the vault announces its own file, which must be the same byte for byte, and shows the evidence",
		}
	case k.sealed:
		return bonded.Errorf(bonded.CodeSealed, "%s %d waits until the keyholder is unsealed", s, v.number)
	case !k.waited(v.since):
		return bonded.Errorf(bonded.CodeStale, "%s %d, announced by entry %d of the ledger, takes effect from %s", s, v.number, v.index, k.until(v.since).Format(time.RFC3339))
	}
	return nil
}

// bookTrust enters the policy and directory in force, if they are others than
// those in the book. The caller holds mu.
func (k *Keyholder) bookTrust(p *pending) {
	t := k.trust
	if t == nil {
		return
	}
	c, booked := k.control.clone(), false
	put := func(s verify.ControlSubject, file []byte, number uint64) bool {
		digest := sha256.Sum256(file)
		if k.inForce(s) == digest {
			return false
		}
		v := c.waiting[s]
		if v == nil || v.digest != digest {
			v = &waiting{number: number, digest: digest, index: -1}
		} else {
			delete(c.waiting, s)
		}
		c.accepted[s] = max(c.accepted[s], v.number)
		k.append(p, k.controlRow(s, v))
		booked = true
		return true
	}
	if put(verify.ControlDirectory, t.File, t.Directory.Version) {
		c.directory, c.signature = t.File, t.Signature
	}
	if put(verify.ControlPolicy, t.Text, 0) {
		c.policy = t.Text
	}
	if booked {
		k.setControl(p, c)
	}
}
