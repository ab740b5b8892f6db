//go:build unix

package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/vault"
	"bonded/internal/wire"
	"bonded/verify"
)

// valueControl is the name of the announcer's state in the vault's database.
const valueControl = "control"

// announceAgain is how long after the ledger or the keyholder did not take
// something it is offered again.
const announceAgain = 5 * time.Second

// controlState is what was announced, as it is kept.
type controlState struct {
	Last      []byte                                  `json:"last"`    // newest control leaf of this ledger; empty before the first
	Pending   *announcement                           `json:"pending"` // begun, and not known to be under a cosigned checkpoint
	Announced map[verify.ControlSubject]*announcement `json:"announced"`
	Owed      bool                                    `json:"owed"`    // the grant set in force is still to be announced
	Settled   *grant.Set                              `json:"settled"` // the grants in force, if narrower than the set in force
}

// announcement is a control leaf with what opens and proves it.
type announcement struct {
	Subject  verify.ControlSubject `json:"subject"`
	Number   uint64                `json:"number"`
	Digest   [32]byte              `json:"digest"`
	Leaf     []byte                `json:"leaf"`
	Fields   []byte                `json:"fields"`           // see [verify.EncodeFields]
	From     int64                 `json:"from"`             // the leaf is not below this place of the ledger
	Grants   *grant.Set            `json:"grants,omitempty"` // the set itself
	Evidence []byte                `json:"evidence"`
	Index    int64                 `json:"index"`
	Since    int64                 `json:"since"`              // seconds; the waiting time counts from here
	Approved []byte                `json:"approved,omitempty"` // of a directory: file of the approvals that the leaf commits to
}

// An announcer puts what is to take effect into the ledger and shows the
// evidence to the keyholder. It is used by one goroutine.
type announcer struct {
	n     *vaultNode
	store vault.Store
	state controlState

	notBefore time.Time // of the next attempt after one that failed
	offers    map[verify.ControlSubject]*offer
	waiting   atomic.Pointer[[]apitype.WaitingChange]
}

// offer is how the keyholder took an announcement.
type offer struct {
	leaf  [32]byte // hash of its leaf
	up    uint64   // connection it was shown on
	done  bool
	again time.Time
	said  string
}

func openAnnouncer(ctx context.Context, n *vaultNode, store vault.Store) (*announcer, error) {
	a := &announcer{n: n, store: store, offers: map[verify.ControlSubject]*offer{}}
	b, err := store.Value(ctx, valueControl)
	if err != nil {
		return nil, fmt.Errorf("read announcements: %w", err)
	}
	if b != nil {
		if err := json.Unmarshal(b, &a.state); err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "the announcements in the database are altered")
		}
	}
	if a.state.Announced == nil {
		a.state.Announced = map[verify.ControlSubject]*announcement{}
	}
	return a, nil
}

// save makes the state durable.
func (a *announcer) save(ctx context.Context) error {
	b, err := json.Marshal(&a.state)
	if err != nil {
		return fmt.Errorf("encode announcements: %w", err)
	}
	_, err = a.store.Commit(ctx, nil, func(tx vault.Tx) error { return tx.SetValue(valueControl, b) })
	if err != nil {
		return fmt.Errorf("keep announcements: %w", err)
	}
	return nil
}

// A change is a file that is to be announced.
type change struct {
	subject  verify.ControlSubject
	number   uint64 // 0 takes the next
	digest   [32]byte
	set      *grant.Set // of grants
	approved []byte     // of a directory: file of approvals; nil: nobody has to approve it
}

// is reports whether p announces c.
func (c *change) is(p *announcement) bool {
	return p != nil && p.Digest == c.digest && (c.approved == nil || bytes.Equal(p.Approved, c.approved))
}

// control returns what the leaf says; its number is filled in later.
func (c *change) control(cell bonded.CellID) (*verify.Control, error) {
	v := &verify.Control{Subject: c.subject, Number: c.number, Digest: c.digest}
	if c.approved == nil {
		return v, nil
	}
	list, err := verify.ParseDirectoryApprovals(c.approved)
	if err != nil {
		return nil, err
	}
	d := verify.DirectoryApprovalsDigest(cell, list)
	v.Approvals = d[:]
	return v, nil
}

// announce returns the announcement of a file, which it makes if the newest
// one of its subject is of another.
func (a *announcer) announce(ctx context.Context, c *change) (*announcement, error) {
	s := c.subject
	last := a.state.Announced[s]
	if c.is(last) {
		return last, nil
	}
	if time.Now().Before(a.notBefore) {
		return nil, bonded.Errorf(bonded.CodeBusy, "%s is announced as soon as the ledger answers", s)
	}
	// 1. One that was begun comes first: each leaf names the one before it.
	if err := a.complete(ctx); err != nil {
		a.notBefore = time.Now().Add(announceAgain)
		return nil, err
	}
	if last = a.state.Announced[s]; c.is(last) {
		return last, nil
	}
	// 2. A new one, durable before the ledger sees it.
	v, err := c.control(a.n.conf.Cell)
	if err != nil {
		return nil, err
	}
	if v.Number == 0 {
		v.Number = 1
		if last != nil {
			v.Number = last.Number + 1
		}
	}
	if err := a.begin(ctx, v, c); err != nil {
		return nil, err
	}
	if err := a.complete(ctx); err != nil {
		a.notBefore = time.Now().Add(announceAgain)
		return nil, err
	}
	return a.state.Announced[s], nil
}

