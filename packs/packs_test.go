package packs_test

import (
	"io/fs"
	"os"
	"testing"

	"bonded/packs"
)

func TestEveryPackIsEmbeddedOnce(t *testing.T) {
	names, err := fs.Glob(os.DirFS("."), "*/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	for _, name := range names {
		n := 0
		for _, f := range []fs.FS{packs.Files, packs.FrontDoor} {
			if _, err := fs.Stat(f, name); err == nil {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is embedded %d times, want once: name its folder in packs.go", name, n)
		}
	}
}
