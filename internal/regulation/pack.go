package regulation

import (
	"regexp"
	"slices"

	"golang.org/x/mod/semver"

	"bonded"
)

// memory is the citation of a rule that nobody has checked against a source.
const memory = "memory"

// A Pack is one file of rules of one jurisdiction.
type Pack struct {
	ID              string                `yaml:"id" required:"true"`
	Version         string                `yaml:"version" required:"true"` // three numbers: 1.0.0
	Jurisdiction    bonded.Jurisdiction   `yaml:"jurisdiction" required:"true"`
	Covers          []bonded.Jurisdiction `yaml:"covers"` // countries it speaks for; absent: Jurisdiction alone
	AsOf            Date                  `yaml:"as_of" required:"true"`
	Title           string                `yaml:"title" required:"true"`
	Note            string                `yaml:"note"`
	OperatorClasses map[string]string     `yaml:"operator_classes"` // class and what it means
	Sources         map[string]Source     `yaml:"sources"`
	Rules           []Rule                `yaml:"rules"`
	NoHome          *NoHome               `yaml:"no_home"` // says that no rule names a home; absent: nothing is said
}

// Name returns "id@version".
func (p Pack) Name() string { return p.ID + "@" + p.Version }

// A Source is something a rule cites.
type Source struct {
	Title string `yaml:"title" required:"true"`
	URL   string `yaml:"url"`
}

// NoHome states that a jurisdiction names no country in which data must be
// stored, and where that is known from.
type NoHome struct {
	Instrument string   `yaml:"instrument" required:"true"`
	Cite       []string `yaml:"cite" required:"true"`
	Unverified bool     `yaml:"unverified"`
}

// A Rule is one provision and what it asks for. It has exactly one effect.
type Rule struct {
	ID         string     `yaml:"id" required:"true"` // unique over all packs
	Title      string     `yaml:"title" required:"true"`
	Instrument string     `yaml:"instrument" required:"true"`
	Note       string     `yaml:"note"`
	Lifecycle  Lifecycle  `yaml:"lifecycle" required:"true"`
	When       Conditions `yaml:"when"`
	Cite       []string   `yaml:"cite" required:"true"`
	Unverified bool       `yaml:"unverified"` // true exactly when memory is the only citation
	Confidence string     `yaml:"confidence" required:"true"`

	Residency     *Residency     `yaml:"residency"`
	OpeningAbroad *OpeningAbroad `yaml:"opening_abroad"`
}

// Conditions say whom a rule binds. Every condition that is given must hold;
// one holds if any of its values is among the facts.
type Conditions struct {
	Residence     []bonded.Jurisdiction `yaml:"residence"`
	Citizenship   []bonded.Jurisdiction `yaml:"citizenship"`
	Collected     []bonded.Jurisdiction `yaml:"collected"`
	Service       []bonded.Jurisdiction `yaml:"service"`
	OperatorClass []string              `yaml:"operator_class"`
}

// Residency names the country in which a person's data is stored.
type Residency struct {
	StoreIn      bonded.Jurisdiction `yaml:"store_in" required:"true"`
	At           string              `yaml:"at" required:"true"`            // collection or always
	CopiesAbroad string              `yaml:"copies_abroad" required:"true"` // allowed, allowed_with_basis or prohibited
}

// OpeningAbroad forbids opening data held in one jurisdiction for a principal
// outside some countries, for want of what the law asks for.
type OpeningAbroad struct {
	HeldIn  bonded.Jurisdiction   `yaml:"held_in" required:"true"`
	Inside  []bonded.Jurisdiction `yaml:"inside" required:"true"`
	Classes []string              `yaml:"classes" required:"true"` // classes of fields: personal, sensitive
	Without string                `yaml:"without" required:"true"` // what is missing, for the reason
}