func (a *announcer) begin(ctx context.Context, c *verify.Control, of *change) error {
	cp, err := a.n.latest(ctx)
	if err != nil {
		return err
	}
	prev := a.state.Last
	if prev == nil { // none by this database: the ledger has the last word
		if prev, _, err = a.n.newest(ctx, verify.LeafControl); err != nil {
			return err
		}
	}
	fields := c.Fields()
	for i := range fields {
		_, _ = rand.Read(fields[i].Salt[:]) // never fails since Go 1.24
	}
	leaf := verify.Leaf{Kind: verify.LeafControl, Cell: a.n.conf.Cell, Time: uint64(time.Now().Unix()), Root: verify.CommitFields(fields)} //nolint:gosec // after 1970
	if prev != nil {
		leaf.Prev = tlog.RecordHash(prev)
	}
	a.state.Pending = &announcement{
		Subject: c.Subject, Number: c.Number, Digest: c.Digest, Leaf: leaf.Encode(), Fields: verify.EncodeFields(fields), From: cp.Size, Grants: of.set, Approved: of.approved,
	}
	a.state.Last = a.state.Pending.Leaf
	if err := a.save(ctx); err != nil {
		a.state.Pending, a.state.Last = nil, prev
		return err
	}
	return nil
}

// complete brings the announcement that was begun under a cosigned checkpoint.
func (a *announcer) complete(ctx context.Context) error {
	p := a.state.Pending
	if p == nil {
		return nil
	}
	proof, err := a.proof(ctx, p)
	if err != nil {
		return fmt.Errorf("announce %s %d: %w", p.Subject, p.Number, err)
	}
	fields, err := verify.DecodeFields(p.Fields)
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the announcements in the database are altered")
	}
	done := *p
	done.Evidence = (&verify.Evidence{Leaf: p.Leaf, Fields: fields, Proof: string(proof)}).Encode()
	cell, err := a.n.directoryCell()
	if err != nil {
		return err
	}
	shown, err := verify.CheckEvidence(done.Evidence, p.Subject, p.Digest, cell)
	if err != nil {
		return fmt.Errorf("announce %s %d: %w", p.Subject, p.Number, err)
	}
	before := a.state.Announced[p.Subject]
	done.Index, done.Since = shown.Index, shown.Witnessed.Unix()
	if before != nil && before.Grants != nil && p.Grants != nil && grant.Narrows(before.Grants, p.Grants) {
		done.Since = min(done.Since, before.Since) // nothing in it is new: it does not begin to wait anew
	}
	a.state.Announced[p.Subject], a.state.Pending = &done, nil
	if err := a.save(ctx); err != nil {
		a.state.Announced[p.Subject], a.state.Pending = before, p
		return err
	}
	a.n.log.LogAttrs(ctx, slog.LevelInfo, "announced in the ledger", slog.String("subject", string(done.Subject)), slog.Uint64("number", done.Number), slog.Int64("entry", done.Index))
	return nil
}

// proof returns the proof of the leaf: it may be in the ledger already, if an
// answer was lost.
func (a *announcer) proof(ctx context.Context, p *announcement) ([]byte, error) {
	cp, err := a.n.latest(ctx)
	if err != nil {
		return nil, err
	}
	for i := p.From; i < cp.Size; i++ {
		b, err := a.n.ledger.ReadEntry(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("read ledger entry %d: %w", i, err)
		}
		if bytes.Equal(b, p.Leaf) {
			r, err := a.n.ledger.Prove(ctx, i)
			return r.Proof(), err
		}
	}
	r, err := a.n.ledger.Append(ctx, p.Leaf)
	return r.Proof(), err
}

// show offers an announcement to the keyholder until it has taken it on this
// connection. A refusal is logged when it changes.
func (a *announcer) show(ctx context.Context, s verify.ControlSubject, file []byte) {
	p := a.state.Announced[s]
	o := a.offers[s]
	up := a.n.connections.Load()
	if leaf := tlog.RecordHash(p.Leaf); o == nil || o.leaf != leaf {
		o = &offer{leaf: leaf}
		a.offers[s] = o
	}
	now := time.Now()
	if o.done && o.up == up || now.Before(o.again) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceAgain)
	defer cancel()
	e := &wire.Evidence{Subject: s, Number: p.Number, Evidence: p.Evidence, File: p.Approved}
	if s == verify.ControlGrants {
		e.File = file
	}
	_, err := a.n.line.Evidence(ctx, e)
	o.up, o.done = up, err == nil
	switch {
	case err == nil:
		o.said = ""
	case o.said != err.Error():
		o.said = err.Error()
		a.n.log.LogAttrs(ctx, slog.LevelWarn, "the keyholder does not take an announcement", slog.String("subject", string(s)), slog.Uint64("number", p.Number), slog.Any("error", err))
	}
	if err != nil && bonded.CodeOf(err) != bonded.CodeKeyholder && bonded.CodeOf(err) != bonded.CodeSealed {
		o.again = now.Add(announceAgain)
	}
}

// waited reports whether the waiting time of the vault is over, by the
// witnesses' clocks and by its own.
func (a *announcer) waited(p *announcement) bool {
	end := a.until(p)
	return a.n.conf.WaitingTime.Duration == 0 || !time.Now().Before(end) && !a.n.journal.Freshness().Before(end)
}

func (a *announcer) until(p *announcement) time.Time {
	return time.Unix(p.Since, 0).UTC().Add(a.n.conf.WaitingTime.Duration)
}

func digestOf(b []byte) [32]byte { return sha256.Sum256(b) }
