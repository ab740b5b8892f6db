package keyholder

import (
	"slices"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// coversItems reports whether the items asked are those the client proved to
// have named. Each named thing gives at most one item, in the order named.
// What was named of it holds for the item: the subject, the record, the
// fields. What was not named is the vault's to choose, and only that: the
// record of a person, what a token stands for, the ids of what is created.
// Whoever lets the vault choose, or leaves something out, has to say so in
// Resolved.
func coversItems(cell bonded.CellID, e *wire.Entry) bool {
	named := e.Auth.Named
	if len(named) == 0 {
		return namedByItself(e)
	}
	if e.Operation == verify.OpFind {
		return len(named) == 1 && len(e.Items) == 1 && namedSearch(&named[0], &e.Items[0])
	}
	if len(e.Items) > len(named) || len(e.Items) < len(named) && !e.Auth.Resolved {
		return false
	}
	n := 0
	for i := range e.Items {
		m := newItemMatch(cell, e, &e.Items[i])
		for n < len(named) && !m.within(&named[n]) {
			if n++; !e.Auth.Resolved {
				return false
			}
		}
		if n == len(named) {
			return false
		}
		n++
	}
	return true
}

// namedByItself reports whether items that were named by nothing but their
// ids and fields ask for nothing else, see [wire.NamedItems].
func namedByItself(e *wire.Entry) bool {
	if e.Operation == verify.OpFind {
		return false
	}
	for i := range e.Items {
		it := &e.Items[i]
		if len(it.Index) == 0 {
			continue
		}
		has := contains(len(it.Fields), func(j int) string { return it.Fields[j].Name })
		for j := range it.Index {
			if !has(it.Index[j].Field) {
				return false
			}
		}
	}
	return true
}

// namedSearch reports whether a search is by exactly the fields named.
func namedSearch(n *wire.Named, it *wire.Item) bool {
	if n.Subject != "" || n.Record != "" || n.Token != "" || len(n.Fields) != len(it.Index) {
		return false
	}
	has := contains(len(n.Fields), func(j int) string { return n.Fields[j] })
	for j := range it.Index { // each field once, see wellFormed
		if !has(it.Index[j].Field) {
			return false
		}
	}
	return true
}

// An itemMatch is an item that looks for the thing named it came from.
type itemMatch struct {
	it              *wire.Item
	resolved, write bool
	subject, record string
}

func newItemMatch(cell bonded.CellID, e *wire.Entry, it *wire.Item) *itemMatch {
	return &itemMatch{
		it: it, resolved: e.Auth.Resolved, write: e.Operation == verify.OpWrite || e.Operation == verify.OpCreate,
		subject: bonded.SubjectID{Cell: cell, ID: it.Subject}.String(), record: bonded.RecordID{Cell: cell, ID: it.Record}.String(),
	}
}

// within reports whether the item asks for nothing beyond what n names.
func (m *itemMatch) within(n *wire.Named) bool {
	switch {
	case m.it.Create: // the ids of what is created are the vault's choice
		if n.Subject != "" || n.Record != "" || n.Token != "" {
			return false
		}
	case n.Token != "":
		if m.write || !m.resolved || n.Subject != "" || n.Record != "" {
			return false
		}
		if len(n.Fields) == 0 { // a token stands for one field
			return len(m.it.Fields) == 1 && len(m.it.Index) == 0
		}
	case n.Subject != m.subject:
		return false
	case n.Record == "":
		if !m.write && !m.resolved {
			return false
		}
	case n.Record != m.record:
		return false
	}
	has := contains(len(n.Fields), func(j int) string { return n.Fields[j] })
	for j := range m.it.Fields {
		if !has(m.it.Fields[j].Name) {
			return false
		}
	}
	for j := range m.it.Index {
		if !has(m.it.Index[j].Field) {
			return false
		}
	}
	return true
}

// fewNames is up to how many names a list is gone through each time; above,
// a set is made of it once.
const fewNames = 16

// contains returns a function that says whether a name is among n others.
func contains(n int, name func(int) string) func(string) bool {
	if n <= fewNames {
		return func(s string) bool {
			for j := range n {
				if name(j) == s {
					return true
				}
			}
			return false
		}
	}
	set := make(map[string]struct{}, n)
	for j := range n {
		set[name(j)] = struct{}{}
	}
	return func(s string) bool { _, ok := set[s]; return ok }
}

// distinct collects names, each once, in the order first seen.
type distinct struct {
	names []string
	set   map[string]struct{}
}

func (d *distinct) add(name string) {
	if d.set == nil {
		if slices.Contains(d.names, name) {
			return
		}
		if d.names = append(d.names, name); len(d.names) > fewNames {
			d.set = make(map[string]struct{}, 2*len(d.names))
			for _, n := range d.names {
				d.set[n] = struct{}{}
			}
		}
		return
	}
	if _, ok := d.set[name]; !ok {
		d.set[name] = struct{}{}
		d.names = append(d.names, name)
	}
}
