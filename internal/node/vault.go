//go:build unix

package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/headroom"
	"bonded/internal/journal"
	"bonded/internal/ledger"
	"bonded/internal/policy"
	"bonded/internal/regulation"
	"bonded/internal/remote"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
	"bonded/internal/vault/vaultsql"
	"bonded/internal/wire"
	"bonded/verify"
)

// heapHeadroom is how many bytes the heap grows between collections at least.
const heapHeadroom = 128 << 20

// A vaultNode is one running vault.
type vaultNode struct {
	dir   string
	conf  *VaultConfig
	in    *inputs
	id    *remote.Identity
	log   *slog.Logger
	cells *directoryFile
	cell  verify.DirectoryCell

	ledger     *ledger.Ledger
	db         *sqldb.DB
	journal    *journal.Journal
	stream     *stream
	line       vault.Line
	vault      *vault.Vault
	policy     atomic.Pointer[policy.Cache]
	gate       *gate
	face       *api.API
	law        *regulation.Table
	lawChanges time.Time // when a rule of law changes its status next; zero if none is known
	registry   *prometheus.Registry

	desk        *desk         // nil: the cell has no console
	door        *door         // nil: the cell takes no cases
	check       bool          // the operator's own files are to be checked, whatever is in force
	policyText  []byte        // in force
	grantsFile  []byte        // in force
	connections atomic.Uint64 // to the keyholder, made so far
}

// Options are what a start may add to the configuration.
type Options struct {
	// AcceptDirectory accepts the operator's directory as it is, by hand, in
	// place of the one in force.
	AcceptDirectory bool
}

// RunVault runs a vault with its ledger from its folder until ctx ends. It
// returns nil when it was asked to end, and an error when it must not go on.
func RunVault(ctx context.Context, dir string, o Options, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := &vaultNode{dir: dir, log: log, registry: prometheus.NewRegistry()}
	// 1. What the folder says, all of it before anybody else is asked.
	if err := n.configure(o); err != nil {
		return err
	}
	if err := n.adopt(); err != nil {
		return err
	}
	if err := seal.SelfTest(); err != nil {
		return err
	}
	// 2. The ledger, which asks its witnesses whether this is an old copy.
	if err := n.openLedger(ctx); err != nil {
		return err
	}
	defer n.closeLedger(ctx)
	// 3. The database, and in it the journal, held against the ledger.
	if err := n.openJournal(ctx); err != nil {
		return err
	}
	defer n.db.Close()
	if err := errors.Join(n.checkLedger(ctx), n.publishDirectory(ctx)); err != nil {
		return err
	}
	// 4. The vault over both, and the keyholder beside it.
	if err := n.openVault(ctx); err != nil {
		return err
	}
	defer n.vault.Close()
	if err := n.openFrontDoor(ctx); err != nil {
		return err
	}
	defer n.closeFrontDoor()
	if err := n.openConsole(ctx); err != nil {
		return err
	}
	defer n.closeConsole()
	// 5. Everything that runs until the end.
	return n.run(ctx)
}

// CheckVault reads everything in a vault's folder as a start would, and asks
// nobody.
func CheckVault(dir string, log *slog.Logger) error {
	return (&vaultNode{dir: dir, log: log, check: true}).configure(Options{})
}

func (n *vaultNode) configure(o Options) error {
	var err error
	if n.conf, err = LoadVaultConfig(n.dir); err != nil {
		return err
	}
	if o.AcceptDirectory {
		if err := n.acceptDirectory(); err != nil {
			return err
		}
	}
	if n.cells, err = openDirectory(n.source(inForceDirectory, n.conf.Directory)); err != nil {
		return err
	}
	d, _, _ := n.cells.get()
	c, ok := d.Cell(n.conf.Cell)
	if !ok {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "cell", Message: "the directory has no cell " + string(n.conf.Cell)}
	}
	n.cell = *c
	packs, err := regulation.Shipped()
	if err != nil {
		return err
	}
	if n.law, err = regulation.NewTable(packs); err != nil {
		return err
	}
	if err := n.loadPolicy(time.Now()); err != nil {
		return err
	}
	n.in, err = n.readInputs()
	return err
}

