package operator

import (
	_ "embed"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/nearest"
	"bonded/internal/yamlstrict"
	"bonded/verify"
)

// Files to fill in, with comments.
var (
	//go:embed agency.yaml
	AgencyTemplate string
	//go:embed person.yaml
	PersonTemplate string
)

// TrustSuspended is the trust of an agency that nothing is taken from.
const TrustSuspended = "suspended"

// Words of the register.
var (
	agencyLevels = []string{"national", "state", "local", "supranational"}
	agencyKinds  = []string{
		"police", "prosecutor", "court", "security_service", "regulator", "tax", "data_protection", "lender", "auditor", "private_party",
	}
	agencyTrusts = []string{"probation", "verified", TrustSuspended}
	personRoles  = []string{"requester", "intake", "legal", "guardian", "custodian", "auditor", "court", "registrar"}
)

// An agencyFile is the file of an agency: [verify.Agency] without what the
// command fills in.
type agencyFile struct {
	ID              string              `yaml:"id" required:"true"`
	Name            string              `yaml:"name" required:"true"`
	Country         bonded.Jurisdiction `yaml:"country" required:"true"`
	Level           string              `yaml:"level" required:"true"`
	Kind            string              `yaml:"kind" required:"true"`
	Domains         []string            `yaml:"domains"`
	Powers          []string            `yaml:"powers" required:"true"`
	DirectorySource string              `yaml:"directory_source" required:"true"`
	Switchboard     string              `yaml:"switchboard" required:"true"`
	VerifiedAt      time.Time           `yaml:"verified_at" required:"true"`
	Trust           string              `yaml:"trust" required:"true"`
}

// Validate checks the words of the file; the error's Field is the key.
func (f *agencyFile) Validate() error {
	if err := filledIn([][2]string{{"id", f.ID}, {"name", f.Name}, {"directory_source", f.DirectorySource}, {"switchboard", f.Switchboard}, {"domains", strings.Join(f.Domains, "")}}); err != nil {
		return err
	}
	switch {
	case !bonded.ValidName(f.ID):
		return badID()
	case !f.Country.Valid():
		return bad("country", "not a country code of ISO 3166-1, nor EU", "write for example DE")
	case !text(f.Name, 200):
		return badText("name", 200)
	case !text(f.DirectorySource, 500):
		return badText("directory_source", 500)
	case !text(f.Switchboard, 64) || digits(f.Switchboard) < 5:
		return bad("switchboard", "not a telephone number", "the number that the agency itself publishes, such as +49 611 55-0: emergencies are called back by it")
	}
	for _, w := range []struct {
		key, value string
		known      []string
	}{{"level", f.Level, agencyLevels}, {"kind", f.Kind, agencyKinds}, {"trust", f.Trust, agencyTrusts}} {
		if !slices.Contains(w.known, w.value) {
			return bad(w.key, "not a word of the register", nearest.Hint(w.value, w.known))
		}
	}
	r, err := rules.Shipped()
	if err != nil {
		return err
	}
	var known []string
	for _, p := range r.Processes() {
		known = append(known, p.ID)
	}
	for i, p := range f.Powers {
		if !slices.Contains(known, p) {
			return bad("powers["+itoa(i)+"]", "the rules of the front door know no such process type", nearest.Hint(p, known))
		}
	}
	return nil
}

// ParseAgency reads the file of an agency; name is the file's, for errors.
// Errors have code bad_config and name line and column.
func ParseAgency(name string, b []byte) (*verify.Agency, error) {
	f := new(agencyFile)
	if err := yamlstrict.Decode(name, b, f); err != nil {
		return nil, err
	}
	return &verify.Agency{
		Format: verify.LabelAgency, ID: f.ID, Name: f.Name, Country: f.Country, Level: f.Level, Kind: f.Kind, Domains: f.Domains,
		Powers: f.Powers, DirectorySource: f.DirectorySource, Switchboard: f.Switchboard, VerifiedAt: f.VerifiedAt.UTC(), Trust: f.Trust,
	}, nil
}

// A personFile is the file of a person likewise.
type personFile struct {
	ID           string    `yaml:"id" required:"true"`
	Role         string    `yaml:"role" required:"true"`
	Agency       string    `yaml:"agency"`
	Organisation string    `yaml:"organisation" required:"true"`
	Name         string    `yaml:"name" required:"true"`
	Contact      string    `yaml:"contact"`
	Phone        string    `yaml:"phone"`
	Supervisor   string    `yaml:"supervisor"`
	Key          string    `yaml:"key"`
	Level        int       `yaml:"level"`
	Evidence     string    `yaml:"evidence"`
	NotBefore    time.Time `yaml:"not_before" required:"true"`
	NotAfter     time.Time `yaml:"not_after" required:"true"`
}

