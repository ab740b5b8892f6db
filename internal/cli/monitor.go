package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// monitorCommand watches the ledger of a cell and the feed of its openings,
// as anybody can.
type monitorCommand struct {
	Where     string        `arg:"" optional:"" name:"url-or-dir" help:"Base URL or folder of the ledger; the directory's if not given."`
	Directory string        `required:"" placeholder:"cells.json" help:"Directory file: whose keys to trust."`
	Cell      bonded.CellID `help:"Cell of the directory; may be left out if there is only one."`
	Openings  string        `placeholder:"URL|FILE" help:"Feed of openings: the address of the API or a file; the directory's if not given."`
	State     string        `placeholder:"FILE" help:"Keeps the newest checkpoint: next time the ledger must extend it."`
	Every     time.Duration `default:"1m" help:"How often to look."`
	Once      bool          `help:"Look once, and end with the answer: 0 holds, 1 does not hold, 2 cannot tell."`
	Grace     time.Duration `default:"1h" help:"How long after its date an entry may be opened."`
	AnchorAge time.Duration `default:"5m" help:"How old the newest anchor may be."`
	Stale     time.Duration `default:"15m" help:"How old the newest checkpoint may be."`
	CA        string        `name:"ca" placeholder:"FILE" help:"PEM file of further roots for https addresses."`
}

// A verdictError ends a command with the exit code of a verdict; what there
// was to say has been printed.
type verdictError struct{ verdict verify.Verdict }

func (e *verdictError) Error() string { return e.verdict.String() }

// Run implements the command.
func (c *monitorCommand) Run(ctx context.Context, s *streams) error {
	// 1. Whom to trust, and where to look.
	cell, err := c.cell()
	if err != nil {
		return err
	}
	previous, err := c.previous(cell)
	if err != nil {
		return c.cannot(s, err)
	}
	src, err := c.source(cell)
	if err != nil {
		return err
	}
	defer src.close()
	grace := c.Grace
	if grace == 0 {
		grace = -1
	}
	m, err := verify.NewMonitor(cell, verify.MonitorOptions{Previous: previous, Grace: grace, AnchorAge: c.AnchorAge, CheckpointAge: c.Stale})
	if err != nil {
		return c.cannot(s, err)
	}

	// 2. Look, and say what has changed.
	var said string
	for {
		verdict, v, err := c.look(ctx, m, src)
		if err != nil {
			return err
		}
		if key := v.key(); key != said {
			if err := s.print(v, v.table); err != nil {
				return err
			}
			said = key
		}
		if c.Once {
			return ended(verdict)
		}
		timer := time.NewTimer(c.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ended(verdict)
		case <-timer.C:
		}
	}
}

func ended(v verify.Verdict) error {
	if v == verify.Holds {
		return nil
	}
	return &verdictError{v}
}

// look is one round. Its error is one of this machine; what is wrong with the
// cell is in the verdict and the view.
func (c *monitorCommand) look(ctx context.Context, m *verify.Monitor, src *monitorSource) (verify.Verdict, *monitorView, error) {
	err := m.Follow(func(path string) ([]byte, error) { return src.file(ctx, path) })
	if err == nil {
		err = m.Openings(func(from uint64) ([]json.RawMessage, uint64, error) { return src.page(ctx, from) })
	}
	rep := m.Report(time.Now())
	verdict := verify.VerdictOf(err)
	if rep != nil && (verdict == verify.Holds || rep.Verdict() == verify.DoesNotHold) {
		verdict = rep.Verdict()
	}
	if err == nil {
		if err := c.keep(rep.Checkpoint); err != nil {
			return verdict, nil, err
		}
	}
	return verdict, viewOf(verdict, rep, err), nil
}

func (c *monitorCommand) cell() (*verify.DirectoryCell, error) {
	d, err := client.ReadDirectory(c.Directory)
	if err != nil {
		return nil, err
	}
	if c.Cell == "" && len(d.Cells) == 1 {
		return &d.Cells[0], nil
	}
	cell, ok := d.Cell(c.Cell)
	if !ok {
		var ids []bonded.CellID
		for i := range d.Cells {
			ids = append(ids, d.Cells[i].ID)
		}
		message := "the directory has no such cell"
		if c.Cell == "" {
			message = "the directory has more than one cell, and none is named"
		}
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--cell", Message: message, Hint: "it has " + join(ids)}
	}
	return cell, nil
}

// previous opens the checkpoint kept by the last run, if there is one.
func (c *monitorCommand) previous(cell *verify.DirectoryCell) (*verify.Checkpoint, error) {
	if c.State == "" {
		return nil, nil //nolint:nilnil // none is kept
	}
	raw, err := os.ReadFile(c.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // the first run
	}
	if err != nil {
		return nil, unreadable(c.State, "the checkpoint kept", err)
	}
	policy, err := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy))
	if err != nil {
		return nil, verify.Unknown(verify.FailKey, err, "the directory has no usable witness policy for the cell")
	}
	return verify.OpenCheckpoint(raw, cell.LedgerKey, policy)
}

// keep writes the newest checkpoint in place of the one before.
func (c *monitorCommand) keep(cp *verify.Checkpoint) error {
	if c.State == "" {
		return nil
	}
	part := c.State + ".part"
	err := os.WriteFile(part, cp.Raw, 0o600)
	if err == nil {
		err = os.Rename(part, c.State)
	}
	if err != nil {
		return &bonded.Error{Code: bonded.CodeNotWritable, Field: c.State, Message: "the checkpoint cannot be kept: " + deploy.Cause(err), Err: err}
	}
	return nil
}

// cannot prints a failure that ends the command before anything was read.
func (c *monitorCommand) cannot(s *streams, err error) error {
	f := verify.FailureOf(err)
	if f == nil {
		return err
	}
	v := viewOf(f.Verdict, nil, f)
	if err := s.print(v, v.table); err != nil {
		return err
	}
	return ended(f.Verdict)
}
