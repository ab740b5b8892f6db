package grant

import (
	"cmp"
	"slices"

	"bonded"
)

// defaultHourlyCap is what an hourly cap of 0 means.
const defaultHourlyCap = 100

// Narrows reports whether next only takes away from old: each of its grants
// is in old under the same id, and allows nothing that one does not. Numbers
// and times of issue are not looked at. Such a set may take effect at once.
//
// Roles and location must stay as they are: rules of a policy may refuse
// because of them, so that having fewer is not always less.
func Narrows(old, next *Set) bool {
	if old.Cell != next.Cell {
		return false
	}
	for i := range next.Grants {
		if o := old.find(next.Grants[i].ID); o == nil || !narrows(o, &next.Grants[i]) {
			return false
		}
	}
	return true
}

// Settle returns what is in force while next waits to follow old: old without
// the grants that next no longer has, and with those that next narrows as next
// has them. What next adds or changes otherwise stays as it was. The result
// narrows old and has its number. Neither set is changed; the grants are
// shared.
func Settle(old, next *Set) *Set {
	s := *old
	s.Grants = nil
	for i := range old.Grants {
		o := &old.Grants[i]
		switch n := next.find(o.ID); {
		case n == nil: // taken away
		case narrows(o, n):
			s.Grants = append(s.Grants, *n)
		default:
			s.Grants = append(s.Grants, *o)
		}
	}
	return &s
}

func (s *Set) find(id string) *Grant {
	i := slices.IndexFunc(s.Grants, func(g Grant) bool { return g.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Grants[i]
}

func narrows(o, n *Grant) bool {
	return n.ID == o.ID && n.Location == o.Location && n.Job == o.Job && slices.Equal(n.Roles, o.Roles) &&
		// Who it is: a key may go, and never another one come.
		within(n.Key, o.Key) && within(n.BearerHash, o.BearerHash) && within(n.CertSPKI, o.CertSPKI) &&
		// What it may do.
		(o.Bearer || !n.Bearer) && (o.Erase || !n.Erase) &&
		subset(n.Purposes, o.Purposes) && scopeWithin(n, o) &&
		// How much, and when.
		n.Budget <= o.Budget && cmp.Or(n.JobRate, n.Budget) <= cmp.Or(o.JobRate, o.Budget) &&
		cmp.Or(n.HourlyCap, defaultHourlyCap) <= cmp.Or(o.HourlyCap, defaultHourlyCap) &&
		!n.NotBefore.Before(o.NotBefore) && !n.NotAfter.After(o.NotAfter)
}

func within(n, o string) bool { return n == "" || n == o }

func subset(n, o []bonded.Purpose) bool {
	for _, p := range n {
		if !slices.Contains(o, p) {
			return false
		}
	}
	return true
}

func scopeWithin(n, o *Grant) bool {
	for collection, fields := range n.Scope {
		for _, f := range fields {
			if !o.Covers(collection, f) { // "*" is covered by "*" alone
				return false
			}
		}
	}
	return true
}
