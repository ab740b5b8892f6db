package cli

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/policy"
	"bonded/internal/regulation"
)

// policyCommands check policies, and give them to the parties.
type policyCommands struct {
	Test    policyTest    `cmd:"" help:"Decide every case of a table and say which came out as wanted."`
	Install policyInstall `cmd:"" help:"Put policies into the folders of vaults and keyholders, and say when they take effect."`
}

type policyInstall struct {
	deploymentFlags
	File string          `arg:"" help:"The operator's policies, Cedar."`
	Cell []bonded.CellID `help:"Cells to install them in; all of them if not given."`
}

// policyEffect says when a cell's policies take effect.
type policyEffect struct {
	Cell bonded.CellID `json:"cell"`
	From *time.Time    `json:"from,omitempty"` // absent: now, or it cannot be seen
}

// Run implements the command.
func (c *policyInstall) Run(ctx context.Context, s *streams) error {
	l, cells, err := c.open(c.Cell)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return unreadable(c.File, "the policy file", err)
	}
	set, err := compileOn(c.File, text, time.Now())
	if err != nil {
		return err
	}
	for _, id := range cells {
		if err := l.InstallPolicy(id, text); err != nil {
			return err
		}
	}
	list, err := awaitPolicy(ctx, s, l, cells, set.Digest())
	if err != nil {
		return err
	}
	return s.print(list, func(w *tabwriter.Writer) {
		row(w, "CELL", "IN FORCE")
		for _, v := range list {
			from := "now"
			if v.From != nil {
				from = "from " + v.From.Format(time.RFC3339)
			}
			row(w, v.Cell, from)
		}
	})
}

func compileOn(name string, text []byte, day time.Time) (*policy.Set, error) {
	packs, err := regulation.Shipped()
	if err != nil {
		return nil, err
	}
	law, err := regulation.NewTable(packs)
	if err != nil {
		return nil, err
	}
	return policy.Compile(name, text, law.Forbids(day))
}

type policyTest struct {
	File   string `arg:"" help:"Table of cases, YAML; see spec/policy.md."`
	Policy string `placeholder:"FILE.cedar" help:"The operator's policies; those of bonded dev if not given."`
	On     string `placeholder:"YYYY-MM-DD" help:"Day whose law holds; today if not given."`
}

// Run implements the command.
func (c *policyTest) Run(s *streams) error {
	// 1. The policy set as a vault would compile it on that day.
	day := time.Now()
	if c.On != "" {
		var err error
		if day, err = time.Parse(time.DateOnly, c.On); err != nil {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--on", Message: "not a day such as 2026-11-23"}
		}
	}
	name, text := "built-in default", policy.DefaultOperatorPolicy()
	if c.Policy != "" {
		b, err := os.ReadFile(c.Policy)
		if err != nil {
			return unreadable(c.Policy, "the policy file", err)
		}
		name, text = c.Policy, b
	}
	set, err := compileOn(name, text, day)
	if err != nil {
		return err
	}
	// 2. The table.
	table, err := os.ReadFile(c.File)
	if err != nil {
		return unreadable(c.File, "the table of cases", err)
	}
	results, err := policy.RunTable(set, c.File, table)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if !r.Pass {
			failed++
		}
	}
	err = s.print(results, func(w *tabwriter.Writer) {
		row(w, "", "CASE", "WANT", "GOT", "BY")
		for _, r := range results {
			mark := "ok"
			if !r.Pass {
				mark = "FAIL"
			}
			row(w, mark, r.Name, r.Want, r.Got, r.Rules)
		}
	})
	if err != nil {
		return err
	}
	if failed > 0 {
		return &bonded.Error{Code: bonded.CodeConflict, Message: fmt.Sprintf("%d of %d cases came out otherwise", failed, len(results))}
	}
	fmt.Fprintf(s.err, "%d cases, all as wanted\n", len(results))
	return nil
}
