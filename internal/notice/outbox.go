package notice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bonded"
)

// OutboxFormat is the member format of an outbox file.
const OutboxFormat = "bonded/notice/1"

// tempPrefix begins the names of files that are being written. Readers of the
// folder pass over names that begin with a dot.
const tempPrefix = ".notice-"

// An OutboxFile is the content of DIR/ID.json. Its members stand in this
// order.
type OutboxFile struct {
	Format      string `json:"format"` // OutboxFormat
	ID          string `json:"id"`
	Case        string `json:"case"`
	Kind        Kind   `json:"kind"`
	Subject     string `json:"subject"`
	To          string `json:"to"` // mail address; empty: none is known
	Language    string `json:"language"`
	SubjectLine string `json:"subject_line"`
	Body        string `json:"body"`
	Due         string `json:"due"` // RFC 3339, UTC, seconds
}

type outbox struct{ dir string }

func newOutbox(dir string) (Channel, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "outbox folder cannot be made")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "outbox folder cannot be read")
	}
	if info.Mode().Perm()&0o007 != 0 && os.PathSeparator == '/' {
		return nil, configError(dir, "the outbox folder is open to everybody", "chmod o= "+dir)
	}
	return &outbox{dir}, nil
}

// Name implements [Channel].
func (o *outbox) Name() string { return "outbox" }

// Deliver implements [Channel]. The file appears whole or not at all, with
// mode 0600. If it is there, nothing is written: a reader that takes notices
// must remember their ids, or rename the files instead of removing them.
func (o *outbox) Deliver(ctx context.Context, e Envelope) (Outcome, error) {
	if ctx.Err() != nil {
		return later(ReasonInterruption, "outbox: interrupted")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	to := clean(e.To)
	err := enc.Encode(OutboxFile{
		Format: OutboxFormat, ID: e.ID.Hex(), Case: e.Case.String(), Kind: e.Kind, Subject: e.Subject.String(), To: to,
		Language: e.Text.Language, SubjectLine: e.Text.Subject, Body: e.Text.Body, Due: e.Due.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return never(ReasonInvalid, "notice cannot be written as JSON")
	}
	if err := o.write(e.ID.Hex()+".json", b.Bytes()); err != nil {
		return later(ReasonNotWritable, "outbox: the folder cannot be written")
	}
	return Outcome{Status: Done}, nil
}

// write makes a file durable under a name that nobody has yet; a file that is
// there stays.
func (o *outbox) write(name string, data []byte) error {
	path := filepath.Join(o.dir, name)
	if _, err := os.Lstat(path); err == nil {
		o.sweep(name)
		return syncDir(o.dir) // a crash may have come before the sync
	}
	f, err := os.CreateTemp(o.dir, tempPrefix+strings.TrimSuffix(name, ".json")+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces what is there.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, e := os.Lstat(path); e != nil {
			return err
		}
	}
	o.sweep(name)
	return syncDir(o.dir)
}

// sweep removes what attempts for the same notice that were killed left
// behind. Another attempt at the same time loses its file, and finds the notice
// in place.
func (o *outbox) sweep(name string) {
	left, _ := filepath.Glob(filepath.Join(o.dir, tempPrefix+strings.TrimSuffix(name, ".json")+"-*"))
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// syncDir makes the names in a folder durable. Windows does so by itself.
func syncDir(dir string) error {
	if os.PathSeparator != '/' {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
