package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"bonded"
	"bonded/client"
	"bonded/internal/custodian"
	"bonded/internal/terminal"
)

// open opens a folder and the door of its cell.
func (e *env) open(c *commands, dir string) (*custodian.Folder, *client.PersonClient, error) {
	pass, err := e.passphrase(c.PassphraseFile, false)
	if err != nil {
		return nil, nil, err
	}
	defer clear(pass)
	f, err := custodian.Open(dir, custodian.Options{Passphrase: pass})
	if err != nil {
		return nil, nil, err
	}
	url := c.URL
	if url == "" {
		url = f.Config().URL
	}
	door, err := client.NewPerson(client.PersonConfig{Directory: f.Directory(), Cell: f.Cell(), Person: f.Person(), Key: f.Key(), URL: url})
	return f, door, err
}

// passphrase reads a passphrase from a file that only its owner may read, or
// from the terminal.
func (e *env) passphrase(file string, twice bool) ([]byte, error) {
	if file != "" {
		return readPassphrase(file)
	}
	in, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "no passphrase", Hint: "give --passphrase-file or BONDED_PASSPHRASE_FILE, or run on a terminal"}
	}
	ask := func(text string) ([]byte, error) {
		_, _ = fmt.Fprint(e.stderr, text)
		b, err := term.ReadPassword(int(in.Fd()))
		_, _ = fmt.Fprintln(e.stderr)
		return b, err
	}
	first, err := ask("Passphrase: ")
	if err != nil || !twice {
		return first, err
	}
	second, err := ask("Again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = bonded.Errorf(bonded.CodeConfig, "the two passphrases differ")
	}
	return first, err
}

func readPassphrase(file string) ([]byte, error) {
	bad := func(message, hint string, err error) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: file, Message: message, Hint: hint, Err: err}
	}
	fi, err := os.Stat(file)
	if err != nil {
		return nil, bad("the passphrase file cannot be read", "", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, bad("the passphrase file can be read by others", "chmod 600", nil)
	}
	b, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, bad("the passphrase file cannot be read", "", err)
	}
	if b = bytes.TrimSuffix(b, []byte("\n")); len(b) == 0 {
		return nil, bad("the passphrase file is empty", "", nil)
	}
	return b, nil
}

type initCmd struct {
	Dir          string `arg:"" help:"Folder to make."`
	ID           string `name:"id" required:"" help:"Id of the custodian, such as firm-1."`
	Organisation string `required:"" help:"Whoever employs the custodian."`
	Government   string `placeholder:"CC" help:"ISO 3166-1 alpha-2 code of the state, if the organisation belongs to a government: it does not decide what that state's agencies ask."`
	Cell         string `required:"" help:"Cell whose share this custodian will hold."`
	Directory    string `required:"" type:"existingfile" help:"The file cells.json; its signature stands beside it."`
}

// Run implements the command.
func (c *initCmd) Run(e *env, all *commands) error {
	d, err := readDirectory(c.Directory)
	if err != nil {
		return err
	}
	pass, err := e.passphrase(all.PassphraseFile, true)
	if err != nil {
		return err
	}
	defer clear(pass)
	f, err := custodian.Init(c.Dir, custodian.Config{
		ID: c.ID, Organisation: c.Organisation, Cell: bonded.CellID(c.Cell), URL: all.URL, Government: c.Government,
	}, d.File, d.Signature, custodian.Options{Passphrase: pass})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "custodian %s of cell %s made in %s\nthe administrator is %s: compare it with what you were told\nnext: give public.json to whoever prepares the ceremony\n", c.ID, c.Cell, c.Dir, f.Directory().Admin)
	return err
}

type publicCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *publicCmd) Run(e *env, all *commands) error {
	f, _, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	p, err := f.Public()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(p)
}

type statusCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *statusCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	holds, rerr := f.Refresh(e.ctx, door)
	if rerr != nil {
		_, _ = fmt.Fprintf(e.stderr, "bonded-custodian: warning: nothing new from the front door: %v\n", rerr)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "custodian\t%s\norganisation\t%s\ncell\t%s\n", f.Config().ID, terminal.Clean(f.Config().Organisation), f.Cell())
	if set := f.KeySet(); set != nil {
		_, _ = fmt.Fprintf(w, "epoch\t%d\nkey set\t%x\nrelease key\t%x\nshare\t%t\n", set.Epoch(), set.Digest(), set.ReleaseKey(), holds)
		for _, r := range set.Roles() {
			_, _ = fmt.Fprintf(w, "role %s\t%d of %d\n", r.Name, r.Threshold, len(r.Members))
		}
		if set.Dealt() {
			_, _ = fmt.Fprintln(w, "dealer\tone dealer once knew the release key: the mark stays")
		}
	} else {
		_, _ = fmt.Fprintln(w, "epoch\tnone yet")
	}
	if err := f.Decisions(func(d custodian.Decision) error {
		_, err := fmt.Fprintf(w, "%s\t%s %s %s\n", d.Time.Format(time.RFC3339), d.What, caseText(d.Case), terminal.Clean(d.Reason))
		return err
	}); err != nil {
		return err
	}
	return errors.Join(w.Flush(), rerr)
}

func caseText(id bonded.CaseID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}
