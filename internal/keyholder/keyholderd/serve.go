package keyholderd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bonded"
	"bonded/internal/headroom"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/keyholdersql"
	"bonded/internal/passphrase"
	"bonded/internal/remote"
	"bonded/internal/wire"
)

// heapHeadroom is how many bytes the heap grows between collections at least.
const heapHeadroom = 64 << 20

// ServeOptions are what a start may add to the configuration.
type ServeOptions struct {
	AcceptDirectory bool             // the directory in the folder is accepted as it is, by hand
	PassphraseFile  string           // unseals at the start; overrides the configuration's
	Reload          <-chan os.Signal // each value makes files be read again at once; may be nil
	Log             *slog.Logger
	Now             func() time.Time // nil means time.Now
}

// A daemon is a running keyholder.
type daemon struct {
	dir    string
	conf   *Config
	log    *slog.Logger
	now    func() time.Time
	driver *keyholder.FileDriver
	k      *keyholder.Keyholder
	files  *watched
	stop   context.CancelFunc

	unsealMu sync.Mutex
}

// Serve runs the keyholder of a folder until ctx ends. It starts sealed, and
// unseals itself if a passphrase file is given or configured.
func Serve(ctx context.Context, dir string, o ServeOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &daemon{dir: dir, log: o.Log, now: o.Now, stop: cancel}
	if d.now == nil {
		d.now = time.Now
	}
	var err error
	// 1. Configuration and database; the database's lock keeps a second process out.
	if d.conf, err = LoadConfig(dir); err != nil {
		return err
	}
	store, err := keyholdersql.Open(ctx, filepath.Join(dir, "keyholder.db"), o.Log)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // everything acknowledged is durable

	// 2. The keyholder, sealed, with directory and policy.
	d.driver = keyholder.OpenFileDriver(filepath.Join(dir, "driver.key"))
	d.k, err = keyholder.New(keyholder.Config{
		Cell: d.conf.Cell, Store: store, Driver: d.driver, Keyring: keyringFile(filepath.Join(dir, "keyring.json")),
		Progress: keyringFile(filepath.Join(dir, "progress.json")), Limits: d.conf.limits(), Now: d.now, Log: o.Log,
	})
	if err != nil {
		return err
	}
	defer d.k.Close()
	if d.files, err = newWatched(d, o.AcceptDirectory); err != nil {
		return err
	}

	// 3. Unseal, if the passphrase is at hand.
	pass := o.PassphraseFile
	if pass == "" && d.conf.PassphraseFile != "" {
		pass = at(dir, d.conf.PassphraseFile)
	}
	if pass != "" {
		secret, err := passphrase.ReadFile(pass)
		if err != nil {
			return err
		}
		err = d.unseal(ctx, func() error { return d.driver.UnlockPassphrase(secret) })
		clear(secret)
		if err != nil {
			return err
		}
	}

	// 4. Listeners, then serve until the end.
	line, err := d.listenLine(ctx)
	if err != nil {
		return err
	}
	local, err := listenLocal(dir)
	if err != nil {
		_ = line.Close()
		return err
	}
	state := "unsealed"
	if d.k.Sealed() {
		state = "sealed"
	}
	ready := fmt.Sprintf("keyholder of cell %s listening on %s, %s", d.conf.Cell, line.Addr(), state)
	o.Log.LogAttrs(ctx, slog.LevelInfo, ready) //nolint:sloglint // the one line that people and scripts wait for
	return d.run(ctx, line, local, store.Fatal(), o.Reload)
}

func (d *daemon) run(ctx context.Context, line, local net.Listener, fatal <-chan error, reload <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	serve := func(ln net.Listener, h remote.Handler) {
		wg.Go(func() {
			if err := remote.Serve(ctx, ln, h, d.log); err != nil {
				cancel(err)
			}
		})
	}
	serve(line, d.handleVault)
	serve(local, d.handleLocal)
	wg.Go(func() { d.files.watch(ctx, reload) })
	wg.Go(func() { headroom.Keep(ctx, heapHeadroom) })
	select {
	case <-ctx.Done():
	case err := <-fatal:
		// A disk that failed to flush can lie to later reads.
		cancel(fmt.Errorf("database: %w", err))
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listenLine opens the line to the vault.
func (d *daemon) listenLine(ctx context.Context) (net.Listener, error) {
	tlsDir := filepath.Join(d.dir, "tls")
	host, _, err := net.SplitHostPort(d.conf.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ca, err := remote.OpenAuthority(tlsDir)
	switch {
	case err == nil:
		if err := remote.KeepIssued(ctx, ca, tlsDir, leaf(d.conf.Cell, host), d.log); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist): // else certificates come from elsewhere
		return nil, err
	}
	id, err := remote.OpenIdentity(tlsDir)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the certificate in tls/ cannot be used")
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.conf.Listen)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "cannot listen on "+d.conf.Listen)
	}
	return remote.Listen(ln, remote.ServerTLS(id, remote.Pin{CA: d.files.vaultCA, Cell: d.conf.Cell, Role: remote.RoleVault, Now: d.now})), nil
}

// handleVault serves a vault of this cell.
func (d *daemon) handleVault(ctx context.Context, _ remote.Peer, kind byte, payload []byte) func() ([]byte, error) {
	return d.k.Handle(ctx, wire.Message(kind), payload)
}

// unseal unlocks the driver and unseals; one attempt at a time. On failure the
// driver is locked again.
func (d *daemon) unseal(ctx context.Context, unlock func() error) error {
	d.unsealMu.Lock()
	defer d.unsealMu.Unlock()
	if !d.k.Sealed() {
		return nil
	}
	if err := unlock(); err != nil {
		return err
	}
	if err := d.k.Unseal(ctx); err != nil {
		d.driver.Lock()
		return err
	}
	d.files.installGrants(ctx)
	return nil
}

// keyringFile is a [keyholder.KeyringStore] in one file.
type keyringFile string

func (f keyringFile) Load() ([]byte, error)  { return os.ReadFile(string(f)) }
func (f keyringFile) Save(file []byte) error { return remote.WriteFile(string(f), file) }
