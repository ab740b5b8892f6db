package intake

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/yamlstrict"
)

// A Mapping says how the columns of a file become fields and facts.
type Mapping struct {
	Collection string            `yaml:"collection" required:"true"`
	Purpose    bonded.Purpose    `yaml:"purpose" required:"true"`
	Reason     string            `yaml:"reason"`
	Basis      string            `yaml:"basis"`
	ID         string            `yaml:"id" required:"true"`     // column that says which rows are one person
	Fields     map[string]string `yaml:"fields" required:"true"` // field → column; empty cells are left out
	Facts      FactMapping       `yaml:"facts" required:"true"`
}

// A FactMapping says what decides a person's home.
type FactMapping struct {
	Residence     *Source  `yaml:"residence"`
	Citizenship   *Source  `yaml:"citizenship"`
	Collected     *Source  `yaml:"collected"`
	Service       *Source  `yaml:"service"`
	OperatorClass []string `yaml:"operator_class"`
}

// A Source is a column, or values that hold for every row.
type Source struct {
	Column string                `yaml:"column"`
	Values []bonded.Jurisdiction `yaml:"values"`
}

// ParseMapping reads a map file strictly; errors name file, line and column.
func ParseMapping(name string, b []byte) (*Mapping, error) {
	m := new(Mapping)
	if err := yamlstrict.Decode(name, b, m); err != nil {
		return nil, err
	}
	return m, nil
}

// Validate implements [yamlstrict.Validator].
func (m *Mapping) Validate() error {
	bad := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
	}
	switch {
	case !bonded.ValidName(m.Collection):
		return bad("collection", "not a collection name", "")
	case !m.Purpose.Valid():
		return bad("purpose", "not a purpose", "a–z, 0–9, _, - and ., such as onboarding")
	case len(m.Fields) == 0:
		return bad("fields", "no field is mapped", "write field: column pairs")
	}
	for _, s := range m.Facts.sources() {
		if s != nil && (s.Column == "") == (len(s.Values) == 0) {
			return bad("facts", "each fact names a column or values, not both", "")
		}
	}
	return nil
}

func (f *FactMapping) sources() []*Source {
	return []*Source{f.Residence, f.Citizenship, f.Collected, f.Service}
}

// source returns where a fact comes from, nil if it is not mapped.
func (f *FactMapping) source(fact string) *Source {
	switch fact {
	case "residence":
		return f.Residence
	case "citizenship":
		return f.Citizenship
	case "collected":
		return f.Collected
	case "service":
		return f.Service
	default:
		return nil
	}
}

// digest covers what the map says; its comments and layout do not count.
func (m *Mapping) digest() [32]byte {
	b, _ := json.Marshal(m) // map keys are sorted
	return sha256.Sum256(b)
}

// columns resolves the mapping against a header row.
type columns struct {
	id     int
	names  []string // fields in order
	fields []int    // column of each
	facts  [4]int   // column of each source, -1 if none
}

func (m *Mapping) resolve(header []string) (*columns, error) {
	c := &columns{facts: [4]int{-1, -1, -1, -1}}
	var missing string
	at := func(name string) int {
		i := slices.Index(header, name)
		if i < 0 && missing == "" {
			missing = name
		}
		return i
	}
	c.id = at(m.ID)
	for f := range m.Fields {
		c.names = append(c.names, f)
	}
	slices.Sort(c.names)
	for _, f := range c.names {
		c.fields = append(c.fields, at(m.Fields[f]))
	}
	for i, s := range m.Facts.sources() {
		if s != nil && s.Column != "" {
			c.facts[i] = at(s.Column)
		}
	}
	if missing != "" {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: "line 1",
			Message: "the file has no column " + missing + ", which the map names",
			Hint:    "compare the map with the file's first line",
		}
	}
	return c, nil
}

func (m *Mapping) factsOf(c *columns, row []string) apitype.Facts {
	var f apitype.Facts
	out := []*[]bonded.Jurisdiction{&f.Residence, &f.Citizenship, &f.Collected, &f.Service}
	for i, s := range m.Facts.sources() {
		switch {
		case s == nil:
		case s.Column == "":
			*out[i] = s.Values
		case row[c.facts[i]] != "":
			*out[i] = []bonded.Jurisdiction{bonded.Jurisdiction(row[c.facts[i]])}
		}
	}
	f.OperatorClass = m.Facts.OperatorClass
	return f
}
