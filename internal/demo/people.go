package demo

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"bonded"
	"bonded/internal/deploy"
)

// people is what the demo remembers of the file, to compare and to search for.
type people struct {
	values map[string]bool // every personal value of the file
	cn, eu person
	quorum person // somebody in the default cell with a phone number and a date of birth
}

type person struct{ id, name, phone, born string }

// of returns somebody who sits in the cell.
func (p *people) of(cell bonded.CellID) person {
	if cell == "cn" {
		return p.cn
	}
	return p.eu
}

// personalColumns are searched for at rest. Country and gender are single
// words of a few letters, and "unknown" stands for no party. A party of
// independents shares its letters with a role of custodians.
var personalColumns = []string{"person_id", "full_name", "sort_name", "email", "phone", "twitter", "party", "area", "birth_date", "postal_address"}

func readPeople(path string) (*people, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: path, Message: "the input file cannot be read: " + deploy.Cause(err), Err: err}
	}
	defer f.Close()
	in := csv.NewReader(f)
	header, err := in.Read()
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: path, Message: "the input file has no header row: " + deploy.Cause(err), Err: err}
	}
	at := func(name string) int { return slices.Index(header, name) }
	id, name, country := at("person_id"), at("full_name"), at("country")
	if id < 0 || name < 0 || country < 0 {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: "line 1", Message: "the input file needs the columns person_id, full_name and country",
			Hint: "bonded import takes files of other columns with a map of their own",
		}
	}
	p := &people{values: map[string]bool{}}
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			continue // the import rejects and reports the row
		}
		for _, c := range personalColumns {
			if i := at(c); i >= 0 && rec[i] != "unknown" && !strings.Contains(strings.ToLower(rec[i]), "independ") {
				p.values[rec[i]] = true
			}
		}
		who := person{id: rec[id], name: rec[name]}
		if e, b := at("phone"), at(quorumField); e >= 0 && b >= 0 {
			who.phone, who.born = rec[e], rec[b]
		}
		switch {
		case rec[country] == "CN" && p.cn.id == "":
			p.cn = who
		case rec[country] == "DE" && p.eu.id == "":
			p.eu = who
		case rec[country] == "US" && p.quorum.id == "" && who.phone != "" && who.born != "" && who.name != "":
			p.quorum = who
		}
	}
}

// textOf returns the text of a JSON string.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}
