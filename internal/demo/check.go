//go:build unix

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
)

// check runs bonded-verify on what the cells show, as an outsider would.
func (s *story) check(ctx context.Context) error {
	proofs := filepath.Join(s.dir, "proofs")
	if err := os.MkdirAll(proofs, 0o700); err != nil {
		return err
	}
	directory := s.d.Layout.Directory()
	for _, id := range slices.Sorted(maps.Keys(s.app)) {
		c, ok := s.d.Directory.Cell(id)
		if !ok {
			continue
		}
		// 1. A receipt of an opening made now.
		receipt := filepath.Join(proofs, string(id)+"-receipt.json")
		if err := s.writeReceipt(ctx, id, receipt); err != nil {
			return err
		}
		if err := s.verify(ctx, id, "receipt", receipt, "--directory", directory); err != nil {
			return err
		}
		// 2. The whole ledger, over HTTP.
		if err := s.verify(ctx, id, "ledger", c.Ledger, "--directory", directory, "--cell", string(id)); err != nil {
			return err
		}
		// 3. Both parties' books against each other.
		journal, book := filepath.Join(proofs, string(id)+"-journal.jsonl"), filepath.Join(proofs, string(id)+"-book.jsonl")
		if err := s.exportBooks(ctx, id, journal, book); err != nil {
			return err
		}
		if err := s.verify(ctx, id, "reconcile", "--journal", journal, "--book", book, "--directory", directory, "--cell", string(id), "--ledger", c.Ledger); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) writeReceipt(ctx context.Context, id bonded.CellID, path string) error {
	who := s.people.of(id)
	res, err := s.app[id].Find(ctx, client.FindRequest{Collection: "users", Where: map[string]string{"person_id": who.id}})
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := s.app[id].AwaitReceipt(wait, client.ReceiptRequest{Entry: res.Entry})
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	return errors.Join(err, os.WriteFile(path, b, 0o600))
}

func (s *story) exportBooks(ctx context.Context, id bonded.CellID, journal, book string) error {
	auditor, err := s.client(deploy.PrincipalAuditor, id, "audit")
	if err != nil {
		return err
	}
	// The keyholder's book first: what the vault enters later is then not
	// taken for entries without a release.
	out, err := exec.CommandContext(ctx, filepath.Join(s.Bin, "bonded-keyholder"), "log", s.d.Layout.Keyholder(id), "export", book).CombinedOutput() //nolint:gosec // our own program
	if err != nil {
		return fmt.Errorf("export the keyholder's book: %w: %s", err, bytes.TrimSpace(out))
	}
	f, err := os.OpenFile(journal, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // inside the deployment
	if err != nil {
		return err
	}
	_, err = auditor.ExportJournal(ctx, client.Why{}, f)
	return errors.Join(err, f.Close())
}

// verify runs bonded-verify and shows what it said.
func (s *story) verify(ctx context.Context, id bonded.CellID, args ...string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(s.Bin, "bonded-verify"), args...).CombinedOutput() //nolint:gosec // our own program
	s.printf("   %s: bonded-verify %s\n", id, args[0])
	for line := range strings.Lines(string(out)) {
		s.printf("      %s\n", strings.TrimRight(line, "\n"))
	}
	if err != nil {
		return fmt.Errorf("bonded-verify %s: %w", args[0], err)
	}
	return nil
}
