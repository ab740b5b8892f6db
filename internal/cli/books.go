package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
)

type statusCommand struct{ callFlags }

// Run implements the command.
func (c *statusCommand) Run(ctx context.Context, s *streams) error {
	c.forAnything()
	cs, err := c.connect()
	if err != nil {
		return err
	}
	all := []*client.StatusResult{}
	var failed error
	for _, id := range cs.ids() {
		cl, err := cs.at(id)
		if err != nil {
			return err
		}
		st, err := cl.Status(ctx)
		if err != nil { // the other cells may be well
			failed = errors.Join(failed, fmt.Errorf("cell %s: %w", id, err))
			st = &client.StatusResult{Cell: id, Reason: "does not answer"}
		}
		all = append(all, st)
	}
	return errors.Join(failed, s.print(all, func(w *tabwriter.Writer) {
		row(w, "CELL", "READY", "PEOPLE", "RECORDS", "JOURNAL", "LEDGER", "WITNESSED", "KEYHOLDER", "PROVEN", "ASSERTED", "RESOLVED")
		for _, st := range all {
			ready, witnessed, keyholder := "yes", "never", "unreachable"
			if !st.Ready {
				ready = "no: " + st.Reason
			}
			if st.Witnessed != nil {
				witnessed = time.Since(*st.Witnessed).Round(time.Second).String() + " ago"
			}
			if st.Keyholder.Reachable {
				keyholder = "open"
			}
			if st.Keyholder.Sealed {
				keyholder = "sealed"
			}
			row(w, st.Cell, ready, st.Subjects, st.Records, st.JournalRows, st.LedgerSize, witnessed, keyholder, st.Keyholder.Proven, st.Keyholder.Asserted, st.Keyholder.Resolved)
		}
		sayWaiting(w, all)
	}))
}

// sayWaiting adds what is announced and not in force yet.
func sayWaiting(w *tabwriter.Writer, all []*client.StatusResult) {
	first := true
	for _, st := range all {
		for _, v := range st.Waiting {
			if first {
				row(w)
				row(w, "CELL", "WAITS AT", "WHAT", "NUMBER", "LEDGER ENTRY", "IN FORCE FROM")
				first = false
			}
			row(w, st.Cell, v.Party, v.Subject, v.Number, v.Entry, v.From.Format(time.RFC3339))
		}
	}
}

// cellFlags are callFlags for one cell.
type cellFlags struct {
	callFlags
	Cell bonded.CellID `help:"Cell; the default cell if not given."`
}

func (f *cellFlags) client() (*client.Client, error) {
	cs, err := f.connect()
	if err != nil {
		return nil, err
	}
	if f.Cell == "" {
		f.Cell = cs.dir.Default
	}
	return cs.at(f.Cell)
}

type receiptCommand struct {
	cellFlags
	Entry string `arg:"" help:"Row of the journal: node.incarnation.sequence, as answers name it."`
}

// Run implements the command.
func (c *receiptCommand) Run(ctx context.Context, s *streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := cl.AwaitReceipt(wait, client.ReceiptRequest{Why: c.why(), Entry: c.Entry})
	if err != nil {
		return err
	}
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

type journalCommands struct {
	Export journalExport `cmd:"" help:"Write rows, segments and anchors for bonded-verify reconcile."`
}

type journalExport struct {
	cellFlags
	File string `arg:"" help:"File to write."`
}

// Run implements the command. The file appears only when it is whole.
func (c *journalExport) Run(ctx context.Context, s *streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	part := c.File + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	defer os.Remove(part) // after the rename there is nothing to remove
	n, err := cl.ExportJournal(ctx, c.why(), f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, c.File); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	fmt.Fprintf(s.err, "%d rows written to %s\n", n, c.File)
	return nil
}

type jobCommands struct {
	Rotate jobRotate `cmd:"" help:"Give the cell key a new version and re-wrap every subject key under it."`
	Reseal jobReseal `cmd:"" help:"Seal every record of a collection under a next version."`
	Status jobStatus `cmd:"" help:"See how background work stands."`
}

type jobRotate struct{ cellFlags }

// Run implements the command.
func (c *jobRotate) Run(ctx context.Context, s *streams) error {
	return c.start(ctx, s, client.JobRequest{Why: c.why(), Kind: "rotate"})
}

type jobReseal struct {
	cellFlags
	Collection string `arg:"" help:"Collection, such as users."`
}

// Run implements the command.
func (c *jobReseal) Run(ctx context.Context, s *streams) error {
	return c.start(ctx, s, client.JobRequest{Why: c.why(), Kind: "reseal", Collection: c.Collection})
}

type jobStatus struct {
	cellFlags
	ID string `arg:"" help:"Id that the start of the work returned."`
}

// Run implements the command.
func (c *jobStatus) Run(ctx context.Context, s *streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	j, err := cl.JobStatus(ctx, c.ID)
	if err != nil {
		return err
	}
	return printJob(s, j)
}

// start begins work and follows it to its end.
func (f *cellFlags) start(ctx context.Context, s *streams, req client.JobRequest) error {
	cl, err := f.client()
	if err != nil {
		return err
	}
	j, err := cl.JobStart(ctx, req)
	if err != nil {
		return err
	}
	bar := s.progress(j.Kind, int64(j.Total)) //nolint:gosec // far below 2^63
	defer bar.done()
	for j.State == "running" {
		bar.set(int64(j.Done)) //nolint:gosec // far below 2^63
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return &bonded.Error{Code: bonded.CodeBusy, Message: "the work goes on in the cell", Hint: "bonded job status " + j.ID}
		}
		if j, err = cl.JobStatus(ctx, j.ID); err != nil {
			return err
		}
	}
	bar.set(int64(j.Done)) //nolint:gosec // far below 2^63
	bar.done()
	if err := printJob(s, j); err != nil {
		return err
	}
	if j.State == "failed" {
		return &bonded.Error{Code: bonded.Code(j.Code), Message: "the work failed"}
	}
	return nil
}

func printJob(s *streams, j *client.Job) error {
	return s.print(j, func(w *tabwriter.Writer) {
		row(w, "job", j.ID)
		row(w, "work", strings.TrimSpace(j.Kind+" "+j.Collection))
		row(w, "state", j.State)
		row(w, "done", fmt.Sprintf("%d of %d", j.Done, j.Total))
	})
}
