package main

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
)

func TestExitCodesAreThoseOfBonded(t *testing.T) {
	for _, c := range apitype.Codes {
		if got := exitOf(c.Code); got != c.Exit {
			t.Errorf("%s ends with %d, and bonded with %d", c.Code, got, c.Exit)
		}
	}
}

func TestErrorsSayTheirCauseOnce(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "pass", Err: fs.ErrNotExist}
	for name, c := range map[string]struct {
		err  error
		want string
		exit int
	}{
		"coded":                 {bonded.Errorf(bonded.CodeSealed, "the keyholder is sealed"), "the keyholder is sealed [sealed]", exitClosed},
		"with a cause":          {bonded.Wrap(bonded.CodeConfig, missing, "passphrase file cannot be read"), "passphrase file cannot be read: open pass: file does not exist [bad_config]", exitConfig},
		"with itself as cause":  {bonded.Wrap(bonded.CodeConfig, missing, missing.Error()), "open pass: file does not exist [bad_config]", exitConfig},
		"with a coded cause":    {bonded.Wrap(bonded.CodeKeyholder, bonded.Errorf(bonded.CodeStale, "too old"), "no line"), "no line: too old [keyholder_down]", exitClosed},
		"with the same message": {bonded.Wrap(bonded.CodeStale, bonded.Errorf(bonded.CodeStale, "too old"), "too old"), "too old [not_witnessed]", exitClosed},
		"without a code":        {errors.New("disk"), "disk", exitInternal},
	} {
		var out bytes.Buffer
		if exit := complain(&out, c.err); exit != c.exit || out.String() != "bonded-keyholder: error: "+c.want+"\n" {
			t.Errorf("%s: %d, %s", name, exit, out.String())
		}
	}
}

func TestVersionIsPrinted(t *testing.T) {
	var out bytes.Buffer
	if code := run([]string{"--version"}, strings.NewReader(""), &out, &out); code != 0 || out.String() != "bonded-keyholder devel\n" {
		t.Errorf("--version: %d, %s", code, out.String())
	}
}
