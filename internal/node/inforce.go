//go:build unix

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/policy"
	"bonded/internal/remote"
	"bonded/verify"
)

// Names of the copies of what is in force, in the folder inforce.
const (
	inForceDirectory = "cells.json"
	inForcePolicy    = "policy.cedar"
	inForceGrants    = "grants.json"
)

// inForcePath returns where the copy of a file stands that is in force.
func (n *vaultNode) inForcePath(name string) string { return filepath.Join(n.dir, "inforce", name) }

// source returns what is read for a file: the copy that is in force, or the
// operator's own before there is one, or when only that is to be checked.
func (n *vaultNode) source(name, configured string) string {
	if !n.check {
		if _, err := os.Stat(n.inForcePath(name)); err == nil {
			return n.inForcePath(name)
		}
	}
	return resolve(n.dir, configured)
}

// adopt makes copies of files that this vault sees for the first time, after
// they were found good: they are its operator's own act. From then on only
// what was announced takes their place.
func (n *vaultNode) adopt() error {
	_, raw, err := n.cells.get()
	if err != nil {
		return err
	}
	sig, err := os.ReadFile(n.source(inForceDirectory, n.conf.Directory) + ".sig")
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: n.conf.Directory, Message: "the directory's signature cannot be read", Err: err}
	}
	d, err := verify.ParseDirectory(raw)
	if err != nil {
		return err
	}
	if !verify.CheckDirectorySignature(d, raw, sig) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: n.conf.Directory, Message: "the directory changed while it was read", Hint: "start again"}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{inForceDirectory + ".sig", sig}, {inForceDirectory, raw}, {inForcePolicy, n.policyText}, {inForceGrants, n.grantsFile}} {
		if _, err := os.Stat(n.inForcePath(f.name)); err == nil {
			continue
		}
		if err := remote.WriteFile(n.inForcePath(f.name), f.data); err != nil {
			return fmt.Errorf("keep what is in force: %w", err)
		}
	}
	n.cells, err = openDirectory(n.inForcePath(inForceDirectory))
	return err
}

// acceptDirectory makes the operator's directory the one that is seen for the
// first time, if it is good by itself.
func (n *vaultNode) acceptDirectory() error {
	if _, err := openDirectory(resolve(n.dir, n.conf.Directory)); err != nil {
		return err
	}
	for _, name := range []string{inForceDirectory, inForceDirectory + ".sig"} {
		if err := os.Remove(n.inForcePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("accept the directory: %w", err)
		}
	}
	return nil
}

// directoryCell returns this cell as the directory in force has it.
func (n *vaultNode) directoryCell() (*verify.DirectoryCell, error) {
	d, _, err := n.cells.get()
	if d == nil {
		return nil, err
	}
	c, ok := d.Cell(n.conf.Cell)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory has no cell %s", n.conf.Cell)
	}
	return c, nil
}

// A gate takes up changed grants, policy and directory: it announces them and
// puts them in force when their time has come, see spec/control.md. It is used
// by one goroutine.
type gate struct {
	*announcer
	signed    *grant.Set // in force, as the administrator signed it
	effective *grant.Set // the same, or narrower while another waits
	failed    map[string]string
	written   map[verify.ControlSubject][32]byte // leaf whose evidence stands beside its file
	published bool                               // the directory in force is a leaf of kind directory
}

// openGate reads what was announced, and puts the grants in force as they
// stood.
func (n *vaultNode) openGate(ctx context.Context, a *announcer) (*gate, error) {
	g := &gate{announcer: a, signed: n.in.grants, effective: n.in.grants, failed: map[string]string{}, written: map[verify.ControlSubject][32]byte{}, published: true}
	if s := a.state.Settled; s != nil && s.Number == g.signed.Number {
		g.effective = s
		if err := n.vault.SetGrants(ctx, s); err != nil {
			return nil, err
		}
	}
	g.sayWaiting()
	return g, nil
}

