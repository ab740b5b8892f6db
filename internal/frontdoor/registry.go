package frontdoor

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// A registry is the register as it was read last. It is not changed.
type registry struct {
	changes  int64
	versions []*registryVersion // in order of kind, id and version
}

// A registryVersion is one version of an entry, read.
type registryVersion struct {
	row       frontdoorsql.Registered
	statement *verify.Statement
	agency    *verify.Agency // one of the two
	person    *verify.Person
}

// kept is the registry that is kept from one look to the next.
type kept struct {
	now   atomic.Pointer[registry]
	mu    sync.Mutex // one reads it at a time
	index sync.Map   // of the ledger, by id in the book: an entry stays where it is
}

// registry returns the register. It is read again when it has changed, and of
// that only what has.
func (s *Service) registry(q frontdoorsql.Q) (*registry, error) {
	changes, err := q.RegisterChanges()
	if err != nil {
		return nil, err
	}
	if r := s.kept.now.Load(); r != nil && r.changes == changes {
		return r, nil
	}
	if q.Tx() == nil {
		s.kept.mu.Lock()
		defer s.kept.mu.Unlock()
		if r := s.kept.now.Load(); r != nil && r.changes >= changes {
			return r, nil
		}
	}
	r, err := readRegistry(q, changes, s.kept.now.Load())
	if err == nil && q.Tx() == nil { // what a commit sees may never be committed
		s.kept.now.Store(r)
	}
	return r, err
}

func readRegistry(q frontdoorsql.Q, changes int64, before *registry) (*registry, error) {
	rows, err := q.Register()
	if err != nil {
		return nil, err
	}
	out := &registry{changes: changes, versions: make([]*registryVersion, len(rows))}
	var old []*registryVersion
	if before != nil {
		old = before.versions
	}
	for i := range rows {
		v := &registryVersion{row: rows[i]}
		out.versions[i] = v
		for len(old) > 0 && old[0].compare(v) < 0 {
			old = old[1:]
		}
		if len(old) > 0 && old[0].compare(v) == 0 && bytes.Equal(old[0].row.Body, v.row.Body) {
			v.statement, v.agency, v.person = old[0].statement, old[0].agency, old[0].person
			continue
		}
		if v.statement, err = verify.ParseStatement(v.row.Body); err != nil {
			return nil, altered("register", err)
		}
		if v.row.Kind == verify.RegistryAgency {
			v.agency, err = verify.ParseAgency(v.statement)
		} else {
			v.person, err = verify.ParsePerson(v.statement)
		}
		if err != nil {
			return nil, altered("register", err)
		}
	}
	return out, nil
}

func (v *registryVersion) compare(o *registryVersion) int {
	return cmp.Or(strings.Compare(v.row.Kind, o.row.Kind), strings.Compare(v.row.ID, o.row.ID), cmp.Compare(v.row.Version, o.row.Version))
}

// A registryReader is who reads the register: officers see what they are in
// themselves.
type registryReader struct{ officer, agency string }

func (r *registryReader) sees(kind, id string) bool {
	return r.officer == "" || kind == verify.RegistryAgency && id == r.agency || kind == verify.RegistryPerson && id == r.officer
}

// registryReader returns how somebody reads the register; code withheld for
// whoever does not.
func (s *Service) registryReader(q frontdoorsql.Q, call *apitype.PersonCall, now time.Time) (*registryReader, error) {
	if name := custodianOf(call); name != "" {
		// Whoever takes part in a ceremony calls, too, and whoever took part in one.
		if _, _, ok := s.custody.Load().custodian(name); !ok {
			return nil, withheld()
		}
		return &registryReader{}, nil
	}
	if call.Person == verify.SignerAdmin {
		return &registryReader{}, nil
	}
	p, err := s.person(q, call.Person, now)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, withheld()
	}
	if p.Role == string(rules.RoleRequester) {
		return &registryReader{officer: p.ID, agency: p.Agency}, nil
	}
	return &registryReader{}, nil
}

// ids calls do with the versions of each id, oldest first, as they stand now.
func (r *registry) ids(who *registryReader, now time.Time, do func([]*registryVersion, []*apitype.RegistryEntry) error) error {
	for from := 0; from < len(r.versions); {
		first, to := &r.versions[from].row, from+1
		for to < len(r.versions) && r.versions[to].row.Kind == first.Kind && r.versions[to].row.ID == first.ID {
			to++
		}
		versions := r.versions[from:to]
		from = to
		if !who.sees(first.Kind, first.ID) {
			continue
		}
		rows := make([]frontdoorsql.Registered, len(versions))
		for i, v := range versions {
			rows[i] = v.row
		}
		entries := make([]*apitype.RegistryEntry, len(versions))
		for i, v := range versions {
			entries[i] = entryOf(&v.row, v.statement, now, rows)
		}
		if err := do(versions, entries); err != nil {
			return err
		}
	}
	return nil
}

