package officers

import (
	"strings"

	"bonded/internal/locale"
)

// A field is one question of a form. Its words are those of its key.
type field struct {
	Key      string // of the words, without officer.f.
	Path     string // of the member in the request; # stands for the number of its row
	Kind     string // text, area, time, number, file, choice, check; empty: text
	Choices  []choice
	Optional bool
	List     string // id of a datalist
	Max      int    // characters; absent: 200
}

// A choice is one answer of several.
type choice struct{ Value, Text string }

// choices are words of the catalogue, by key.
func choices(p *locale.Printer, key string, values ...string) []choice {
	out := make([]choice, len(values))
	for i, v := range values {
		out[i] = choice{v, p.T("officer." + key + "." + v)}
	}
	return out
}

// id names the element of a field. Rows are numbered by the script.
func (f *field) id() string {
	return "f-" + strings.NewReplacer(".", "-", "[", "-", "]", "", "#", "n").Replace(f.Path)
}

func (f *field) label() string { return "officer.f." + f.Key }
func (f *field) hint() string  { return "officer.f." + f.Key + ".hint" }

// input is the type of the input element.
func (f *field) input() string {
	switch f.Kind {
	case "time":
		return "datetime-local"
	case "number", "file":
		return f.Kind
	}
	return "text"
}
