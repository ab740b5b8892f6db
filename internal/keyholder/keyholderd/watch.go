package keyholderd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/policy"
	"bonded/internal/regulation"
	"bonded/verify"
)

// watchEvery is how often changed files are looked for.
const watchEvery = time.Second

// watched takes up changes of directory, policy and grants. A file that cannot
// be taken up is logged once, and what was in force stays.
type watched struct {
	d     *daemon
	table *regulation.Table

	mu     sync.Mutex
	ca     []byte
	seen   [3][]byte // directory with signature, policy, grants: as last tried
	day    string    // of the law last tried
	err    error     // of taking up what was last tried
	failed map[string]string
}

// newWatched reads directory and policy, both of which must be good.
func newWatched(d *daemon) (*watched, error) {
	packs, err := regulation.Shipped()
	if err != nil {
		return nil, fmt.Errorf("read regulation packs: %w", err)
	}
	w := &watched{d: d, failed: map[string]string{}}
	if w.table, err = regulation.NewTable(packs); err != nil {
		return nil, fmt.Errorf("read regulation packs: %w", err)
	}
	return w, w.takeUp()
}

func (w *watched) vaultCA() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ca
}

// takeUp reads directory and policy and puts them in force if they changed.
// What failed fails again, without being tried, until a file changes.
func (w *watched) takeUp() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.err = err }()
	c := w.d.conf
	dirPath, policyPath := at(w.d.dir, c.Directory), at(w.d.dir, c.Policy)
	file, err := readNeeded(dirPath, "the directory")
	if err != nil {
		return err
	}
	sig, err := readNeeded(dirPath+".sig", "the directory's signature")
	if err != nil {
		return err
	}
	text, err := readNeeded(policyPath, "the policy")
	if err != nil {
		return err
	}
	now := w.d.now().UTC()
	both, day := append(bytes.Clone(file), sig...), now.Format(time.DateOnly)
	if bytes.Equal(both, w.seen[0]) && bytes.Equal(text, w.seen[1]) && day == w.day {
		return w.err
	}
	w.seen[0], w.seen[1], w.day = both, text, day

	// 1. Both must be good before either counts.
	dir, err := verify.ParseDirectory(file)
	if err != nil {
		return err
	}
	if !verify.CheckDirectorySignature(dir, file, sig) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: dirPath, Message: "the directory is not signed by the administrator it names"}
	}
	set, err := policy.Compile(policyPath, text, w.table.Forbids(now))
	if err != nil {
		return err
	}
	// 2. In force.
	if err := w.d.k.SetTrust(keyholder.Trust{Directory: dir, Digest: verify.DirectoryDigest(file), Policy: set}); err != nil {
		return err
	}
	cell, _ := dir.Cell(c.Cell) // SetTrust has checked it
	w.ca = []byte(cell.VaultCA)
	return nil
}

func readNeeded(path, what string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: what + " is missing", Hint: "the administrator puts it into the keyholder's folder", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return b, nil
}

// installGrants installs the set in the folder if it is another than before.
func (w *watched) installGrants(ctx context.Context) {
	if w.d.conf.Grants == "" || w.d.k.Sealed() {
		return
	}
	file, err := os.ReadFile(at(w.d.dir, w.d.conf.Grants))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && bytes.Equal(file, w.seen[2]) {
		return
	}
	if err == nil {
		if err = w.d.k.InstallGrants(ctx, file); bonded.CodeOf(err) != bonded.CodeSealed && bonded.CodeOf(err) != bonded.CodeNotWritable {
			w.seen[2] = file
		}
	}
	w.report(ctx, "install grants", err)
}

// report logs an error once, until it changes or passes. The caller holds mu.
func (w *watched) report(ctx context.Context, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if w.failed[what] == text {
		return
	}
	w.failed[what] = text
	if err != nil {
		w.d.log.LogAttrs(ctx, slog.LevelError, "a changed file is not taken up", slog.String("task", what), slog.Any("error", err))
		return
	}
	w.d.log.LogAttrs(ctx, slog.LevelInfo, "the changed file is taken up now", slog.String("task", what))
}

// watch looks for changes until ctx ends.
func (w *watched) watch(ctx context.Context, reload <-chan os.Signal) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-reload:
		}
		err := w.takeUp()
		w.mu.Lock()
		w.report(ctx, "take up directory and policy", err)
		w.mu.Unlock()
		w.installGrants(ctx)
	}
}
