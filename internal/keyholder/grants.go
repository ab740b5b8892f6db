package keyholder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/policy"
	"bonded/internal/wire"
	"bonded/verify"
)

// grantSet is an installed set, ready for lookups, under the ceilings of the
// operator: those may have been lowered since it was installed.
type grantSet struct {
	number uint64
	file   []byte
	set    *grant.Set // what is in byID: as in file, or narrower while another set waits
	byID   map[string]*grantEntry
}

type grantEntry struct {
	grant.Grant
	pub       ed25519.PublicKey // nil if it has none
	principal policy.Principal
}

func (s *grantSet) find(id string) *grantEntry {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

func newGrantSet(set *grant.Set, file []byte, dir *verify.Directory, l *Limits) *grantSet {
	s := &grantSet{number: set.Number, file: bytes.Clone(file), set: set, byID: make(map[string]*grantEntry, len(set.Grants))}
	for i := range set.Grants {
		e := &grantEntry{Grant: set.Grants[i]}
		e.Budget, e.JobRate = min(e.Budget, l.MaxBudget), min(e.JobRate, l.MaxBudget)
		e.Bearer = e.Bearer && l.AllowBearer
		if end := e.NotBefore.Add(l.MaxValidity + validitySlack); end.Before(e.NotAfter) {
			e.NotAfter = end
		}
		if pub, ok := e.PublicKey(); ok {
			e.pub = pub
		}
		e.principal = policy.Principal{ID: e.ID, Cell: e.Location, Roles: slices.Clone(e.Roles), Purposes: slices.Clone(e.Purposes)}
		if dir != nil {
			e.principal.Jurisdiction = jurisdictionOf(dir, e.Location)
		}
		s.byID[e.ID] = e
	}
	return s
}

// jurisdictionOf returns the first jurisdiction of a cell in the directory.
func jurisdictionOf(dir *verify.Directory, cell bonded.CellID) bonded.Jurisdiction {
	if c, ok := dir.Cell(cell); ok && len(c.Jurisdictions) > 0 {
		return c.Jurisdictions[0]
	}
	return ""
}

// loadGrants reads the set installed last. The caller holds mu.
func (k *Keyholder) loadGrants(ctx context.Context) error {
	file, err := k.cfg.Store.Grants(ctx)
	if err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	k.grants, k.grantFloor = nil, 0
	if file == nil || k.trust == nil {
		return nil
	}
	set, err := grant.Open(file, k.trust.admin)
	if err != nil {
		// It was checked when it was installed: another administrator took over
		// since. Its grants count no more; its number does.
		if k.grantFloor, err = installedNumber(file); err != nil {
			return err
		}
		k.log.LogAttrs(ctx, slog.LevelWarn, "the grant set installed is not signed by the administrator of the directory: no grants are in force", slog.Uint64("set", k.grantFloor))
		return nil
	}
	k.grantFloor = set.Number
	for i := range set.Grants {
		if err := k.underCeilings(&set.Grants[i]); err != nil {
			k.log.LogAttrs(ctx, slog.LevelWarn, "an installed grant is held to lower ceilings", slog.String("grant", set.Grants[i].ID), slog.Any("error", err))
		}
	}
	if b := k.control.settled; b != nil {
		set = new(grant.Set)
		if err := json.Unmarshal(b, set); err != nil || set.Number != k.grantFloor {
			return bonded.Wrap(bonded.CodeAltered, err, "the grants in force are altered in the database")
		}
	}
	k.grants = newGrantSet(set, file, k.trust.Directory, &k.cfg.Limits)
	return nil
}

// waitingSet returns the set that waits to follow the one in force, nil if
// there is none or the administrator of the directory has not signed it.
func (k *Keyholder) waitingSet() *grant.Set {
	v := k.control.waiting[verify.ControlGrants]
	if v == nil {
		return nil
	}
	set, err := grant.Open(v.file, k.trust.admin)
	if err != nil {
		return nil
	}
	return set
}

// installedNumber returns the number of a set that was checked once.
func installedNumber(file []byte) (uint64, error) {
	var f grant.Signed
	var set struct {
		Number uint64 `json:"number"`
	}
	err := json.Unmarshal(file, &f)
	if err == nil {
		err = json.Unmarshal(f.Set, &set)
	}
	if err != nil || set.Number == 0 {
		return 0, bonded.Wrap(bonded.CodeAltered, err, "the grant set installed is altered")
	}
	return set.Number, nil
}

// InstallGrants takes up a numbered grant set that its operator brings. It must
// be signed by the administrator of the directory, be for this cell, have a
// higher number than any accepted before, and keep the operator's ceilings;
// else the error has code bad_config and nothing changes. Showing the same set
// again does nothing.
//
// The first set of all, and one that only takes away from the one in force,
// need nothing else and are in force at once. Any other needs evidence, see
// [Keyholder.Evidence], else the error has code not_witnessed; what it takes
// away is away all the same. Sessions of grants that are gone, or have another
// key, end.
func (k *Keyholder) InstallGrants(ctx context.Context, file, evidence []byte) (*wire.EvidenceResult, error) {
	k.mu.Lock()
	res, p, err := k.installGrants(file)
	k.mu.Unlock()
	if p != nil {
		if werr := p.wait(); werr != nil {
			return nil, werr
		}
	}
	if bonded.CodeOf(err) == bonded.CodeStale && evidence != nil {
		return k.Evidence(ctx, &wire.Evidence{Subject: verify.ControlGrants, Number: res.Waiting.Number, Evidence: evidence, File: file})()
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// installGrants installs a set without evidence. With code not_witnessed the
// result says its number.
func (k *Keyholder) installGrants(file []byte) (*wire.EvidenceResult, *pending, error) {
	if err := k.ready(); err != nil {
		return nil, nil, err
	}
	if res := k.knownGrants(file); res != nil {
		return res, nil, nil
	}
	set, err := k.openGrants(file)
	if err != nil {
		return nil, nil, err
	}
	res := &wire.EvidenceResult{InForce: true, Waiting: wire.Waiting{Subject: verify.ControlGrants, Number: set.Number}}
	v := &waiting{number: set.Number, digest: grant.Digest(file), index: -1, file: file}
	p := k.begin()
	if k.acceptedGrants() == 0 || k.narrowed(set) {
		k.putGrants(p, set, v)
		k.enqueue(p)
		return res, p, nil
	}
	// What it takes away is away also without evidence.
	if c := k.control.clone(); k.settle(p, c, set) {
		k.append(p, k.controlRow(verify.ControlGrants, v, "waits"))
		k.setControl(p, c)
		k.enqueue(p)
	} else {
		p = nil
	}
	return res, p, &bonded.Error{
		Code: bonded.CodeStale, Message: fmt.Sprintf("grant set %d allows more than the one in force, and no evidence was shown that the ledger announces it", set.Number),
		Hint: "the vault announces its own copy and shows the evidence; what a set takes away needs none and is away already",
	}
}

// narrowed reports whether a set only takes away from the one in force.
func (k *Keyholder) narrowed(set *grant.Set) bool {
	return k.grants != nil && grant.Narrows(k.grants.set, set)
}

// settle takes away from the set in force what next takes away, and reports
// whether that was anything.
func (k *Keyholder) settle(p *pending, c *control, next *grant.Set) bool {
	if k.grants == nil {
		return false
	}
	settled := grant.Settle(k.grants.set, next)
	if grant.Narrows(settled, k.grants.set) {
		return false
	}
	b, err := json.Marshal(settled)
	if err != nil {
		panic(err) // it was JSON before
	}
	c.settled = b
	k.useGrants(p, newGrantSet(settled, k.grants.file, k.trust.Directory, &k.cfg.Limits))
	return true
}

// knownGrants returns how a set stands that was accepted before, else nil.
func (k *Keyholder) knownGrants(file []byte) *wire.EvidenceResult {
	if k.grants != nil && bytes.Equal(k.grants.file, file) {
		return &wire.EvidenceResult{InForce: true, Waiting: wire.Waiting{Subject: verify.ControlGrants, Number: k.grants.number}}
	}
	if v := k.control.waiting[verify.ControlGrants]; v != nil && bytes.Equal(v.file, file) {
		return &wire.EvidenceResult{Waiting: k.waits(verify.ControlGrants, v)}
	}
	return nil
}

// acceptedGrants returns the highest number of a set installed or waiting.
func (k *Keyholder) acceptedGrants() uint64 {
	return max(k.grantFloor, k.control.accepted[verify.ControlGrants])
}

// openGrants checks all of a set but what it needs to take effect.
func (k *Keyholder) openGrants(file []byte) (*grant.Set, error) {
	set, err := grant.Open(file, k.trust.admin)
	if err != nil {
		return nil, err
	}
	switch n := k.acceptedGrants(); {
	case set.Cell != k.cfg.Cell:
		return nil, bonded.Errorf(bonded.CodeConfig, "grant set is for cell %s, not %s", set.Cell, k.cfg.Cell)
	case set.Number <= n:
		return nil, bonded.Errorf(bonded.CodeConfig, "grant set %d is not newer than set %d, accepted before", set.Number, n)
	}
	for i := range set.Grants {
		if err := k.underCeilings(&set.Grants[i]); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// announcedGrants takes up a set that the ledger announces. The caller holds mu.
func (k *Keyholder) announcedGrants(file []byte, a *verify.Announcement) (*wire.EvidenceResult, *pending, error) {
	if res := k.knownGrants(file); res != nil {
		return res, nil, nil
	}
	set, err := k.openGrants(file)
	if err != nil {
		return nil, nil, err
	}
	if set.Number != a.Number {
		return nil, nil, bonded.Errorf(bonded.CodeStale, "the ledger announces grant set %d and this is set %d", a.Number, set.Number)
	}
	v := &waiting{number: set.Number, digest: a.Digest, index: a.Index, since: a.Witnessed.Unix(), file: bytes.Clone(file)}
	if before := k.waitingSet(); before != nil && grant.Narrows(before, set) {
		v.since = min(v.since, k.control.waiting[verify.ControlGrants].since) // nothing in it is new
	}
	p := k.begin()
	res := &wire.EvidenceResult{InForce: true, Waiting: wire.Waiting{Subject: verify.ControlGrants, Number: set.Number}}
	if first := k.acceptedGrants() == 0; first || k.waited(v.since) || k.narrowed(set) {
		k.putGrants(p, set, v)
	} else {
		res.InForce, res.Waiting = false, k.waits(verify.ControlGrants, v)
		k.append(p, k.controlRow(verify.ControlGrants, v, "waits"))
		c := k.control.clone()
		c.accepted[verify.ControlGrants], c.waiting[verify.ControlGrants] = v.number, v
		k.settle(p, c, set) // what it takes away is away at once
		k.setControl(p, c)
	}
	k.enqueue(p)
	return res, p, nil
}

// putGrants puts a set in force, undone if it cannot be booked.
func (k *Keyholder) putGrants(p *pending, set *grant.Set, v *waiting) {
	k.append(p, k.controlRow(verify.ControlGrants, v))
	c := k.control.clone()
	c.accepted[verify.ControlGrants] = max(c.accepted[verify.ControlGrants], v.number)
	delete(c.waiting, verify.ControlGrants)
	c.settled = nil
	k.setControl(p, c)
	next := newGrantSet(set, v.file, k.trust.Directory, &k.cfg.Limits)
	p.commit.Grants = next.file
	k.useGrants(p, next)
}

// useGrants makes next what is asked from now on.
func (k *Keyholder) useGrants(p *pending, next *grantSet) {
	old, floor := k.grants, k.grantFloor
	p.undo = append(p.undo, func() { k.grants, k.grantFloor = old, floor })
	k.grants, k.grantFloor = next, next.number
	for id, s := range k.sessions.live {
		if g := next.find(s.grant); g == nil || !g.pub.Equal(s.pub) {
			delete(k.sessions.live, id)
		}
	}
}

// PutDueGrants puts the waiting grant set in force if its time has come. It is
// called again and again.
func (k *Keyholder) PutDueGrants() error {
	k.mu.Lock()
	p, err := k.putDueGrants()
	k.mu.Unlock()
	if err != nil || p == nil {
		return err
	}
	return p.wait()
}

func (k *Keyholder) putDueGrants() (*pending, error) {
	if k.ready() != nil { // it waits on
		return nil, nil //nolint:nilerr // said elsewhere
	}
	v := k.control.waiting[verify.ControlGrants]
	if v == nil || !k.waited(v.since) {
		return nil, nil
	}
	set, err := grant.Open(v.file, k.trust.admin)
	if err != nil {
		return nil, err
	}
	for i := range set.Grants {
		if err := k.underCeilings(&set.Grants[i]); err != nil {
			return nil, err
		}
	}
	p := k.begin()
	k.putGrants(p, set, v)
	k.enqueue(p)
	k.log.LogAttrs(context.Background(), slog.LevelInfo, "a grant set that waited is in force", slog.Uint64("set", v.number))
	return p, nil
}

// validitySlack is by how much a grant may exceed the ceiling of validity:
// whoever signs it rounds.
const validitySlack = time.Hour

func (k *Keyholder) underCeilings(g *grant.Grant) error {
	l := &k.cfg.Limits
	bad := func(format string, args ...any) error {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: "grants." + g.ID, Message: "grant beyond the ceilings of this keyholder: " + fmt.Sprintf(format, args...),
			Hint: "its operator sets the ceilings in keyholder.yaml",
		}
	}
	switch {
	case g.Budget > l.MaxBudget || g.JobRate > l.MaxBudget:
		return bad("budget above %d", l.MaxBudget)
	case g.NotAfter.Sub(g.NotBefore) > l.MaxValidity+validitySlack:
		return bad("valid for longer than %s", l.MaxValidity)
	case g.Bearer && !l.AllowBearer:
		return bad("bearer requests")
	}
	return nil
}
