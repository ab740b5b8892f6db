package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/release"
	"bonded/verify"
)

type requestFetch struct {
	requestCaseFlags
	File string `short:"f" placeholder:"FILE.bonded" help:"Where to write it; CASE.bonded if not given."`
}

// Run implements the command.
func (c *requestFetch) Run(ctx context.Context, s *streams) error {
	id, p, o, err := c.connect(s)
	if err != nil {
		return err
	}
	defer o.Private.Erase()
	v, err := p.Case(ctx, id)
	if err != nil {
		return err
	}
	if v.Package == "" {
		return &bonded.Error{
			Code: bonded.CodeConflict, Message: "there is no package of this case yet; its state is " + v.State,
			Hint: "bonded request status shows how it stands",
		}
	}
	path := c.File
	if path == "" {
		path = id.String() + ".bonded"
	}
	if err := writeWhole(path, func(w io.Writer) error {
		h := sha256.New()
		if err := p.Package(ctx, id, io.MultiWriter(w, h)); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != v.Package {
			return &bonded.Error{Code: bonded.CodeAltered, Message: "the package that came is not the one the case names", Hint: "fetch it again"}
		}
		return nil
	}); err != nil {
		return err
	}
	return s.print(map[string]string{"file": path, "sha256": v.Package}, func(w *tabwriter.Writer) {
		row(w, "package", path)
		row(w, "sha256", v.Package)
	})
}

// packageFlags name a package and what it is checked by.
type packageFlags struct {
	Directory string `placeholder:"cells.json" help:"Directory file: whose keys to trust; cells.json of --dir if not given."`
	File      string `arg:"" name:"case.bonded" help:"Release package."`
}

func (f *packageFlags) at(d *deploymentFlags) (file *os.File, size int64, directory []byte, err error) {
	path := f.Directory
	if path == "" {
		path = d.layout().Directory()
	}
	if directory, err = os.ReadFile(path); err != nil {
		return nil, 0, nil, needsDir(unreadable(path, "the directory", err))
	}
	if file, err = os.Open(f.File); err != nil {
		return nil, 0, nil, unreadable(f.File, "the package", err)
	}
	fi, err := file.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &bonded.Error{Code: bonded.CodeInvalid, Field: f.File, Message: "not a file"}
	}
	if err != nil {
		return nil, 0, nil, errors.Join(err, file.Close())
	}
	return file, fi.Size(), directory, nil
}

// refusedPackage turns what a check found into an error of the command line.
func refusedPackage(path string, err error) error {
	f := verify.FailureOf(err)
	if f == nil {
		return err
	}
	e := &bonded.Error{Code: bonded.CodeAltered, Field: path, Message: f.Message + " (" + f.Code + ")", Err: err, Hint: "fetch it again; if it stays so, tell whoever released it"}
	switch f.Code {
	case verify.FailRecipient:
		e.Code, e.Hint = bonded.CodeForbidden, "open it with the key that the request was filed with: --key"
	case verify.FailExpired:
		e.Code, e.Hint = bonded.CodeForbidden, "what has expired is not opened; file a new request"
	case verify.FailDirectory, verify.FailCell, verify.FailKey:
		e.Code, e.Hint = bonded.CodeConfig, "give the directory that the package was made under: --directory"
	}
	return e
}

type requestVerify struct {
	deploymentFlags
	packageFlags
}

type packageView struct {
	Case      string   `json:"case"`
	Copy      string   `json:"copy"`
	Expires   string   `json:"expires"`
	Released  uint64   `json:"released"`
	Refused   uint64   `json:"refused"`
	Opening   int64    `json:"opening"`
	Sentences []string `json:"sentences"`
}

func viewPackage(r *verify.PackageReport) *packageView {
	return &packageView{r.Manifest.Case.String(), r.Manifest.Copy, stamp(r.Manifest.Expires), r.End.Released, r.End.Refused, r.OpenEntry.Index, r.Sentences()}
}

// Run implements the command.
func (c *requestVerify) Run(s *streams) error {
	f, size, dir, err := c.packageFlags.at(&c.deploymentFlags)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	rep, err := release.Check(f, size, dir, time.Now())
	if err != nil {
		return refusedPackage(c.File, err)
	}
	return s.print(viewPackage(rep), func(w *tabwriter.Writer) {
		for _, l := range rep.Sentences() {
			row(w, l)
		}
	})
}

type requestOpen struct {
	deploymentFlags
	keyFlags
	packageFlags
	Format string `enum:"csv,json" default:"csv" help:"csv or json."`
	To     string `short:"f" name:"file" placeholder:"FILE" help:"Where to write what is opened, for its owner only; beside the package if not given."`
}

// Run implements the command.
func (c *requestOpen) Run(s *streams) error {
	// 1. Everything at hand, and nothing overwritten.
	path := c.To
	if path == "" {
		path = strings.TrimSuffix(c.packageFlags.File, filepath.Ext(c.packageFlags.File)) + "." + c.Format
	}
	if _, err := os.Lstat(path); err == nil {
		return &bonded.Error{Code: bonded.CodeConflict, Field: path, Message: "there is a file of that name already", Hint: "name another with --file"}
	}
	f, size, dir, err := c.packageFlags.at(&c.deploymentFlags)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	o, err := c.officer(s)
	if err != nil {
		return err
	}
	defer o.Private.Erase()

	// 2. Check, then open into a file that gets its name at the end.
	var rep *verify.PackageReport
	err = writeWhole(path, func(w io.Writer) error {
		sink := release.NewCSV(w)
		if c.Format == "json" {
			sink = release.NewJSON(w)
		}
		rep, err = release.Open(f, size, dir, time.Now(), o.Key, o.Private, sink)
		return err
	})
	if err != nil {
		return refusedPackage(c.packageFlags.File, err)
	}
	view := struct {
		*packageView
		File string `json:"file"`
	}{viewPackage(rep), path}
	return s.print(view, func(w *tabwriter.Writer) {
		for _, l := range rep.Sentences() {
			row(w, l)
		}
		row(w, fmt.Sprintf("Opened into %s.", path))
	})
}
