package release_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded/internal/recipient"
	"bonded/internal/release"
)

const vectors = "../../spec/vectors/package"

// TestVectors opens the package of spec/vectors and compares what comes out.
// With UPDATE=1 it makes a new one.
func TestVectors(t *testing.T) {
	path := func(name string) string { return filepath.Join(vectors, name) }
	if os.Getenv("UPDATE") != "" {
		makeVectors(t, path)
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b, dir := read("case.bonded"), read("cells.json")
	o, err := recipient.ParseOfficer(read("officer.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if pub, err := recipient.ParseOfficerPublic(read("officer.json")); err != nil || pub.Digest != o.Public().Digest {
		t.Error(err)
	}
	for name, sink := range map[string]func(*bytes.Buffer) release.Sink{
		"opened.csv":  func(w *bytes.Buffer) release.Sink { return release.NewCSV(w) },
		"opened.json": func(w *bytes.Buffer) release.Sink { return release.NewJSON(w) },
	} {
		var out bytes.Buffer
		if _, err := release.Open(bytes.NewReader(b), int64(len(b)), dir, made.Add(time.Hour), o.Key, o.Private, sink(&out)); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path(name), out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(name); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, out.Bytes(), want)
		}
	}
}

func makeVectors(t *testing.T, path func(string) string) {
	t.Helper()
	w := newWorld(t)
	o, err := recipient.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	w.private, w.key = o.Private, o.Key
	key, err := o.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	public := new(bytes.Buffer)
	if err := o.Public().Write(public); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(vectors, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"case.bonded": w.made(story()), "cells.json": w.directory, "officer.key": key, "officer.json": public.Bytes()} {
		if err := os.WriteFile(path(name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
