//go:build unix

package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bonded"
	"bonded/internal/console"
	"bonded/internal/locale"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// A ConsoleConfig is the section console of vault.yaml. Without it the cell has
// no pages for people.
type ConsoleConfig struct {
	Origin string      `yaml:"origin" required:"true"` // as browsers have it: scheme://host[:port]
	OIDC   *OIDCConfig `yaml:"oidc"`                   // absent: people sign in with passkeys only
}

// An OIDCConfig names an identity provider by which people may sign in
// besides, to read.
type OIDCConfig struct {
	Issuer           string            `yaml:"issuer" required:"true"`
	ClientID         string            `yaml:"client_id" required:"true"`
	ClientSecretFile string            `yaml:"client_secret_file"`     // absent: a public client
	Claim            string            `yaml:"claim" required:"true"`  // of the id token, that says who it is
	People           map[string]string `yaml:"people" required:"true"` // value of the claim → id in the register
}

// validate checks the section beside the front door's.
func (c *ConsoleConfig) validate(frontDoor bool) error {
	if c == nil {
		return nil
	}
	bad := func(message, hint string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "console.origin", Message: message, Hint: hint}
	}
	u, err := url.Parse(c.Origin)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != c.Origin:
		return bad("not an origin", "scheme and host as browsers have them, without a path: https://console.example.org")
	case net.ParseIP(u.Hostname()) != nil:
		return bad("passkeys are bound to a name, not to an address", "use localhost on this machine, or a name")
	case u.Scheme == "http" && u.Hostname() != "localhost":
		return bad("plain HTTP is for localhost only", "use https")
	case !frontDoor:
		return bad("a console is for a cell with a front door: its people are those of the register", "add the section frontdoor")
	}
	return nil
}

// A desk is the console of a running vault, with its database.
type desk struct {
	db    *sqldb.DB
	pages *console.Console
}

// openConsole opens the console over vault and front door.
func (n *vaultNode) openConsole(ctx context.Context) error {
	c := n.conf.Console
	if c == nil {
		return nil
	}
	words, err := locale.Shipped()
	if err != nil {
		return err
	}
	idp, err := n.identityProvider(c.OIDC)
	if err != nil {
		return err
	}
	d := new(desk)
	if d.db, err = sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(n.dir, "console.db"), Logger: n.log}); err != nil {
		return err
	}
	d.pages, err = console.New(ctx, console.Config{
		Cell: n.conf.Cell, Origin: c.Origin, DB: d.db, Cases: n.door.service, Vault: n.vault, Ledger: n.ledger,
		Directory: func() *verify.Directory { d, _, _ := n.cells.get(); return d },
		Grant:     n.vault.Grant, Locale: words, OIDC: idp, Undo: n.conf.UndoWindow.Duration, Now: time.Now, Logger: n.log,
	})
	if err != nil {
		return errors.Join(err, d.db.Close())
	}
	n.desk = d
	return nil
}

func (n *vaultNode) identityProvider(c *OIDCConfig) (*console.OIDC, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // absent is no error here
	}
	out := &console.OIDC{Issuer: c.Issuer, ClientID: c.ClientID, Claim: c.Claim, People: c.People}
	if c.ClientSecretFile == "" {
		return out, nil
	}
	path := resolve(n.dir, c.ClientSecretFile)
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the client secret cannot be read", Err: err}
	}
	out.ClientSecret = strings.TrimSpace(string(b))
	return out, nil
}

// closeConsole closes what openConsole opened.
func (n *vaultNode) closeConsole() {
	if n.desk != nil {
		_ = n.desk.db.Close() // everything acknowledged is durable
	}
}

// serveConsole puts the console beside the API, and watches its disk.
func (n *vaultNode) serveConsole(ctx context.Context, g *errgroup.Group, mux *http.ServeMux) {
	if n.desk == nil {
		return
	}
	mux.Handle("/console/", n.desk.pages)
	mux.Handle("/static/", n.desk.pages)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	g.Go(func() error {
		select {
		case err := <-n.desk.db.Fatal():
			return bonded.Wrap(bonded.CodeNotWritable, err, "the disk of the console has failed")
		case <-ctx.Done():
			return nil
		}
	})
}
