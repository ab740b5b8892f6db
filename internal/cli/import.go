package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/intake"
)

type importCommand struct {
	callFlags
	Collection string `arg:"" help:"Collection, such as users; the map must name the same."`
	File       string `arg:"" help:"CSV file, UTF-8, with a header row."`
	Map        string `required:"" placeholder:"MAP.yaml" help:"How columns become fields and facts; see docs/import.md."`
	State      string `placeholder:"FILE" help:"What is needed to go on after an interruption; FILE.csv.import-state if not given."`
	Rejects    string `placeholder:"FILE.csv" help:"Where bad rows are reported; FILE.csv.rejects.csv if not given."`
}

// Run implements the command.
func (c *importCommand) Run(ctx context.Context, s *streams) error {
	text, err := os.ReadFile(c.Map)
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the map cannot be read")
	}
	m, err := intake.ParseMapping(c.Map, text)
	if err != nil {
		return err
	}
	if m.Collection != c.Collection {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: c.Map, Message: "the map is for collection " + m.Collection}
	}
	c.forAnything() // the map names the purpose
	cs, err := c.connect()
	if err != nil {
		return err
	}
	sum, err := importFile(ctx, s, cs, m, c.File, c.State, c.Rejects)
	if err != nil {
		err = goesOn(ctx, err)
	}
	if sum != nil && (err == nil || !sum.Nothing()) {
		err = errors.Join(err, printSummary(s, sum))
	}
	return err
}

// goesOn adds to an error that passes how the import goes on after it.
func goesOn(ctx context.Context, err error) error {
	const again = "run the same command again to go on"
	if ctx.Err() != nil {
		return errors.New("interrupted: " + again)
	}
	e, ok := errors.AsType[*bonded.Error](err)
	if !ok {
		return err
	}
	switch apitype.InfoOf(e.Code).Exit {
	case apitype.ExitLater, apitype.ExitClosed:
		passing := *e
		switch {
		case passing.Hint == "":
			passing.Hint = again
		case strings.HasSuffix(passing.Hint, "?"):
			passing.Hint += " then " + again
		default:
			passing.Hint += "; then " + again
		}
		return &passing
	default:
		return err
	}
}

// importFile runs an import with its files beside the CSV.
func importFile(ctx context.Context, s *streams, cs *cells, m *intake.Mapping, file, state, rejects string) (*intake.Summary, error) {
	if state == "" {
		state = file + ".import-state"
	}
	if rejects == "" {
		rejects = file + ".rejects.csv"
	}
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeInvalid, err, "the CSV file cannot be read")
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	out, err := os.OpenFile(rejects, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("write rejects: %w", err)
	}
	bar := s.progress("import", fi.Size())
	sum, err := intake.Run(ctx, f, target{cs}, intake.Options{Mapping: m, State: state, Rejects: out, Progress: bar.set})
	bar.done()
	return sum, errors.Join(err, out.Close())
}

func printSummary(s *streams, sum *intake.Summary) error {
	return s.print(sum, func(w *tabwriter.Writer) {
		row(w, "rows", sum.Rows)
		for _, id := range slices.Sorted(maps.Keys(sum.People)) {
			row(w, "people in "+string(id), sum.People[id])
		}
		row(w, "further records of people met before", sum.Repeated)
		if sum.Resumed > 0 {
			row(w, "of these there already from an earlier run", sum.Resumed)
		}
		for _, code := range slices.Sorted(maps.Keys(sum.Rejected)) {
			row(w, "rejected: "+string(code), sum.Rejected[code], first(sum.First[code]))
		}
		for _, rule := range slices.Sorted(maps.Keys(sum.Rules)) {
			row(w, "  by rule "+rule, sum.Rules[rule])
		}
	})
}

// first says which row was rejected first, and why.
func first(j intake.Reject) string {
	at := fmt.Sprintf("first: line %d", j.Line)
	if j.Column != "" {
		at += ", column " + j.Column
	}
	return at + ": " + j.Message
}

// target is the cells as an import sees them.
type target struct{ cells *cells }

// Route implements intake.Target.
func (t target) Route(f apitype.Facts) (*apitype.RouteAnswer, error) {
	cl, err := t.cells.at(t.cells.dir.Default)
	if err != nil {
		return nil, err
	}
	return cl.Route(f)
}

// BatchPut implements intake.Target.
func (t target) BatchPut(ctx context.Context, cell bonded.CellID, key string, req *apitype.BatchPutRequest) (*apitype.BatchPutResult, error) {
	cl, err := t.cells.at(cell)
	if err != nil {
		return nil, err
	}
	return cl.BatchPut(client.WithIdempotencyKey(ctx, key), *req)
}
