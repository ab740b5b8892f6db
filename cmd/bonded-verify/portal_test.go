package main

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded/verify"
)

// stated writes a directory of two cells and a statement of the first since a
// day, and returns their names and the ledger of that cell.
func stated(t *testing.T, since time.Time) (cells, statement, ledger string) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(filepath.FromSlash(vectorReport), name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	d, err := verify.ParseDirectory(read("cells.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := d.Cells[0]
	other.ID = "cn"
	d.Cells = append(d.Cells, other)
	made := since.AddDate(1, 0, 0)
	st, err := verify.NewStatement(&verify.PortalStatement{
		Format: verify.LabelPortalStatement, Cell: d.Cells[0].ID, Operator: "Example AG", Made: made, Since: since, Until: made.AddDate(0, 0, 90),
		Says: []verify.PortalSaying{{Lang: "en", Text: "It is so."}},
	})
	if err != nil {
		t.Fatal(err)
	}
	st.Sign(verify.LabelPortalStatement, verify.SignerAdmin, ed25519.NewKeyFromSeed(read("admin.key")))
	dir := t.TempDir()
	cells, statement = filepath.Join(dir, "cells.json"), filepath.Join(dir, "statement.json")
	for name, b := range map[string][]byte{cells: d.Encode(), statement: append(st.Encode(), '\n')} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cells, statement, filepath.Join(filepath.FromSlash(vectorReport), "ledger")
}

func TestStatementNamesItsCellAndHoldsAgainstTheLedger(t *testing.T) {
	_, _, ledger := stated(t, time.Now())
	first := firstDay(t, ledger)
	for name, test := range map[string]struct {
		since time.Time
		args  []string
		code  int
		says  string
	}{
		"cell of the statement":    {first, nil, 0, "The operator calls itself Example AG."},
		"another cell":             {first, []string{"--cell", "cn"}, 1, "is of cell eu, not cn"},
		"no ledger":                {first.AddDate(-1, 0, 0), nil, 0, "was not checked; name it with --ledger"},
		"day of the first entry":   {first, []string{"--ledger", ledger}, 0, "The first entry of the ledger is of"},
		"day before it":            {first.AddDate(0, 0, -1), []string{"--ledger", ledger}, 1, "has its first entry at"},
		"a ledger that is not one": {first, []string{"--ledger", t.TempDir()}, 2, "the checkpoint cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			cells, statement, _ := stated(t, test.since)
			var out bytes.Buffer
			code := run(append([]string{"statement", statement, "--directory", cells, "--at", test.since.AddDate(1, 0, 1).Format(time.RFC3339)}, test.args...), nil, &out, &out)
			if code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("ended with %d: %s", code, out.String())
			}
		})
	}
}

// firstDay is the day of the first entry of a ledger.
func firstDay(t *testing.T, ledger string) time.Time {
	t.Helper()
	cells, _, _ := stated(t, time.Now())
	f := cellFlags{directoryFlags{cells}, "eu"}
	cell, err := f.cell()
	if err != nil {
		t.Fatal(err)
	}
	fetch, closer, err := ledgerSource(ledger, "")
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	first, err := verify.FirstEntryTime(fetch, cell)
	if err != nil {
		t.Fatal(err)
	}
	return first.Truncate(24 * time.Hour)
}
