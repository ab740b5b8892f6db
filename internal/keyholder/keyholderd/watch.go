package keyholderd

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	"bonded/internal/wire"
	"bonded/verify"
)

// watchEvery is how often changed files are looked for.
const watchEvery = time.Second

// watched takes up changes of directory, policy and grants, as far as they may
// be taken up: see spec/control.md. A file that cannot be taken up is logged
// once, and what was in force stays.
type watched struct {
	d     *daemon
	table *regulation.Table

	mu     sync.Mutex
	byHand []byte // the directory that is accepted by hand, until it is booked
	ca     []byte
	used   [3][]byte // directory, its signature and policy in force
	bad    [3][]byte // the same, when they could not be taken up
	badErr error
	day    string // of the law in force
	grants [2][]byte
	failed map[string]string
}

// newWatched puts directory and policy in force: those that are booked, else
// the files in the folder, which must be good.
func newWatched(d *daemon, byHand bool) (*watched, error) {
	packs, err := regulation.Shipped()
	if err != nil {
		return nil, fmt.Errorf("read regulation packs: %w", err)
	}
	w := &watched{d: d, failed: map[string]string{}}
	if byHand {
		if w.byHand, err = readNeeded(at(d.dir, d.conf.Directory), "the directory"); err != nil {
			return nil, err
		}
	}
	if w.table, err = regulation.NewTable(packs); err != nil {
		return nil, fmt.Errorf("read regulation packs: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w, w.takeUp(context.Background())
}

func (w *watched) vaultCA() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ca
}

// takeUp reads directory and policy and puts them in force if they changed and
// may. What failed fails again, without being tried, until a file changes. The
// caller holds mu.
func (w *watched) takeUp(ctx context.Context) error {
	dirPath, policyPath := at(w.d.dir, w.d.conf.Directory), at(w.d.dir, w.d.conf.Policy)
	use, err := readAll(dirPath, policyPath)
	if err != nil {
		return err
	}
	// 1. What is in force and booked stays until something else may follow it.
	dir, sig, text := w.d.k.InForce()
	if bytes.Equal(dir, w.byHand) {
		w.byHand = nil
	}
	if dir != nil && !bytes.Equal(dir, use[0]) && !bytes.Equal(use[0], w.byHand) && !w.mayTakeUp(ctx, dirPath, verify.ControlDirectory, use[0]) {
		use[0], use[1] = dir, sig
	}
	if text != nil && !bytes.Equal(text, use[2]) && !w.mayTakeUp(ctx, policyPath, verify.ControlPolicy, use[2]) {
		use[2] = text
	}
	now := w.d.now().UTC()
	day := now.Format(time.DateOnly)
	switch {
	case same(use, w.used) && day == w.day:
		return nil
	case w.badErr != nil && same(use, w.bad) && day == w.day:
		return w.badErr
	}
	// 2. Both must be good before either counts.
	w.badErr = w.use(use, dirPath, policyPath, now)
	w.day = day
	if w.badErr != nil {
		w.bad = use
		return w.badErr
	}
	w.used = use
	return nil
}

func (w *watched) use(use [3][]byte, dirPath, policyPath string, now time.Time) error {
	dir, err := verify.ParseDirectory(use[0])
	if err != nil {
		return err
	}
	if !verify.CheckDirectorySignature(dir, use[0], use[1]) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: dirPath, Message: "the directory is not signed by the administrator it names"}
	}
	set, err := policy.Compile(policyPath, use[2], w.table.Forbids(now))
	if err != nil {
		return err
	}
	t := keyholder.Trust{Directory: dir, File: use[0], Signature: use[1], Policy: set, Text: use[2], ByHand: bytes.Equal(use[0], w.byHand)}
	if err := w.d.k.SetTrust(t); err != nil {
		return err
	}
	cell, _ := dir.Cell(w.d.conf.Cell) // SetTrust has checked it
	w.ca = []byte(cell.VaultCA)
	return nil
}

// mayTakeUp reports whether a changed file may follow the one in force; if
// there is evidence beside it, that is shown first.
func (w *watched) mayTakeUp(ctx context.Context, path string, s verify.ControlSubject, file []byte) bool {
	digest := sha256.Sum256(file)
	err := w.d.k.MayTakeUp(s, digest)
	if err != nil && !w.d.k.Sealed() {
		if b, rerr := os.ReadFile(path + ".evidence"); rerr == nil {
			if e, perr := evidenceOf(b); perr == nil && e.Subject == s {
				if s == verify.ControlDirectory {
					e.File, _ = os.ReadFile(path + ".approvals") // without: refused if custodians have to approve
				}
				_, _ = w.d.k.Evidence(ctx, e)() // a refusal is logged there
				err = w.d.k.MayTakeUp(s, digest)
			}
		}
	}
	w.report(ctx, "take up "+string(s), err)
	return err == nil
}

// evidenceOf reads what evidence is of; it checks nothing.
func evidenceOf(b []byte) (*wire.Evidence, error) {
	e, err := verify.ParseEvidence(b)
	if err != nil {
		return nil, err
	}
	leaf, err := verify.DecodeLeaf(e.Leaf)
	if err != nil {
		return nil, err
	}
	c, err := verify.OpenControl(leaf, e.Fields)
	if err != nil {
		return nil, err
	}
	return &wire.Evidence{Subject: c.Subject, Number: c.Number, Evidence: b}, nil
}

func readAll(dirPath, policyPath string) (f [3][]byte, err error) {
	for i, r := range [3]struct{ path, what string }{
		{dirPath, "the directory"}, {dirPath + ".sig", "the directory's signature"}, {policyPath, "the policy"},
	} {
		if f[i], err = readNeeded(r.path, r.what); err != nil {
			return f, err
		}
	}
	return f, nil
}

func same(a, b [3][]byte) bool {
	return bytes.Equal(a[0], b[0]) && bytes.Equal(a[1], b[1]) && bytes.Equal(a[2], b[2])
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

// installGrants takes up the set in the folder if it is another than before,
// with the evidence beside it, and puts a set that waited in force.
func (w *watched) installGrants(ctx context.Context) {
	if w.d.k.Sealed() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report(ctx, "put waiting grants in force", w.d.k.PutDueGrants())
	if w.d.conf.Grants == "" {
		return
	}
	path := at(w.d.dir, w.d.conf.Grants)
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	evidence, everr := os.ReadFile(path + ".evidence")
	if everr != nil {
		evidence = nil
	}
	now := [2][]byte{file, evidence}
	if err == nil && bytes.Equal(file, w.grants[0]) && bytes.Equal(evidence, w.grants[1]) {
		return
	}
	if err == nil {
		switch _, err = w.d.k.InstallGrants(ctx, file, evidence); bonded.CodeOf(err) {
		case bonded.CodeSealed, bonded.CodeNotWritable, bonded.CodeBusy:
		default:
			w.grants = now
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
	switch {
	case bonded.CodeOf(err) == bonded.CodeStale:
		w.d.log.LogAttrs(ctx, slog.LevelWarn, "a changed file waits; what was in force stays", slog.String("task", what), slog.Any("error", err))
		return
	case err != nil:
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
		w.mu.Lock()
		w.report(ctx, "take up directory and policy", w.takeUp(ctx))
		w.mu.Unlock()
		w.installGrants(ctx)
	}
}
