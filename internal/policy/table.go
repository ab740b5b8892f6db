package policy

import (
	"slices"

	"bonded"
	"bonded/internal/nearest"
	"bonded/internal/yamlstrict"
)

// A CaseResult is how one case of a policy table went.
type CaseResult struct {
	Name    string   `json:"name"`
	Pass    bool     `json:"pass"`
	Want    string   `json:"want"` // allow or deny
	Got     string   `json:"got"`
	Rule    string   `json:"rule,omitempty"` // the rule that must be among Rules
	Rules   []string `json:"rules"`
	Reasons []string `json:"reasons"`
}

type tableCase struct {
	Name             string              `yaml:"name" required:"true"`
	Principal        tablePrincipal      `yaml:"principal" required:"true"`
	Operation        string              `yaml:"operation" required:"true"`
	Cell             bonded.CellID       `yaml:"cell" required:"true"`
	CellJurisdiction bonded.Jurisdiction `yaml:"cell_jurisdiction" required:"true"`
	Collection       string              `yaml:"collection"`
	Fields           []string            `yaml:"fields"`
	Classes          []string            `yaml:"classes"`
	BarredFields     []string            `yaml:"barred_fields"`
	Purpose          bonded.Purpose      `yaml:"purpose"`
	Basis            string              `yaml:"basis"`
	Want             string              `yaml:"want" required:"true"`
	Rule             string              `yaml:"rule"`
}

type tablePrincipal struct {
	ID           string              `yaml:"id" required:"true"`
	Cell         bonded.CellID       `yaml:"cell" required:"true"`
	Jurisdiction bonded.Jurisdiction `yaml:"jurisdiction"`
	Roles        []string            `yaml:"roles"`
	Purposes     []bonded.Purpose    `yaml:"purposes"`
	Proven       bool                `yaml:"proven"`
}

// Validate checks the values that have a fixed list.
func (c *tableCase) Validate() error {
	if c.Want != "allow" && c.Want != "deny" {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "want", Message: "unknown outcome", Hint: "use allow or deny"}
	}
	if !slices.Contains(operations, c.Operation) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "operation", Message: "unknown operation", Hint: nearest.Hint(c.Operation, operations)}
	}
	return nil
}

// RunTable decides every case of a policy table, a YAML list as described in
// spec/policy.md, and says which came out as wanted. Name is the file's name,
// for errors; a malformed table is a [*bonded.Error] with code
// [bonded.CodeConfig].
func RunTable(s *Set, name string, text []byte) ([]CaseResult, error) {
	var cases []tableCase
	if err := yamlstrict.Decode(name, text, &cases); err != nil {
		return nil, err
	}
	results := make([]CaseResult, 0, len(cases))
	for _, c := range cases {
		d := s.Decide(&Request{
			Principal: Principal(c.Principal), Operation: c.Operation, Cell: c.Cell, CellJurisdiction: c.CellJurisdiction,
			Collection: c.Collection, Fields: c.Fields, Classes: c.Classes, BarredFields: c.BarredFields,
			Purpose: c.Purpose, Basis: c.Basis,
		})
		r := CaseResult{Name: c.Name, Want: c.Want, Got: "deny", Rule: c.Rule, Rules: d.Rules, Reasons: d.Reasons}
		if d.Allow {
			r.Got = "allow"
		}
		r.Pass = r.Got == r.Want && (c.Rule == "" || slices.Contains(d.Rules, c.Rule))
		results = append(results, r)
	}
	return results, nil
}