// findIndex adds where a version stands in the ledger, once it does.
func (s *Service) findIndex(ctx context.Context, book int64, e *apitype.RegistryEntry) error {
	if book == 0 {
		return nil
	}
	if at, ok := s.kept.index.Load(book); ok {
		index, _ := at.(int64) // nothing else is stored
		e.Index = &index
		return nil
	}
	placed, err := s.cfg.Book.Placed(ctx, book)
	if err != nil || placed == nil {
		return err
	}
	s.kept.index.Store(book, placed.Index)
	e.Index = &placed.Index
	return nil
}

// Register returns the register: to registrars, custodians and people of the
// cell all of it, to officers what they are in themselves.
func (s *Service) Register(ctx context.Context, call *apitype.PersonCall) (*apitype.RegistryList, error) {
	q, now := s.store.Read(ctx), s.now()
	who, err := s.registryReader(q, call, now)
	if err != nil {
		return nil, err
	}
	all, err := s.registry(q)
	if err != nil {
		return nil, err
	}
	out := &apitype.RegistryList{Entries: []apitype.RegistryEntry{}}
	return out, all.ids(who, now, func(versions []*registryVersion, entries []*apitype.RegistryEntry) error {
		for i, e := range entries {
			if err := s.findIndex(ctx, versions[i].row.Book, e); err != nil {
				return err
			}
			out.Entries = append(out.Entries, *e)
		}
		return nil
	})
}

// RegisterEntry returns every version of one entry, to those who may read it;
// code withheld if there is none.
func (s *Service) RegisterEntry(ctx context.Context, call *apitype.PersonCall, kind, id string) (*apitype.RegistryVersions, error) {
	q, now := s.store.Read(ctx), s.now()
	who, err := s.registryReader(q, call, now)
	if err != nil {
		return nil, err
	}
	rows, err := q.Versions(kind, id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || !who.sees(kind, id) {
		return nil, withheld()
	}
	out := &apitype.RegistryVersions{Kind: kind, ID: id}
	for i := range rows {
		e, err := s.registryEntry(&rows[i], now, rows)
		if err != nil {
			return nil, err
		}
		if err := s.findIndex(ctx, rows[i].Book, e); err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, *e)
	}
	return out, nil
}

// RegisterPage returns a page of one part of the register, in order of id, and
// what waits in all of it. Who reads it is as for [Service.Register].
func (s *Service) RegisterPage(ctx context.Context, call *apitype.PersonCall, in *apitype.RegisterQuery) (*apitype.RegisterPage, error) {
	// 1. Who asks.
	q, now := s.store.Read(ctx), s.now()
	who, err := s.registryReader(q, call, now)
	if err != nil {
		return nil, err
	}
	if in.From < 0 || in.Limit < 1 || in.Limit > apitype.MaxPage {
		return nil, invalid("from", "not a page of the register", "")
	}
	all, err := s.registry(q)
	if err != nil {
		return nil, err
	}

	// 2. What is on the page. Only that is looked up in the ledger.
	out := &apitype.RegisterPage{Counts: map[string]int{}}
	want := strings.ToLower(in.Search)
	err = all.ids(who, now, func(versions []*registryVersion, entries []*apitype.RegistryEntry) error {
		group, name := versions[currentOf(entries)].group()
		out.Counts[group]++
		waits := len(out.Waiting) < in.Limit && slices.ContainsFunc(entries, (*apitype.RegistryEntry).Waits)
		fits := group == in.Group && (want == "" || strings.Contains(strings.ToLower(versions[0].row.ID+"\n"+name), want))
		if fits {
			out.Total++
		}
		fits = fits && out.Total > in.From && len(out.Entries) < in.Limit
		if !waits && !fits {
			return nil
		}
		v, err := s.versionsOf(ctx, versions, entries)
		if err != nil {
			return err
		}
		if waits {
			out.Waiting = append(out.Waiting, *v)
		}
		if fits {
			out.Entries = append(out.Entries, *v)
		}
		return nil
	})
	return out, err
}

// versionsOf is an entry as it goes out, newest version first.
func (s *Service) versionsOf(ctx context.Context, versions []*registryVersion, entries []*apitype.RegistryEntry) (*apitype.RegistryVersions, error) {
	out := &apitype.RegistryVersions{Kind: versions[0].row.Kind, ID: versions[0].row.ID}
	for i, e := range slices.Backward(entries) {
		if err := s.findIndex(ctx, versions[i].row.Book, e); err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, *e)
	}
	return out, nil
}

// currentOf returns which of the versions counts: the newest that is in force
// or suspended, else the newest.
func currentOf(entries []*apitype.RegistryEntry) int {
	for i, e := range slices.Backward(entries) {
		if e.Counts() {
			return i
		}
	}
	return len(entries) - 1
}

// group returns in which part of the register a version is listed, and by
// which name.
func (v *registryVersion) group() (group, name string) {
	if v.agency != nil {
		return apitype.RegisterGroup(v.row.Kind, ""), v.agency.Name
	}
	return apitype.RegisterGroup(v.row.Kind, v.person.Role), v.person.Name
}
