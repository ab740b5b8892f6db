//go:build unix

package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/casebook"
	"bonded/internal/frontdoor"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/ledger"
	"bonded/internal/notice"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/internal/succession"
	"bonded/verify"
)

// A FrontDoorConfig is the section frontdoor of vault.yaml. Without it the
// cell takes no cases.
type FrontDoorConfig struct {
	Place       string          `yaml:"place"`        // the cell as people know it, for notices; absent: its first jurisdiction
	LedgerURL   string          `yaml:"ledger_url"`   // where people check an entry; absent: the ledger address of the directory
	Slot        Duration        `yaml:"slot"`         // between slots of the ledger of cases; absent: 60s. It cannot change later
	PerSlot     int             `yaml:"per_slot"`     // leaves of every slot; absent: 4. It cannot change later
	Horizon     Duration        `yaml:"horizon"`      // from a slot to the date at which its leaves open; absent: 2160h. It cannot change later
	PackageLife Duration        `yaml:"package_life"` // of a scope and its release package; absent: 720h
	DraftLife   Duration        `yaml:"draft_life"`   // in which the documents of a request come; absent: 24h
	Officers    string          `yaml:"officers"`     // folder with the program of the officers' pages; absent: that of the running program
	Rules       rules.Overrides `yaml:"rules"`        // what the pack leaves to the cell
	Notice      notice.Config   `yaml:"notice" required:"true"`
}

// A door is the front door of a running vault.
type door struct {
	db      *sqldb.DB
	book    *casebook.Book
	service *frontdoor.Service
	rules   *rules.Rules
}

// openFrontDoor opens the ledger of cases and the front door over the vault.
func (n *vaultNode) openFrontDoor(ctx context.Context) error {
	c := n.conf.FrontDoor
	if c == nil {
		return nil
	}
	// 1. What the folder says.
	key, err := secret(n.dir, "cases.key", seal.KeySize)
	if err != nil {
		return err
	}
	cases, err := seal.KeyFromBytes(key)
	clear(key)
	if err != nil {
		return err
	}
	pack, err := rules.Shipped()
	if err != nil {
		return err
	}
	if pack, err = pack.With(c.Rules); err != nil {
		return err
	}
	sender, err := notice.New(c.Notice, n.dir, time.Now)
	if err != nil {
		return err
	}
	d, raw, _ := n.cells.get()
	admin, err := verify.DecodePublicKey(d.Admin)
	if err != nil {
		return err
	}
	// 2. Its database, with the ledger of cases in it.
	door := &door{rules: pack}
	if door.db, err = sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(n.dir, "cases.db"), Logger: n.log}); err != nil {
		return err
	}
	door.book, err = casebook.Open(ctx, casebook.Config{
		DB: door.db, Cell: n.conf.Cell, Ledger: n.ledger, Slot: c.Slot.Duration, PerSlot: c.PerSlot, Horizon: c.Horizon.Duration, Logger: n.log,
	})
	if err != nil {
		return errors.Join(err, door.db.Close())
	}
	// 3. The service.
	place, url := c.Place, c.LedgerURL
	if place == "" {
		place = string(n.cell.Jurisdictions[0])
	}
	if url == "" {
		url = n.cell.Ledger
	}
	waiting := n.conf.WaitingTime.Duration
	if waiting == 0 {
		waiting = -1 // none, in place of the default
	}
	door.service, err = frontdoor.New(ctx, frontdoor.Config{
		Cell: n.conf.Cell, Jurisdiction: n.cell.Jurisdictions[0], Place: place, DB: door.db, Book: frontdoor.Casebook(door.book), Records: n.vault.Records(),
		Clock: witnessClock{n.ledger}, Rules: pack, Key: cases, Admin: admin, Packages: filepath.Join(n.dir, "packages"),
		Suite: n.cell.Suite, Directory: verify.DirectoryDigest(raw), Sign: n.signPackage, Notices: sender, LedgerURL: url,
		Principal: n.callsTheVault,
		Custody:   n.custodyInForce, Waiting: waiting, PackageLife: c.PackageLife.Duration, DraftLife: c.DraftLife.Duration, Refused: n.vault.CountRefused, Logger: n.log,
	})
	if err != nil {
		return errors.Join(err, door.db.Close())
	}
	n.door = door
	return nil
}

// callsTheVault reports whether something has a key of the API under an id.
// Grants without any are for people of the console, and may wait for them.
func (n *vaultNode) callsTheVault(id string) bool {
	g, ok := n.vault.Grant(id)
	return ok && (g.Key != "" || g.BearerHash != "" || g.CertSPKI != "")
}

// closeFrontDoor closes what openFrontDoor opened.
func (n *vaultNode) closeFrontDoor() {
	if n.door != nil {
		_ = n.door.db.Close() // everything acknowledged is durable
	}
}

// runFrontDoor adds what the front door does beside the vault.
func (n *vaultNode) runFrontDoor(ctx context.Context, g *errgroup.Group) {
	if n.door == nil {
		return
	}
	g.Go(func() error { return n.door.book.Run(ctx) })
	g.Go(func() error { return n.door.service.Run(ctx) })
	g.Go(func() error {
		select {
		case err := <-n.door.db.Fatal():
			return bonded.Wrap(bonded.CodeNotWritable, err, "the disk of the cases has failed")
		case <-ctx.Done():
			return nil
		}
	})
}

// signPackage signs the end of a release package as the vault.
func (n *vaultNode) signPackage(message []byte) []byte { return ed25519.Sign(n.in.promise, message) }

// custodyInForce hands the custodians' key sets on: the keyholder checks
// approvals by them, and the vault seals quorum fields under their release
// key.
func (n *vaultNode) custodyInForce(ctx context.Context, chain *apitype.CustodyChain) error {
	links := make([]succession.Link, len(chain.Certificates))
	for i := range chain.Certificates {
		l := &chain.Certificates[i]
		links[i] = succession.Link{Certificate: l.Certificate, Proof: []byte(l.Proof)}
		var err error
		if links[i].Opening, err = json.Marshal(l.Opening); err != nil {
			return err
		}
		if l.Order != nil {
			links[i].Order = l.Order.Encode()
		}
	}
	return n.vault.SetCustody(ctx, links)
}

// witnessClock is the time of this machine, and that of the witnesses.
type witnessClock struct{ ledger *ledger.Ledger }

// Now implements handover.Clock.
func (witnessClock) Now() time.Time { return time.Now() }

// Witnessed implements handover.Clock.
func (c witnessClock) Witnessed() (time.Time, error) {
	cp, err := c.ledger.Latest()
	if err != nil {
		return time.Time{}, err
	}
	return cp.WitnessTime(), nil
}
