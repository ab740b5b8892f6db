package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/custodian"
	"bonded/internal/passphrase"
	"bonded/internal/terminal"
)

// open opens a folder and the door of its cell.
func (e *env) open(c *commands, dir string) (*custodian.Folder, *client.PersonClient, error) {
	pass, err := passphrase.Get(c.PassphraseFile, e.stdin, e.stderr, false)
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
	pass, err := passphrase.Get(all.PassphraseFile, e.stdin, e.stderr, true)
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
