package keyholder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/policy"
	"bonded/verify"
)

// grantSet is an installed set, ready for lookups, under the ceilings of the
// operator: those may have been lowered since it was installed.
type grantSet struct {
	number uint64
	file   []byte
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
	s := &grantSet{number: set.Number, file: bytes.Clone(file), byID: make(map[string]*grantEntry, len(set.Grants))}
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
	k.grants = newGrantSet(set, file, k.trust.Directory, &k.cfg.Limits)
	return nil
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

// InstallGrants puts a numbered grant set in force. It must be signed by the
// administrator of the directory, be for this cell, have a higher number than
// the one in force, and keep the operator's ceilings; else the error has code
// bad_config and nothing changes. Installing the set in force again does
// nothing. Sessions of grants that are gone, or have another key, end.
func (k *Keyholder) InstallGrants(_ context.Context, file []byte) error {
	k.mu.Lock()
	p, err := k.installGrants(file)
	k.mu.Unlock()
	if err != nil || p == nil {
		return err
	}
	return p.wait()
}

func (k *Keyholder) installGrants(file []byte) (*pending, error) {
	if err := k.ready(); err != nil {
		return nil, err
	}
	// 1. Is it to be believed?
	if k.grants != nil && bytes.Equal(k.grants.file, file) {
		return nil, nil
	}
	set, err := grant.Open(file, k.trust.admin)
	if err != nil {
		return nil, err
	}
	switch {
	case set.Cell != k.cfg.Cell:
		return nil, bonded.Errorf(bonded.CodeConfig, "grant set is for cell %s, not %s", set.Cell, k.cfg.Cell)
	case set.Number <= k.grantFloor:
		return nil, bonded.Errorf(bonded.CodeConfig, "grant set %d is not newer than set %d, installed before", set.Number, k.grantFloor)
	}
	for i := range set.Grants {
		if err := k.underCeilings(&set.Grants[i]); err != nil {
			return nil, err
		}
	}
	// 2. In force at once, undone if it cannot be booked.
	old, floor, next := k.grants, k.grantFloor, newGrantSet(set, file, k.trust.Directory, &k.cfg.Limits)
	row := k.newRow(verify.BookGrants)
	digest := grant.Digest(file)
	row.Detail = strconv.FormatUint(set.Number, 10)
	row.Digest = digest
	p := k.begin()
	k.append(p, row)
	p.commit.Grants = next.file
	p.undo = append(p.undo, func() { k.grants, k.grantFloor = old, floor })
	k.grants, k.grantFloor = next, set.Number
	for id, s := range k.sessions.live {
		if g := next.find(s.grant); g == nil || !g.pub.Equal(s.pub) {
			delete(k.sessions.live, id)
		}
	}
	k.enqueue(p)
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
