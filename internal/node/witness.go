//go:build unix

package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"bonded"
	"bonded/internal/remote"
	"bonded/internal/witness"
)

// RunWitness runs a witness from its folder until ctx ends.
func RunWitness(ctx context.Context, dir string, log *slog.Logger) error {
	// 1. Configuration, directory, certificate.
	c, err := LoadWitnessConfig(dir)
	if err != nil {
		return err
	}
	cells, err := openDirectory(resolve(dir, c.Directory))
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "listen", Message: "not host:port"}
	}
	id, err := identity(ctx, dir, remote.Leaf{Cell: remote.CellWitness, Role: remote.RoleWitness, Hosts: []string{host}}, log)
	if err != nil {
		return err
	}
	// 2. The logs it cosigns are those of the directory.
	d, _, _ := cells.get()
	logs := map[string]string{}
	for i := range d.Cells {
		key := d.Cells[i].LedgerKey
		v, err := note.NewVerifier(key)
		if err != nil {
			return &bonded.Error{Code: bonded.CodeConfig, Field: "ledger_key", Message: "the directory has a malformed ledger key for cell " + string(d.Cells[i].ID)}
		}
		logs[v.Name()] = key
	}
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "witness.key"), c.Name)
	if err != nil {
		return err
	}
	w, err := witness.New(witness.Config{Dir: filepath.Join(dir, "state"), Key: key, Logs: logs, Logger: log})
	if err != nil {
		return err
	}
	defer w.Close()
	log.LogAttrs(ctx, slog.LevelInfo, "witness listening", slog.String("name", c.Name), slog.String("address", c.Listen), slog.Int("logs", len(logs)))
	return serveHTTP(ctx, c.Listen, anyVault(id, cells), w.Handler(), log)
}

// anyVault accepts the vault of every cell in the directory.
func anyVault(id *remote.Identity, cells *directoryFile) *tls.Config {
	conf := remote.ServerTLS(id, remote.Pin{})
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		d, _, err := cells.get()
		if d == nil {
			return err
		}
		var errs []error
		for i := range d.Cells {
			c := &d.Cells[i]
			pin := remote.Pin{CA: func() []byte { return []byte(c.VaultCA) }, Cell: c.ID, Role: remote.RoleVault}
			err := remote.ServerTLS(id, pin).VerifyConnection(s)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return conf
}