var (
	idForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{1,63}$`)
	versionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)
)

func wrong(field, message, hint string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// Validate checks what the types do not say.
func (p *Pack) Validate() error {
	if !idForm.MatchString(p.ID) {
		return wrong("id", "a pack id is lower-case letters, digits and hyphens", "")
	}
	if !versionForm.MatchString(p.Version) {
		return wrong("version", "a version is three numbers", "as in 1.0.0")
	}
	if err := jurisdictions("jurisdiction", []bonded.Jurisdiction{p.Jurisdiction}); err != nil {
		return err
	}
	if err := jurisdictions("covers", p.Covers); err != nil {
		return err
	}
	if len(p.Rules) == 0 && p.NoHome == nil {
		return wrong("", "a pack has rules, or says no_home", "")
	}
	seen := map[string]bool{}
	for _, r := range p.Rules {
		if seen[r.ID] {
			return wrong("rules", "rule "+r.ID+" is there twice", "")
		}
		seen[r.ID] = true
		for _, c := range r.When.OperatorClass {
			if _, ok := p.OperatorClasses[c]; !ok {
				return wrong("rules", "rule "+r.ID+" names an operator class that the pack does not describe", "add it to operator_classes")
			}
		}
		if err := p.cites(r.ID, r.Cite); err != nil {
			return err
		}
		for _, e := range r.Lifecycle {
			if err := p.cites(r.ID, e.Cite); err != nil {
				return err
			}
		}
	}
	if p.NoHome != nil {
		return p.cites("no_home", p.NoHome.Cite)
	}
	return nil
}

func (p *Pack) cites(where string, ids []string) error {
	for _, id := range ids {
		if _, ok := p.Sources[id]; !ok && id != memory {
			return wrong("rules", where+" cites a source that the pack does not list", "add it to sources")
		}
	}
	return nil
}

// Validate checks that n says where it comes from.
func (n *NoHome) Validate() error { return unverified(n.Cite, n.Unverified, false) }

// Validate checks what the types do not say.
func (r *Rule) Validate() error {
	if !idForm.MatchString(r.ID) {
		return wrong("id", "a rule id is lower-case letters, digits and hyphens", "")
	}
	if len(r.Lifecycle) == 0 {
		return wrong("lifecycle", "a rule has at least one lifecycle entry", "")
	}
	if !slices.Contains([]string{"high", "medium", "low"}, r.Confidence) {
		return wrong("confidence", "unknown confidence", "use high, medium or low")
	}
	if (r.Residency == nil) == (r.OpeningAbroad == nil) {
		return wrong("", "a rule has exactly one effect", "give residency or opening_abroad")
	}
	if r.Residency != nil && r.When.empty() {
		return wrong("", "a residency rule says whom it binds", "add when:")
	}
	if r.OpeningAbroad != nil && !r.When.empty() {
		return wrong("when", "an opening_abroad rule binds everybody", "remove when:")
	}
	return unverified(r.Cite, r.Unverified, true)
}

// unverified holds the mark against the citations: what rests on memory alone
// must say so. If exact, what does not must not.
func unverified(cite []string, marked, exact bool) error {
	only := true
	for _, c := range cite {
		only = only && c == memory
	}
	if only && !marked {
		return wrong("cite", "rests on memory alone", "add unverified: true, or a source")
	}
	if exact && marked && !only {
		return wrong("unverified", "marked unverified, but cites a source", "remove one of them")
	}
	return nil
}

func (c Conditions) empty() bool {
	return len(c.Residence)+len(c.Citizenship)+len(c.Collected)+len(c.Service)+len(c.OperatorClass) == 0
}

// Validate checks the country codes.
func (c *Conditions) Validate() error {
	for _, s := range []struct {
		field string
		list  []bonded.Jurisdiction
	}{{"residence", c.Residence}, {"citizenship", c.Citizenship}, {"collected", c.Collected}, {"service", c.Service}} {
		if err := jurisdictions(s.field, s.list); err != nil {
			return err
		}
	}
	return nil
}

// Validate checks the values that have a fixed list.
func (r *Residency) Validate() error {
	if !slices.Contains([]string{"collection", "always"}, r.At) {
		return wrong("at", "unknown time of storage", "use collection or always")
	}
	if !slices.Contains([]string{"allowed", "allowed_with_basis", "prohibited"}, r.CopiesAbroad) {
		return wrong("copies_abroad", "unknown rule for copies", "use allowed, allowed_with_basis or prohibited")
	}
	return jurisdictions("store_in", []bonded.Jurisdiction{r.StoreIn})
}

// Validate checks codes and classes.
func (o *OpeningAbroad) Validate() error {
	for _, c := range o.Classes {
		if c != "personal" && c != "sensitive" {
			return wrong("classes", "unknown class of fields", "use personal or sensitive")
		}
	}
	if err := jurisdictions("inside", o.Inside); err != nil {
		return err
	}
	return jurisdictions("held_in", []bonded.Jurisdiction{o.HeldIn})
}

func jurisdictions(field string, list []bonded.Jurisdiction) error {
	for _, j := range list {
		if !KnownJurisdiction(j) {
			return wrong(field, "unknown country code", countryHint(j))
		}
	}
	return nil
}

// newer reports whether version a is higher than b. Both have [versionForm].
func newer(a, b string) bool { return semver.Compare("v"+a, "v"+b) > 0 }
