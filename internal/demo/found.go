//go:build unix

package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bonded"
	"bonded/internal/foundation"
	"bonded/internal/remote"
)

// quorumField is the field that only a quorum of custodians opens in the demo.
const quorumField = "birth_date"

// found sets up the front door of the default cell: custodians, their first
// ceremony, the people who lead a case. From then on one field is in custody
// of the quorum.
func (s *story) found(ctx context.Context) error {
	cell := s.d.Directory.Default
	s.founder = foundation.New(s.d, s.Bin, cell)
	wait, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	began := time.Now()
	if err := s.founder.Found(wait); err != nil {
		return err
	}
	admin, err := s.founder.Admin()
	if err != nil {
		return err
	}
	chain, err := admin.Custody(wait)
	if err != nil {
		return err
	}
	for _, r := range []string{"firm", "independent"} {
		s.line("custodians of the "+r+" role", fmt.Sprintf("%d of %d are needed", s.founder.Plan.Thresholds[r], s.members(r)))
	}
	s.line("the ceremony's certificate is in the ledger, entry", chain.Certificates[0].Opening.Index)
	s.line("in the register, each confirmed by an independent custodian", fmt.Sprintf("%d people", len(s.founder.Plan.People)+len(s.founder.Plan.Custodians)))
	s.line("ceremony and register took", time.Since(began).Round(100*time.Millisecond))
	// Custodians run by themselves from here on.
	for _, c := range s.founder.Plan.Custodians {
		if err := s.d.StartCustodian(cell, c.ID, s.Bin); err != nil {
			return err
		}
	}
	return s.underQuorum(wait, cell)
}

func (s *story) members(role string) int {
	n := 0
	for _, c := range s.founder.Plan.Custodians {
		if c.Role == role {
			n++
		}
	}
	return n
}

// underQuorum puts a field of the schema in custody of the quorum, which needs
// a start of the vault.
func (s *story) underQuorum(ctx context.Context, cell bonded.CellID) error {
	path := filepath.Join(s.d.Layout.Vault(cell), "schema.yaml")
	old, err := os.ReadFile(path) //nolint:gosec // inside the deployment
	if err != nil {
		return err
	}
	next := bytes.Replace(old, []byte(quorumField+":     {type: string, class: personal, mask: all}"),
		[]byte(quorumField+":     {type: string, class: personal, custody: quorum}"), 1)
	if bytes.Equal(old, next) {
		return bonded.Errorf(bonded.CodeInternal, "the schema has no field %s to put in custody", quorumField)
	}
	p := s.d.Process(string(cell) + "/vault")
	if err := p.Stop(); err != nil {
		return err
	}
	if err := remote.WriteFile(path, next); err != nil {
		return err
	}
	if err := p.Restart(); err != nil {
		return err
	}
	if err := s.d.Ready(ctx, cell); err != nil {
		return err
	}
	s.line("in custody of the quorum from now on, for everybody", quorumField)
	return nil
}
