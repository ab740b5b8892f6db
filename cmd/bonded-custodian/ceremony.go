package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/internal/custodian"
	"bonded/internal/terminal"
)

type ceremonyCmd struct {
	Show    lookCmd    `cmd:"" help:"Show the parameters of a ceremony and this custodian's seat."`
	Join    joinCmd    `cmd:"" help:"Take part in a ceremony until it has come to its end. Go on with it after an interruption."`
	Abandon abandonCmd `cmd:"" help:"Forget a ceremony that failed."`
}

type lookCmd struct {
	Dir      string `arg:"" help:"Folder of the custodian."`
	Ceremony string `arg:"" help:"Id of the ceremony."`
}

// Run implements the command.
func (c *lookCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	s, err := f.Look(e.ctx, door, c.Ceremony)
	if err != nil {
		return err
	}
	return printSeat(e.stdout, s)
}

func printSeat(out io.Writer, s *custodian.Seat) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "ceremony\t%s\nkind\t%s\nepoch\t%d\nparameters\t%x\n", s.Params.Ceremony.Hex(), s.Params.Kind, s.Params.Epoch, s.Digest)
	for _, r := range s.Params.Roles {
		_, _ = fmt.Fprintf(w, "role %s\t%d of %d\n", r.Name, r.Threshold, len(r.Members))
		for i := range r.Members {
			_, _ = fmt.Fprintf(w, "\t%s  %x\n", terminal.Clean(r.Members[i].ID), r.Members[i].Approval)
		}
	}
	var does []string
	if s.Deals {
		does = append(does, "deals its share on")
	}
	if s.Holds {
		does = append(does, "gets a share")
	}
	_, _ = fmt.Fprintf(w, "this custodian\t%s\n", strings.Join(does, " and "))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range s.Weaker {
		_, _ = fmt.Fprintln(out, "WARNING: "+s)
	}
	return nil
}

type joinCmd struct {
	Dir      string `arg:"" help:"Folder of the custodian."`
	Ceremony string `arg:"" help:"Id of the ceremony."`
	Digest   string `required:"" help:"Digest of the parameters that you agreed to, as ceremony show prints it."`
}

// Run implements the command.
func (c *joinCmd) Run(e *env, all *commands) error {
	var digest [32]byte
	if b, err := hex.DecodeString(c.Digest); err != nil || copy(digest[:], b) != len(digest) || len(b) != len(digest) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--digest", Message: "not a digest of 64 hexadecimal digits", Hint: "bonded-custodian ceremony show prints it"}
	}
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	set, err := f.Join(e.ctx, door, c.Ceremony, digest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "epoch %d is in force: key set %x, release key %x\n", set.Epoch(), set.Digest(), set.ReleaseKey())
	return err
}

type abandonCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *abandonCmd) Run(e *env, all *commands) error {
	f, _, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	return f.Abandon()
}
