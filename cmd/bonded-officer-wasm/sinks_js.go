package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"bonded"
	"bonded/internal/release"
	"bonded/verify"
)

// sameBytes holds a package against the digest that the case names.
func sameBytes(body []byte, digest string) error {
	sum := sha256.Sum256(body)
	if digest != "" && hex.EncodeToString(sum[:]) != digest {
		return &bonded.Error{Code: bonded.CodeAltered, Message: "the package that came is not the one the case names", Hint: "fetch it again"}
	}
	return nil
}

// sinks takes the rows of a package for the page and for files at once.
type sinks struct {
	out   *opened
	files []release.Sink
}

// Begin implements [release.Sink].
func (s *sinks) Begin(r *verify.PackageReport) error {
	return s.each(func(f release.Sink) error { return f.Begin(r) })
}

// Row implements [release.Sink].
func (s *sinks) Row(r *release.Row) error {
	v := row{
		Item: r.Index, Task: r.Task, Subject: r.Subject.String(), Record: r.Record.String(), Collection: r.Collection,
		Refused: string(r.Code), Values: map[string]string{},
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		v.Values[f.Name] = string(f.Value)
		if !utf8.Valid(f.Value) {
			v.Values[f.Name] = "base64:" + base64.StdEncoding.EncodeToString(f.Value)
		}
		if f.Match {
			v.Matched = append(v.Matched, f.Name)
		}
	}
	s.out.Rows = append(s.out.Rows, v)
	return s.each(func(f release.Sink) error { return f.Row(r) })
}

// End implements [release.Sink].
func (s *sinks) End() error { return s.each(release.Sink.End) }

func (s *sinks) each(do func(release.Sink) error) error {
	for _, f := range s.files {
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}