// Validate checks the words of the file; the error's Field is the key.
func (f *personFile) Validate() error {
	if err := filledIn([][2]string{
		{"id", f.ID},
		{"agency", f.Agency},
		{"organisation", f.Organisation},
		{"name", f.Name},
		{"contact", f.Contact},
		{"phone", f.Phone},
		{"supervisor", f.Supervisor},
		{"evidence", f.Evidence},
	}); err != nil {
		return err
	}
	switch {
	case !bonded.ValidName(f.ID) || f.ID == verify.SignerAdmin:
		return badID()
	case !slices.Contains(personRoles, f.Role):
		return bad("role", "not a role of the register", nearest.Hint(f.Role, personRoles))
	case f.Role == "requester" && f.Agency == "":
		return bad("role", "an officer belongs to an agency of the register", "add agency: with its id")
	case f.Agency != "" && f.Role != "requester" && f.Role != "custodian":
		return bad("agency", "nobody but officers and custodians has an agency", "leave it out; organisation says who employs them")
	case !text(f.Name, 200):
		return badText("name", 200)
	case !text(f.Organisation, 200):
		return badText("organisation", 200)
	case f.Level < 0 || f.Level > 3:
		return bad("level", "the ladder of trust has levels 0 to 3", "")
	case !f.NotBefore.Before(f.NotAfter):
		return bad("not_after", "the entry ends before it begins", "")
	case f.Phone != "" && digits(f.Phone) < 5:
		return bad("phone", "not a telephone number", "the number in the agency's own directory: emergencies are called back by it")
	}
	if f.Key != "" {
		if _, err := verify.DecodePublicKey(f.Key); err != nil {
			return bad("key", "not an Ed25519 public key in base64", "leave it out and name the public file with --key-of")
		}
	}
	return nil
}

// ParsePerson reads the file of a person as [ParseAgency] that of an agency.
// The key may still be missing.
func ParsePerson(name string, b []byte) (*verify.Person, error) {
	f := new(personFile)
	if err := yamlstrict.Decode(name, b, f); err != nil {
		return nil, err
	}
	return &verify.Person{
		Format: verify.LabelPerson, ID: f.ID, Role: f.Role, Agency: f.Agency, Organisation: f.Organisation, Name: f.Name, Contact: f.Contact,
		Phone: f.Phone, Supervisor: f.Supervisor, Key: f.Key, Level: f.Level, Evidence: f.Evidence, NotBefore: f.NotBefore.UTC(), NotAfter: f.NotAfter.UTC(),
	}, nil
}

// Newest returns the newest version of an entry, whatever its state, and nil
// if the register has none. The next version is one more.
func Newest(list *apitype.RegistryList, kind, id string) *apitype.RegistryEntry {
	var newest *apitype.RegistryEntry
	for i := range list.Entries {
		e := &list.Entries[i]
		if e.Kind == kind && e.ID == id && (newest == nil || e.Version > newest.Version) {
			newest = e
		}
	}
	return newest
}

// NextVersion returns the version of the next entry of an id.
func NextVersion(list *apitype.RegistryList, kind, id string) uint64 {
	if e := Newest(list, kind, id); e != nil {
		return e.Version + 1
	}
	return 1
}

// SuspendAgency returns the next version of an agency's entry, suspended. The
// reason stands with the source of the entry, where custodians read it.
func SuspendAgency(e *apitype.RegistryEntry, reason string) (*verify.Agency, error) {
	a := new(verify.Agency)
	if err := decode(e, a); err != nil {
		return nil, err
	}
	a.Version, a.Trust = e.Version+1, TrustSuspended
	const note = "; suspended: "
	reason = cut(reason, 500-len(note)-1)
	a.DirectorySource = cut(a.DirectorySource, 500-len(note)-len(reason)) + note + reason
	return a, nil
}

// SuspendPerson returns the next version of a person's entry likewise.
func SuspendPerson(e *apitype.RegistryEntry, reason string) (*verify.Person, error) {
	p := new(verify.Person)
	if err := decode(e, p); err != nil {
		return nil, err
	}
	p.Version, p.Suspended, p.Evidence = e.Version+1, true, "suspended: "+cut(reason, 500)
	return p, nil
}

func decode(e *apitype.RegistryEntry, v any) error {
	if e.Statement == nil || e.Statement.DecodeBody(v) != nil {
		return bonded.Errorf(bonded.CodeAltered, "the register shows an entry of %s that cannot be read", e.ID)
	}
	return nil
}

func bad(field, message, hint string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// filledIn refuses what still stands as in the template: in angle brackets.
func filledIn(fields [][2]string) error {
	for _, f := range fields {
		if strings.HasPrefix(f[1], "<") && strings.HasSuffix(f[1], ">") {
			return bad(f[0], "is as in the template", "write your own in place of what is in angle brackets")
		}
	}
	return nil
}

func badID() error {
	return bad("id", "not an id of the register", "up to 64 characters a–z, 0–9, '_', '-' and '.', beginning with a letter, and not admin")
}

func badText(field string, limit int) error {
	return bad(field, "needs text of at most "+itoa(limit)+" bytes without control characters", "")
}

// text reports whether s has something to read, and fits.
func text(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func digits(s string) int {
	n := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}

// cut returns at most n bytes of s, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