// tick takes every step that can be taken now.
func (g *gate) tick(ctx context.Context) {
	g.report(ctx, "grants", g.tickGrants(ctx))
	g.report(ctx, "policy", g.tickPolicy(ctx))
	g.report(ctx, "directory", g.tickDirectory(ctx))
	g.report(ctx, "portal", g.tickPortal(ctx))
	g.sayWaiting()
}

// report logs why something is not taken up, once until it changes.
func (g *gate) report(ctx context.Context, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if bonded.CodeOf(err) == bonded.CodeBusy || g.failed[what] == text {
		return
	}
	g.failed[what] = text
	if err != nil {
		g.n.log.LogAttrs(ctx, slog.LevelError, "a changed file was not taken up; the one before stays in force", slog.String("file", what), slog.Any("error", err))
	}
}

// inForceNow logs that something is in force.
func (g *gate) inForceNow(ctx context.Context, s verify.ControlSubject, p *announcement) {
	attrs := []slog.Attr{slog.String("subject", string(s))}
	if p != nil {
		attrs = append(attrs, slog.Uint64("number", p.Number), slog.Int64("entry", p.Index))
	}
	g.n.log.LogAttrs(ctx, slog.LevelInfo, "a changed file is in force", attrs...)
}

func (g *gate) tickGrants(ctx context.Context) error {
	n := g.n
	path := resolve(n.dir, n.conf.Grants)
	file, err := os.ReadFile(path)
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the grants cannot be read", Err: err}
	}
	set, inForce := g.signed, bytes.Equal(file, n.grantsFile)
	if !inForce {
		// 1. What only takes away is in force at once.
		if set, err = n.openGrants(path, file); err != nil {
			return err
		}
		if set.Number <= g.signed.Number {
			return &bonded.Error{
				Code: bonded.CodeRestored, Field: path, Message: fmt.Sprintf("grant set %d is not newer than %d, which is in force", set.Number, g.signed.Number),
				Hint: "put the newest file back",
			}
		}
		if grant.Narrows(g.effective, set) {
			if err := g.putGrants(ctx, set, file, true); err != nil {
				return err
			}
			inForce = true
		} else if err := g.settle(ctx, set); err != nil {
			return err
		}
	}
	if inForce && !g.state.Owed {
		return g.showLast(ctx, verify.ControlGrants, file, path)
	}
	// 2. Announced, and shown to the keyholder.
	p, err := g.announce(ctx, &change{subject: verify.ControlGrants, number: set.Number, digest: digestOf(file), set: set})
	if err != nil {
		return err
	}
	if err := g.showLast(ctx, verify.ControlGrants, file, path); err != nil {
		return err
	}
	// 3. In force when its time has come.
	switch {
	case inForce:
		g.state.Owed = false
		return g.save(ctx)
	case !g.waited(p):
		return nil
	}
	return g.putGrants(ctx, set, file, false)
}

// putGrants puts a set in force. What is owed is announced afterwards.
func (g *gate) putGrants(ctx context.Context, set *grant.Set, file []byte, owed bool) error {
	before := g.state
	g.state.Owed, g.state.Settled = owed, nil
	if err := g.save(ctx); err != nil {
		g.state = before
		return err
	}
	if err := remote.WriteFile(g.n.inForcePath(inForceGrants), file); err != nil {
		return fmt.Errorf("keep what is in force: %w", err)
	}
	g.n.grantsFile, g.signed, g.effective = file, set, set
	if err := g.n.vault.SetGrants(ctx, set); err != nil {
		return err
	}
	g.inForceNow(ctx, verify.ControlGrants, g.state.Announced[verify.ControlGrants])
	return nil
}

// settle takes away at once what a waiting set takes away.
func (g *gate) settle(ctx context.Context, next *grant.Set) error {
	settled := grant.Settle(g.effective, next)
	if grant.Narrows(settled, g.effective) {
		return nil
	}
	before := g.state.Settled
	g.state.Settled = settled
	if err := g.save(ctx); err != nil {
		g.state.Settled = before
		return err
	}
	g.effective = settled
	return g.n.vault.SetGrants(ctx, settled)
}

