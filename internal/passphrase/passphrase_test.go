package passphrase_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/passphrase"
)

func TestReadFile(t *testing.T) {
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want, message string
	}{
		{"as it is", "open sesame", 0o600, "open sesame", ""},
		{"with the ends of lines", "open sesame\r\n\n", 0o400, "open sesame", ""},
		{"with spaces, which belong to it", " open sesame ", 0o600, " open sesame ", ""},
		{"empty", "\n", 0o600, "", "the passphrase file is empty"},
		{"open to the group", "open sesame", 0o640, "", "the passphrase file can be read by others"},
		{"open to all", "open sesame", 0o604, "", "the passphrase file can be read by others"},
		{"too large", strings.Repeat("x", passphrase.MaxFile+1), 0o600, "", "too large for a passphrase file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pass")
			if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			got, err := passphrase.ReadFile(path)
			if string(got) != c.want {
				t.Errorf("read %q, want %q", got, c.want)
			}
			check(t, err, path, c.message)
		})
	}
	path := filepath.Join(t.TempDir(), "none")
	_, err := passphrase.ReadFile(path)
	check(t, err, path, "the passphrase file cannot be read: no such file or directory")
}

func TestPassphraseFileMustBePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte("secret words\n"), 0o644); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	if _, err := passphrase.ReadFile(path); bonded.CodeOf(err) != bonded.CodeConfig || strings.Contains(err.Error(), "secret") {
		t.Errorf("readable by all: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := passphrase.ReadFile(path); err != nil || string(b) != "secret words" {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
}

func TestGetWantsAFileOrATerminal(t *testing.T) {
	got, err := passphrase.Get("", strings.NewReader("open sesame\n"), t.Output(), false)
	if got != nil {
		t.Errorf("read %q from what is no terminal", got)
	}
	check(t, err, "", "no passphrase")
}

func check(t *testing.T, err error, field, message string) {
	t.Helper()
	if message == "" {
		if err != nil {
			t.Errorf("%v", err)
		}
		return
	}
	e, ok := err.(*bonded.Error) //nolint:errorlint // it is not wrapped
	if !ok || e.Code != bonded.CodeConfig || e.Field != field || e.Message != message {
		t.Errorf("%#v, want %q of %q", err, message, field)
	}
}
