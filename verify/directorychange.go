package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"bonded"
)

// A DirectoryChange is one member of a directory that another version has
// differently. An empty text stands for nothing.
type DirectoryChange struct {
	Cell     bonded.CellID // empty: of the directory itself
	Member   string        // as the file names it
	Old, New string        // certificates as the SHA-256 of their PEM
}

// CompareDirectories returns what is different in next, in the order of
// the file: of each party its addresses and keys, and whom it counts as
// witness. A cell that is new or gone has all its members.
func CompareDirectories(old, next *Directory) []DirectoryChange {
	var list []DirectoryChange
	add := func(cell bonded.CellID, member, o, n string) {
		if o != n {
			list = append(list, DirectoryChange{cell, member, o, n})
		}
	}
	add("", "version", strconv.FormatUint(old.Version, 10), strconv.FormatUint(next.Version, 10))
	add("", "issued", old.Issued, next.Issued)
	add("", "admin", old.Admin, next.Admin)
	add("", "default", string(old.Default), string(next.Default))
	cells := func(id bonded.CellID) {
		o, _ := old.Cell(id)
		n, _ := next.Cell(id)
		before, after := cellMembers(o), cellMembers(n)
		for i := range before {
			add(id, before[i][0], before[i][1], after[i][1])
		}
	}
	for i := range old.Cells {
		cells(old.Cells[i].ID)
	}
	for i := range next.Cells {
		if _, ok := old.Cell(next.Cells[i].ID); !ok {
			cells(next.Cells[i].ID)
		}
	}
	return list
}

// cellMembers returns name and text of each member of c, which may be nil.
func cellMembers(c *DirectoryCell) [][2]string {
	if c == nil {
		c = new(DirectoryCell)
	}
	var laws []string
	for _, j := range c.Jurisdictions {
		laws = append(laws, string(j))
	}
	pem := func(text string) string {
		if text == "" {
			return ""
		}
		d := sha256.Sum256([]byte(text))
		return "SHA-256 " + hex.EncodeToString(d[:])
	}
	return [][2]string{
		{"id", string(c.ID)},
		{"jurisdictions", strings.Join(laws, ", ")},
		{"suite", c.Suite},
		{"api", c.API},
		{"api_tls", c.APITLS},
		{"ledger", c.Ledger},
		{"ledger_key", c.LedgerKey},
		{"witness_policy", c.WitnessPolicy},
		{"promise_key", c.PromiseKey},
		{"keyholder_key", c.KeyholderKey},
		{"keyholder_hpke", c.KeyholderHPKE},
		{"keyholder", c.Keyholder},
		{"vault_ca", pem(c.VaultCA)},
		{"keyholder_ca", pem(c.KeyholderCA)},
		{"witness_ca", pem(c.WitnessCA)},
	}
}
