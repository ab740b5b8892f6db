package yamlstrict_test

import (
	"errors"
	"testing"

	"bonded"
	"bonded/internal/yamlstrict"
)

type page struct {
	Rows  []row  `yaml:"rows"`
	Blame string `yaml:"blame"` // the path that its validator names
}

type row struct {
	ID   string   `yaml:"id"`
	Tags []string `yaml:"tags"`
}

func (p *page) Validate() error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: p.Blame, Message: "blamed"}
}

func TestValidatorErrorsNameThePlaceOfAPath(t *testing.T) {
	for path, want := range map[string]string{
		`rows`:              "f:2:3",
		`rows[0]`:           "f:2:5",
		`rows[1]`:           "f:4:6",
		`rows[1].tags`:      "f:4:19",
		`rows[1].tags[1]`:   "f:4:23",
		`rows[0].id`:        "f:2:9",
		`rows[0].nothing`:   "f:2:5", // as much as is there
		`rows[9].id`:        "f:2:3",
		`rows[x]`:           "f:2:3",
		`rows[0`:            "f:2:3",
		`rows[0][0]`:        "f:2:5",
		`blame[0]`:          "f:5:8",
		`blame.x`:           "f:5:8",
		`..`:                "f:1:1",
		`[`:                 "f:1:1",
		`[0]`:               "f:1:1",
		`rows[-1].id`:       "f:2:3",
		`somewhere.unknown`: "f:1:1",
	} {
		text := "rows:\n  - id: a\n    tags: [x]\n  - {id: b, tags: [x, y]}\nblame: '" + path + "'\n"
		var e *bonded.Error
		if err := yamlstrict.Decode("f", []byte(text), new(page)); !errors.As(err, &e) || e.Message != "blamed" {
			t.Fatalf("%s: %v", path, err)
		}
		if e.Field != want {
			t.Errorf("%s is at %s, want %s", path, e.Field, want)
		}
	}
}
