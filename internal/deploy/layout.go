package deploy

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"bonded"
)

// Cause returns what the system said of a file, without the path it repeats,
// for messages that name the path themselves.
func Cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// A Layout is the folder of a deployment on one machine:
//
//	cells.json, cells.json.sig   the directory
//	admin/                       the firm's administrator: its key, the signed grant sets
//	keys/                        credentials of principals
//	CELL/vault, CELL/keyholder   the parties of a cell
//	CELL/custodians/ID           its custodians, if it has a front door
//	people/                      keys of those who act at the front doors
//	witness-1 … witness-3        witnesses
type Layout struct{ Dir string }

// Directory returns the path of cells.json.
func (l Layout) Directory() string { return filepath.Join(l.Dir, "cells.json") }

// Admin returns the administrator's folder.
func (l Layout) Admin() string { return filepath.Join(l.Dir, "admin") }

// Keys returns the folder of credentials.
func (l Layout) Keys() string { return filepath.Join(l.Dir, "keys") }

// Credential returns the path of a principal's credential.
func (l Layout) Credential(principal string) string {
	return filepath.Join(l.Keys(), principal+".json")
}

// Vault returns a vault's folder.
func (l Layout) Vault(cell bonded.CellID) string { return filepath.Join(l.Dir, string(cell), "vault") }

// Keyholder returns a keyholder's folder.
func (l Layout) Keyholder(cell bonded.CellID) string {
	return filepath.Join(l.Dir, string(cell), "keyholder")
}

// Custodians returns the folder of a cell's custodians, one folder each.
func (l Layout) Custodians(cell bonded.CellID) string {
	return filepath.Join(l.Dir, string(cell), "custodians")
}

// Custodian returns a custodian's folder.
func (l Layout) Custodian(cell bonded.CellID, id string) string {
	return filepath.Join(l.Custodians(cell), id)
}

// CustodianPassphrase returns where a custodian on this machine finds its
// passphrase.
func (l Layout) CustodianPassphrase(cell bonded.CellID, id string) string {
	return filepath.Join(l.Custodians(cell), id+".passphrase")
}

// People returns the folder with the keys of those who act at the front doors.
func (l Layout) People() string { return filepath.Join(l.Dir, "people") }

// Person returns the path of the key of somebody who acts at the front door of
// a cell.
func (l Layout) Person(cell bonded.CellID, id string) string {
	return filepath.Join(l.People(), string(cell)+"-"+id+".json")
}

// AdminKey reads the administrator's key, which also orders the first ceremony
// and signs the first entries of the register.
func (l Layout) AdminKey() (ed25519.PrivateKey, error) { return l.adminKey() }

// Witness returns the folder of witness n, from 1.
func (l Layout) Witness(n int) string { return filepath.Join(l.Dir, "witness-"+strconv.Itoa(n)) }
