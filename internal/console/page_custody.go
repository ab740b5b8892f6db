package console

import (
	"encoding/hex"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/custody"
	"bonded/verify"
)

// A keySet is one certified key set and where it stands.
type keySet struct {
	custodians *verify.Custodians
	release    [32]byte
	content    [32]byte // digest of the certificate
	dealt      bool
	index      int64 // of its entry in the ledger
	entered    time.Time
}

// keySets reads and checks the certificates of the custodians, oldest first.
func (x *visit) keySets() ([]keySet, error) {
	list, err := x.c.cfg.Cases.Custody(x.r.Context())
	if err != nil {
		return nil, err
	}
	var chain custody.Chain
	var out []keySet
	for i := range list.Certificates {
		l := &list.Certificates[i]
		set, err := chain.Certificate(l.Certificate)
		if err != nil {
			return nil, err
		}
		k := keySet{custodians: set.Custodians, release: chain.Current().ReleaseKey(), content: set.Content, dealt: set.Dealt, index: l.Opening.Index}
		if leaf, err := verify.DecodeLeaf(l.Opening.Leaf); err == nil {
			k.entered = time.Unix(int64(leaf.Time), 0).UTC() //nolint:gosec // seconds
		}
		out = append(out, k)
	}
	return out, nil
}

// A custodyList is what the page of the custodians shows.
type custodyList struct {
	sets    []keySet               // newest first
	entries map[string]*registered // of people, by id
}

func (x *visit) custodyPage() error {
	sets, err := x.keySets()
	if err != nil {
		return err
	}
	l := &custodyList{entries: map[string]*registered{}}
	for i := range sets {
		l.sets = append(l.sets, sets[len(sets)-1-i])
	}
	for i := range sets {
		for _, r := range sets[i].custodians.Roles {
			for _, m := range r.Members {
				if err := l.find(x, m.ID); err != nil {
					return err
				}
			}
		}
	}
	return x.show(x.T("custody.title"), custodyView(x, l))
}

// find adds the entry of a custodian, if the register has one.
func (l *custodyList) find(x *visit, id string) error {
	if l.entries[id] != nil {
		return nil
	}
	e, err := x.c.cfg.Cases.RegisterEntry(x.r.Context(), &x.call, verify.RegistryPerson, id)
	if bonded.CodeOf(err) == bonded.CodeWithheld {
		return nil
	}
	if err != nil {
		return err
	}
	l.entries[id], err = readRegistered(e)
	return err
}

// A registered is one id of the register in its versions, newest first.
type registered struct {
	kind, id string
	versions []registeredVersion
}

// A registeredVersion is one version of an entry.
type registeredVersion struct {
	*apitype.RegistryEntry
	agency *verify.Agency // one of the two
	person *verify.Person
}

// label is what the signatures of a version are under.
func (v *registeredVersion) label() string {
	if v.Kind == verify.RegistryAgency {
		return verify.LabelAgency
	}
	return verify.LabelPerson
}

func (v *registeredVersion) digest() string {
	d := v.Statement.Digest(v.label())
	return hex.EncodeToString(d[:])
}

// signers are those who signed a version, as far as the statement says.
func (v *registeredVersion) signers() (out []string) {
	for i := range v.Statement.Signatures {
		out = append(out, v.Statement.Signatures[i].Signer)
	}
	return out
}

func (v *registeredVersion) independent() bool {
	for _, s := range v.signers() {
		if strings.HasPrefix(s, verify.SignerCustodian) {
			return true
		}
	}
	return false
}

// current is the version that counts: the one in force, else the newest.
func (r *registered) current() *registeredVersion {
	for i := range r.versions {
		if r.versions[i].Counts() {
			return &r.versions[i]
		}
	}
	return &r.versions[0]
}

// waiting are the versions that are not in force yet.
func (r *registered) waiting() (out []*registeredVersion) {
	for i := range r.versions {
		if r.versions[i].Waits() {
			out = append(out, &r.versions[i])
		}
	}
	return out
}

func (r *registered) name() string {
	c := r.current()
	if c.agency != nil {
		return c.agency.Name
	}
	return c.person.Name
}

// group is where an entry is listed.
func (r *registered) group() string {
	if p := r.current().person; p != nil {
		return apitype.RegisterGroup(r.kind, p.Role)
	}
	return apitype.RegisterGroup(r.kind, "")
}

// readRegistered reads an entry of the register.
func readRegistered(e *apitype.RegistryVersions) (*registered, error) {
	r := &registered{kind: e.Kind, id: e.ID}
	for i := range e.Versions {
		v := registeredVersion{RegistryEntry: &e.Versions[i]}
		var err error
		if e.Kind == verify.RegistryAgency {
			v.agency, err = verify.ParseAgency(v.Statement)
		} else {
			v.person, err = verify.ParsePerson(v.Statement)
		}
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "an entry of the register cannot be read")
		}
		r.versions = append(r.versions, v)
	}
	return r, nil
}

func readAllRegistered(list []apitype.RegistryVersions) (out []registered, err error) {
	for i := range list {
		r, err := readRegistered(&list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}