func (g *gate) tickPolicy(ctx context.Context) error {
	n := g.n
	path := resolve(n.dir, n.conf.Policy)
	text, err := os.ReadFile(path)
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the policy file cannot be read", Err: err}
	}
	if bytes.Equal(text, n.policyText) {
		return g.showLast(ctx, verify.ControlPolicy, text, path)
	}
	if last := g.state.Announced[verify.ControlPolicy]; last == nil || last.Digest != digestOf(text) { // else it was compiled before
		if _, err := policy.Compile(path, text, n.law.Forbids(time.Now())); err != nil {
			return err
		}
	}
	p, err := g.announce(ctx, &change{subject: verify.ControlPolicy, digest: digestOf(text)})
	if err != nil {
		return err
	}
	if err := g.showLast(ctx, verify.ControlPolicy, text, path); err != nil || !g.waited(p) {
		return err
	}
	if err := remote.WriteFile(n.inForcePath(inForcePolicy), text); err != nil {
		return fmt.Errorf("keep what is in force: %w", err)
	}
	if err := n.loadPolicy(time.Now()); err != nil {
		return err
	}
	n.vault.SetPolicy(n.policy.Load())
	g.inForceNow(ctx, verify.ControlPolicy, p)
	return nil
}

func (g *gate) tickDirectory(ctx context.Context) error {
	n := g.n
	path := resolve(n.dir, n.conf.Directory)
	raw, err := os.ReadFile(path)
	sig, serr := os.ReadFile(path + ".sig")
	if err := errors.Join(err, serr); err != nil {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: path, Message: "the directory and its signature cannot be read", Err: err,
			Hint: "cells.json and cells.json.sig stand side by side and belong together",
		}
	}
	now, inForce, err := n.cells.get()
	if err != nil {
		return err
	}
	if bytes.Equal(raw, inForce) {
		if !g.published {
			if err := n.publishDirectory(ctx); err != nil {
				return err
			}
			g.published = true
		}
		return g.showLast(ctx, verify.ControlDirectory, nil, path)
	}
	if err := checkNextDirectory(path, now, raw, sig); err != nil {
		return err
	}
	next, err := verify.ParseDirectory(raw)
	if err != nil {
		return err
	}
	c := &change{subject: verify.ControlDirectory, number: next.Version, digest: verify.DirectoryDigest(raw)}
	if c.approved, err = g.approvals(path, c); err != nil {
		return err
	}
	p, err := g.announce(ctx, c)
	if err != nil {
		return err
	}
	if err := g.showLast(ctx, verify.ControlDirectory, nil, path); err != nil || !g.waited(p) {
		return err
	}
	err = errors.Join(
		remote.WriteFile(n.inForcePath(inForceDirectory+".sig"), sig),
		remote.WriteFile(n.inForcePath(inForceDirectory), raw))
	if err != nil {
		return fmt.Errorf("keep what is in force: %w", err)
	}
	if _, _, err := n.cells.get(); err != nil {
		return err
	}
	n.face.SetDirectory(raw)
	g.inForceNow(ctx, verify.ControlDirectory, p)
	g.published = false
	return nil
}

// tickPortal announces the list of files of the public portal and puts the
// evidence beside it. Nothing takes effect by it: it shows that everybody is
// served the same pages, so that nobody waits and the keyholder is not asked.
func (g *gate) tickPortal(ctx context.Context) error {
	n := g.n
	if n.conf.Portal == "" {
		return nil
	}
	path := resolve(n.dir, n.conf.Portal)
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not built yet
	}
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the manifest of the portal cannot be read", Err: err}
	}
	m, err := verify.ParsePortalManifest(file)
	if err == nil && m.Cell != n.conf.Cell {
		err = verify.Fail(verify.FailCell, "it is of cell %s", m.Cell)
	}
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "not the manifest of a portal of this cell", Err: err, Hint: "bonded portal build writes it"}
	}
	p, err := g.announce(ctx, &change{subject: verify.ControlPortal, digest: verify.PortalDigest(file)})
	if err != nil {
		return err
	}
	if err := g.putEvidence(verify.ControlPortal, p, path); err != nil {
		return err
	}
	return os.Chmod(path+".evidence", 0o644) //nolint:gosec // it is served to everybody
}

