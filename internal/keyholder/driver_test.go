package keyholder_test

import (
	"os"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/drivertest"
)

func driverFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "driver.key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileDriver(t *testing.T, d keyholder.Driver) *keyholder.FileDriver {
	t.Helper()
	f, ok := d.(*keyholder.FileDriver)
	if !ok {
		t.Fatalf("driver is %T", d)
	}
	return f
}

func TestFileDriverWithPassphrase(t *testing.T) {
	content, err := keyholder.NewFileDriver([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	path := driverFile(t, content)
	drivertest.Run(t, drivertest.Subject{
		New: func(*testing.T) keyholder.Driver { return keyholder.OpenFileDriver(path) },
		Unlock: func(t *testing.T, d keyholder.Driver) {
			if err := fileDriver(t, d).UnlockPassphrase([]byte("correct horse")); err != nil {
				t.Fatal(err)
			}
		},
		Wrong: func(t *testing.T, d keyholder.Driver) error {
			return fileDriver(t, d).UnlockPassphrase([]byte("incorrect horse"))
		},
	})
}

func TestFileDriverWithShares(t *testing.T) {
	content, texts, key, err := keyholder.NewSharedDriver(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keyholder.UnlockedDriver(key).Seal(t.Context(), "a", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, others, _, err := keyholder.NewSharedDriver(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	path := driverFile(t, content)
	drivertest.Run(t, drivertest.Subject{
		New: func(*testing.T) keyholder.Driver { return keyholder.OpenFileDriver(path) },
		Unlock: func(t *testing.T, d keyholder.Driver) {
			if err := fileDriver(t, d).UnlockShares([]string{texts[2], texts[0]}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Open(t.Context(), "a", sealed); err != nil {
				t.Errorf("what was sealed when the shares were made: %v", err)
			}
		},
		Wrong: func(t *testing.T, d keyholder.Driver) error {
			return fileDriver(t, d).UnlockShares([]string{texts[0], others[1]})
		},
	})
	for name, given := range map[string][]string{"too few": texts[:1], "twice the same": {texts[0], texts[0]}, "mistyped": {texts[0], texts[1][:len(texts[1])-1] + "x"}, "none": nil} {
		if err := keyholder.OpenFileDriver(path).UnlockShares(given); bonded.CodeOf(err) != bonded.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileDriverRefusesAFileOthersCanRead(t *testing.T) {
	content, err := keyholder.NewFileDriver([]byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	path := driverFile(t, content)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := keyholder.OpenFileDriver(path).UnlockPassphrase([]byte("p")); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("mode 0640: %v", err)
	}
	if err := keyholder.OpenFileDriver(path + ".gone").UnlockPassphrase([]byte("p")); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("no file: %v", err)
	}
}