// loadPolicy compiles the policy set in force at a time.
func (n *vaultNode) loadPolicy(at time.Time) error {
	path := n.source(inForcePolicy, n.conf.Policy)
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the policy file cannot be read", Err: err}
	}
	set, err := policy.Compile(path, text, n.law.Forbids(at))
	if err != nil {
		return err
	}
	n.policyText = text
	n.lawChanges, _ = n.law.NextChange(at)
	if c := n.policy.Load(); c == nil || c.Set().Digest() != set.Digest() {
		n.policy.Store(policy.NewCache(set, policy.DefaultCacheSize))
	}
	return nil
}

func (n *vaultNode) grants() (*grant.Set, error) {
	path := n.source(inForceGrants, n.conf.Grants)
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the grants cannot be read", Err: err}
	}
	n.grantsFile = b
	return n.openGrants(path, b)
}

// openGrants reads a grant set of this cell.
func (n *vaultNode) openGrants(path string, file []byte) (*grant.Set, error) {
	d, _, _ := n.cells.get()
	admin, err := verify.DecodePublicKey(d.Admin)
	if err != nil {
		return nil, err
	}
	set, err := grant.Open(file, admin)
	if err != nil {
		return nil, err
	}
	if set.Cell != n.conf.Cell {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "these grants are for another cell"}
	}
	return set, nil
}

func (n *vaultNode) openLedger(ctx context.Context) error {
	var err error
	if n.id, err = n.identity(ctx); err != nil {
		return err
	}
	witnesses := remote.Pin{
		CA: n.authority(func(c *verify.DirectoryCell) string { return c.WitnessCA }), Cell: remote.CellWitness, Role: remote.RoleWitness,
	}
	n.ledger, err = ledger.Open(ctx, ledger.Config{
		Dir: filepath.Join(n.dir, "ledger"), Origin: n.in.origin, SignerKey: n.in.ledgerKey, Policy: []byte(n.cell.WitnessPolicy),
		HTTPClient: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			TLSClientConfig: remote.ClientTLS(n.id, witnesses), ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
		}},
		Logger: n.log,
	})
	if err != nil {
		return err
	}
	keyholder := remote.Pin{
		CA: n.authority(func(c *verify.DirectoryCell) string { return c.KeyholderCA }), Cell: n.conf.Cell, Role: remote.RoleKeyholder,
	}
	n.stream = newStream(n.cell.Keyholder, remote.ClientTLS(n.id, keyholder), n.log)
	n.line = vault.NewLine(n.stream)
	return nil
}

// authority reads one PEM of this cell from the directory in force.
func (n *vaultNode) authority(pem func(*verify.DirectoryCell) string) func() []byte {
	return n.cells.authority(func(d *verify.Directory) string {
		c, ok := d.Cell(n.conf.Cell)
		if !ok {
			return ""
		}
		return pem(c)
	})
}

func (n *vaultNode) identity(ctx context.Context) (*remote.Identity, error) {
	hosts := []string{"localhost"}
	for _, addr := range []string{n.conf.Listen, n.conf.ListenTLS} {
		if h, _, err := net.SplitHostPort(addr); err == nil && h != "" {
			hosts = append(hosts, h)
		}
	}
	return identity(ctx, n.dir, remote.Leaf{Cell: n.conf.Cell, Role: remote.RoleVault, Hosts: hosts}, n.log)
}

func (n *vaultNode) closeLedger(ctx context.Context) {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := n.ledger.Close(stop); err != nil {
		n.log.LogAttrs(stop, slog.LevelWarn, "ledger closed with entries unpublished", slog.Any("error", err))
	}
}