// approvals returns the approvals of a version of the directory that stand
// beside it, which must be a quorum of the custodians in force; nil before there
// are custodians. A version that was announced with approvals keeps them.
func (g *gate) approvals(path string, c *change) ([]byte, error) {
	if last := g.state.Announced[c.subject]; last != nil && last.Digest == c.digest && last.Approved != nil {
		return last.Approved, nil
	}
	ks := g.n.vault.KeySet()
	if ks == nil {
		return nil, nil
	}
	refuse := func(message string, err error) error {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: path + ".approvals", Message: message, Rules: []string{"vault.directory-quorum"}, Err: err,
			Hint: "bonded-custodian directory approve makes an approval, bonded custodians directory assemble the file",
		}
	}
	file, err := os.ReadFile(path + ".approvals")
	if err != nil {
		return nil, refuse("the approvals of the custodians cannot be read", err)
	}
	list, err := verify.ParseDirectoryApprovals(file)
	if err == nil {
		err = verify.CheckDirectoryApprovals(ks.Custodians(), c.number, c.digest, list)
	}
	if err != nil {
		return nil, refuse("the directory is not approved by the quorum of the custodians in force: "+verify.FailureOf(err).Message, err)
	}
	return file, nil
}

// checkNextDirectory checks that a directory may be announced after the one in
// force.
func checkNextDirectory(path string, now *verify.Directory, raw, sig []byte) error {
	next, err := verify.ParseDirectory(raw)
	if err != nil {
		return err
	}
	if !verify.CheckDirectorySignature(next, raw, sig) || next.Admin != now.Admin {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: path, Message: "the directory is not signed by the administrator",
			Hint: "copy cells.json and cells.json.sig together; another administrator is accepted by a start with --accept-directory",
		}
	}
	if next.Version <= now.Version {
		return olderDirectory(path, next.Version, now.Version)
	}
	return nil
}

// showLast writes the evidence of the newest announcement beside its file and
// shows it to the keyholder, if it is of this file.
func (g *gate) showLast(ctx context.Context, s verify.ControlSubject, file []byte, path string) error {
	p := g.state.Announced[s]
	if p == nil || file != nil && p.Digest != digestOf(file) {
		return nil
	}
	if err := g.putEvidence(s, p, path); err != nil {
		return err
	}
	g.show(ctx, s, file)
	return nil
}

// putEvidence writes the evidence of an announcement beside its file.
func (g *gate) putEvidence(s verify.ControlSubject, p *announcement, path string) error {
	leaf := tlog.RecordHash(p.Leaf)
	if g.written[s] == leaf {
		return nil
	}
	if err := remote.WriteFile(path+".evidence", p.Evidence); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	g.written[s] = leaf
	return nil
}

// sayWaiting keeps what the status of the vault says.
func (g *gate) sayWaiting() {
	list := []apitype.WaitingChange{}
	for _, s := range []struct {
		subject verify.ControlSubject
		inForce [32]byte
	}{
		{verify.ControlGrants, digestOf(g.n.grantsFile)}, {verify.ControlPolicy, digestOf(g.n.policyText)}, {verify.ControlDirectory, g.n.directoryDigest()},
	} {
		if p := g.state.Announced[s.subject]; p != nil && p.Digest != s.inForce && !g.superseded(p) {
			list = append(list, apitype.WaitingChange{Party: "vault", Subject: string(s.subject), Number: p.Number, Entry: p.Index, From: g.until(p)})
		}
	}
	g.waiting.Store(&list)
}

// superseded reports whether what was announced can no longer take effect.
func (g *gate) superseded(p *announcement) bool {
	return p.Subject == verify.ControlGrants && p.Number <= g.signed.Number
}

func (n *vaultNode) directoryDigest() [32]byte {
	_, raw, _ := n.cells.get() // after an error the one before stays in force
	return verify.DirectoryDigest(raw)
}
