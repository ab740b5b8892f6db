package release_test

import (
	"bytes"
	"testing"

	"bonded/internal/release"
)

func TestOpenGivesWhatWasReleased(t *testing.T) {
	w := newWorld(t)
	b := w.made(story())
	var out bytes.Buffer
	rep, err := release.Open(bytes.NewReader(b), int64(len(b)), w.directory, now, w.key, w.private, release.NewCSV(&out))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range rep.Sentences() {
		t.Log(s)
	}
	t.Log(len(b), out.String())
}