func (n *vaultNode) openJournal(ctx context.Context) error {
	var err error
	if n.db, err = sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(n.dir, "vault.db"), Logger: n.log}); err != nil {
		return err
	}
	n.journal, err = journal.Open(ctx, journal.Config{
		DB: n.db, Cell: n.conf.Cell, Node: n.conf.Node, PromiseKey: n.in.promise, Ledger: n.ledger,
		Facts: n.anchorFacts, OnAnchor: n.showAnchor, AnchorEvery: n.conf.AnchorEvery.Duration,
		AggregateEvery: min(journal.DefaultAggregateEvery, 10*n.conf.AnchorEvery.Duration), Logger: n.log,
	})
	if err != nil {
		return errors.Join(err, n.db.Close())
	}
	return nil
}

// anchorFacts says what the next anchor commits to beside its segments.
func (n *vaultNode) anchorFacts(ctx context.Context) (journal.AnchorFacts, error) {
	return n.vault.AnchorFacts(ctx)
}

// showAnchor forwards an anchor to the keyholder, which unlocks only while it
// sees fresh ones.
func (n *vaultNode) showAnchor(ctx context.Context, number uint64, a *wire.Anchor) error {
	p, err := verify.ParseTlogProof(a.Proof)
	if err != nil {
		return err
	}
	behind, done := context.WithTimeout(ctx, 10*time.Second)
	err = n.catchUp(behind, p.Index)
	done()
	if err != nil {
		n.log.LogAttrs(ctx, slog.LevelWarn, "the keyholder has not been shown the whole ledger; it goes on with the next anchor", slog.Any("error", err))
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	res, err := n.line.Anchor(ctx, a)
	if err != nil {
		return err
	}
	if len(res.Missing) > 0 {
		n.log.LogAttrs(ctx, slog.LevelError, "the keyholder misses rows for keys it released", slog.Int("rows", len(res.Missing)), slog.Uint64("anchor", number))
	}
	return n.showRest(ctx)
}

// showRest shows the keyholder what stands after the newest anchor: leaves of
// cases come between anchors, and its start check asks for all there is.
func (n *vaultNode) showRest(ctx context.Context) error {
	for range 3 { // more may come meanwhile; the next anchor goes on
		cp, err := n.ledger.Latest()
		if err != nil {
			return err
		}
		if err := n.catchUp(ctx, cp.Size); err != nil {
			return err
		}
		if now, err := n.ledger.Latest(); err != nil || now.Size == cp.Size {
			return err
		}
	}
	return nil
}

func (n *vaultNode) openVault(ctx context.Context) error {
	store, err := vaultsql.Open(ctx, n.db, n.journal)
	if err != nil {
		return err
	}
	announcer, err := openAnnouncer(ctx, n, store)
	if err != nil {
		return err
	}
	d, raw, _ := n.cells.get()
	n.vault, err = vault.Open(ctx, vault.Config{
		Cell: n.conf.Cell, Suite: n.in.suite, Version: Version, Schema: n.in.schema, Store: store, Journal: n.journal,
		Keys: n.line, KeyholderKey: n.in.keyholder, IndexMaster: n.in.index, Policy: n.policy.Load(), Routes: n.law,
		Directory: d, DirectoryDigest: verify.DirectoryDigest(raw), Grants: n.in.grants, JobGrant: jobGrant(n.in.grants),
		FrontDoorGrant: frontDoorGrant(n.in.grants), Contact: vault.Contact(n.conf.Contact), Undo: n.conf.UndoWindow.Duration,
		Freshness: n.conf.Freshness.Duration, RequireProof: n.conf.RequireProof, LedgerSize: n.ledgerSize,
		Waiting: func() []apitype.WaitingChange { return *announcer.waiting.Load() }, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.gate, err = n.openGate(ctx, announcer)
	return err
}

func jobGrant(s *grant.Set) string {
	for i := range s.Grants {
		if s.Grants[i].Job {
			return s.Grants[i].ID
		}
	}
	return ""
}

// frontDoorGrant returns the grant under which the vault asks for cases.
func frontDoorGrant(s *grant.Set) string {
	for i := range s.Grants {
		if slices.Contains(s.Grants[i].Roles, "front_door") {
			return s.Grants[i].ID
		}
	}
	return ""
}

func (n *vaultNode) ledgerSize() uint64 {
	cp, err := n.ledger.Latest()
	if err != nil {
		return 0
	}
	return uint64(cp.Size) //nolint:gosec // a size is not negative
}

// run starts what runs beside the vault and waits for the first that ends.
func (n *vaultNode) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	_, raw, _ := n.cells.get()
	var cases api.Cases
	if n.door != nil {
		cases = n.door.service
	}
	var pages api.Console
	if n.desk != nil {
		pages = n.desk.pages
	}
	face, err := api.New(api.Config{
		Service: n.vault, Cases: cases, Console: pages, Cell: n.conf.Cell, Directory: raw, Registry: n.registry, Logger: n.log,
		Limits: api.Limits{InFlight: n.conf.InFlight, PerSecond: float64(n.conf.RatePerMin) / 60, Burst: n.conf.RatePerMin / 60},
	})
	if err != nil {
		return err
	}
	n.face = face
	mux := http.NewServeMux()
	mux.Handle("/", face)
	mux.Handle("/ledger/", http.StripPrefix("/ledger", n.ledger.Handler()))
	if n.door != nil {
		pages, err := n.officersPages()
		if err != nil {
			return err
		}
		mux.Handle("/officers/", pages)
	}
	n.serveConsole(ctx, g, mux)

	g.Go(func() error { headroom.Keep(ctx, heapHeadroom); return nil })
	g.Go(func() error { n.stream.run(ctx); return nil })
	g.Go(func() error { return n.journal.Run(ctx) })
	g.Go(func() error { return n.vault.Run(ctx) })
	g.Go(func() error { return n.reconnects(ctx) })
	g.Go(func() error { return n.reloadLoop(ctx) })
	g.Go(func() error { return n.watchDisk(ctx) })
	n.runFrontDoor(ctx, g)
	g.Go(func() error { return serveHTTP(ctx, n.conf.Listen, nil, mux, n.log) })
	if n.conf.ListenTLS != "" {
		conf := &tls.Config{
			MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, // known by the hash of its key in the grants
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return n.id.Certificate() },
		}
		g.Go(func() error { return serveHTTP(ctx, n.conf.ListenTLS, conf, mux, n.log) })
	}
	if n.conf.Metrics != "" {
		m := http.NewServeMux()
		m.Handle("GET /metrics", face.MetricsHandler())
		g.Go(func() error { return serveHTTP(ctx, n.conf.Metrics, nil, m, n.log) })
	}
	n.log.LogAttrs(ctx, slog.LevelInfo, "vault listening", slog.String("cell", string(n.conf.Cell)), slog.String("address", n.conf.Listen), slog.String("version", Version))
	return g.Wait()
}

// reconnects tells the vault of each new connection, so that it compares
// books before it asks for keys.
func (n *vaultNode) reconnects(ctx context.Context) error {
	for {
		select {
		case <-n.stream.Up():
			n.connections.Add(1)
			n.vault.Reconnected()
		case <-ctx.Done():
			return nil
		}
	}
}

// reloadLoop takes up changed grants, policy and directory without a restart,
// and policies again when a rule of law changes its status.
func (n *vaultNode) reloadLoop(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		n.gate.tick(ctx)
		if now := time.Now(); !n.lawChanges.IsZero() && !now.Before(n.lawChanges) {
			err := n.loadPolicy(now)
			if err == nil {
				n.vault.SetPolicy(n.policy.Load())
			}
			n.gate.report(ctx, "policy under the law of today", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// watchDisk stops the vault when the disk has failed so that reads may lie.
func (n *vaultNode) watchDisk(ctx context.Context) error {
	select {
	case err := <-n.db.Fatal():
		return fmt.Errorf("the database's disk has failed: %w", err)
	case err := <-n.ledger.Fatal():
		return fmt.Errorf("the ledger's disk has failed: %w", err)
	case <-ctx.Done():
		return nil
	}
}
