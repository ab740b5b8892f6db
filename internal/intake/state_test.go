package intake //nolint:testpackage // the state file is not exported

import (
	"os"
	"path/filepath"
	"testing"

	"bonded"
)

// TestStateSurvivesATornLine shows that a batch is done or not done, never
// half, after a crash in the middle of its line.
func TestStateSurvivesATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := openState(path, new(Mapping))
	if err != nil {
		t.Fatal(err)
	}
	who := s.person("id-1")
	subject := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}
	if err := s.acknowledge("eu-1", [32]byte{1}, []statePerson{{who[:], subject}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.acknowledge("eu-2", [32]byte{2}, nil, []stateReject{{Line: 2, Code: bonded.CodeWrongType}}); err != nil {
		t.Fatal(err)
	}
	if err := s.f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)-3], 0o600); err != nil {
		t.Fatal(err)
	}

	again, err := openState(path, new(Mapping))
	if err != nil {
		t.Fatal(err)
	}
	defer again.f.Close()
	if again.id != s.id {
		t.Error("the import has another id after the crash")
	}
	if _, ok := again.batches["eu-1"]; !ok || again.people[who] != subject {
		t.Error("the acknowledged batch is lost")
	}
	if _, ok := again.batches["eu-2"]; ok {
		t.Error("the torn batch counts as done")
	}
	if again.person("id-1") != who || again.person("id-2") == who {
		t.Error("people are not told apart")
	}
}

func TestStateRefusesADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for name, content := range map[string]string{
		"no import id": "{\"batch\":\"eu-1\"}\n", "not JSON": "x\n",
		"a digest too short": "{\"import\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}\n{\"batch\":\"eu-1\",\"digest\":\"AA==\"}\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openState(path, new(Mapping)); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
		after, err := os.ReadFile(path)
		if err != nil || string(after) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestMappingNamesThePlaceOfAMistake(t *testing.T) {
	for text, field := range map[string]string{
		"collection: users\npurpose: p\nid: a\nfields: {x: y}\nfacts: {}\nmore: 1\n":                            "m.yaml:6:1",
		"collection: users\npurpose: Not A Purpose\nid: a\nfields: {x: y}\nfacts: {}\n":                         "m.yaml:2:",
		"collection: users\npurpose: p\nid: a\nfields: {x: y}\nfacts: {residence: {column: c, values: [DE]}}\n": "m.yaml:5:",
	} {
		_, err := ParseMapping("m.yaml", []byte(text))
		var at string
		if e, ok := err.(*bonded.Error); ok { //nolint:errorlint // ours comes unwrapped
			at = e.Field
		}
		if bonded.CodeOf(err) != bonded.CodeConfig || len(at) < len(field) || at[:len(field)] != field {
			t.Errorf("%q: %v at %q, want bad_config at %s", text, err, at, field)
		}
	}
}
