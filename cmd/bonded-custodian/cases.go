package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/custodian"
	"bonded/internal/terminal"
)

type pendingCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *pendingCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	cases, err := f.Pending(e.ctx, door)
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		_, err := fmt.Fprintln(e.stdout, "nothing waits for you")
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CASE\tAGENCY\tPROCESS\tPRIORITY\tSTATE\tDEADLINE")
	for i := range cases {
		v := &cases[i]
		deadline := "-"
		if v.Deadline != nil {
			deadline = v.Deadline.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Case, v.Agency, v.Process, v.Priority, v.State, deadline)
	}
	return w.Flush()
}

type showCmd struct {
	Dir  string `arg:"" help:"Folder of the custodian."`
	Case string `arg:"" help:"Id of the case."`
}

// Run implements the command.
func (c *showCmd) Run(e *env, all *commands) error {
	_, _, checked, err := e.check(all, c.Dir, c.Case)
	if err != nil {
		return err
	}
	return printCase(e.stdout, checked)
}

func (e *env) check(all *commands, dir, text string) (*custodian.Folder, custodian.Door, *custodian.Checked, error) {
	id, err := bonded.ParseCaseID(text)
	if err != nil {
		return nil, nil, nil, err
	}
	f, door, err := e.open(all, dir)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := f.Check(e.ctx, door, id)
	return f, door, c, err
}

type approveCmd struct {
	Dir   string `arg:"" help:"Folder of the custodian."`
	Case  string `arg:"" help:"Id of the case."`
	Scope string `required:"" help:"Digest of the scope that you looked at, as show prints it: another one is not approved."`
	Wait  bool   `help:"Wait until the quorum stands, and compute. Without it, work or serve does."`
}

// Run implements the command.
func (c *approveCmd) Run(e *env, all *commands) error {
	f, door, checked, err := e.check(all, c.Dir, c.Case)
	if err != nil {
		return err
	}
	if !strings.EqualFold(c.Scope, fmt.Sprintf("%x", checked.Digest)) {
		return &bonded.Error{Code: bonded.CodeConflict, Field: "--scope", Message: "the scope is another one than you looked at", Hint: "run bonded-custodian show"}
	}
	if err := printCase(e.stdout, checked); err != nil {
		return err
	}
	res, err := f.Approve(e.ctx, door, checked)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.stdout, "approved; the case is %s\n", res.State)
	if !c.Wait {
		return nil
	}
	for {
		done, err := f.Compute(e.ctx, door, checked.Case)
		if err != nil {
			return err
		}
		if done {
			_, err := fmt.Fprintln(e.stdout, "computed: this custodian's part is done")
			return err
		}
		select {
		case <-time.After(custodian.Poll):
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
}

type refuseCmd struct {
	Dir    string `arg:"" help:"Folder of the custodian."`
	Case   string `arg:"" help:"Id of the case."`
	Reason string `required:"" help:"Why, in at most 256 bytes, without personal data. The ledger commits to it."`
}

// Run implements the command.
func (c *refuseCmd) Run(e *env, all *commands) error {
	f, door, checked, err := e.check(all, c.Dir, c.Case)
	if err != nil {
		return err
	}
	res, err := f.Refuse(e.ctx, door, checked, c.Reason)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "refused; the case is %s\n", res.State)
	return err
}

type proposalsCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *proposalsCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	list, err := f.Proposals(e.ctx, door)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for i := range list {
		if a := list[i].Agency; a != nil {
			_, _ = fmt.Fprintf(w, "agency\t%s\t%s (%s, %s), %s, powers %s, found at %s, signed by %s; digest %x\n",
				a.ID, terminal.Clean(a.Name), a.Country, a.Kind, a.Trust, strings.Join(a.Powers, ", "), terminal.Clean(a.DirectorySource), list[i].SignedBy, list[i].Digest())
			continue
		}
		p := list[i].Person
		_, _ = fmt.Fprintf(w, "person\t%s\t%s, %s, %s, key %s, signed by %s; digest %x\n", p.ID, terminal.Clean(p.Name), p.Role, terminal.Clean(p.Organisation), p.Key, list[i].SignedBy, list[i].Digest())
	}
	return w.Flush()
}

type confirmCmd struct {
	Dir  string `arg:"" help:"Folder of the custodian."`
	Kind string `arg:"" enum:"agency,person" help:"agency or person."`
	ID   string `arg:"" help:"Id of the entry."`

	Digest string `required:"" help:"Digest of the entry that you verified, as proposals prints it."`
}

// Run implements the command.
func (c *confirmCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	var agreed [32]byte
	if b, err := hex.DecodeString(c.Digest); err != nil || copy(agreed[:], b) != len(b) || len(b) != len(agreed) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--digest", Message: "not a digest", Hint: "64 hexadecimal digits, as bonded-custodian proposals prints them"}
	}
	r, err := f.Confirm(e.ctx, door, c.Kind, c.ID, agreed)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s %s version %d: %s\n", r.Kind, r.ID, r.Version, r.State)
	return err
}
