//go:build unix

package frontdoor_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	program "bonded/internal/custodian"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

// A dying door ends the process at a message: before it is said, or after it
// was said and before the answer came.
type dying struct {
	program.Door
	left int
	said bool
}

var errKilled = errors.New("killed")

func (d *dying) PostCeremony(ctx context.Context, id string, message []byte) (*apitype.CeremonyMessages, error) {
	if d.left--; d.left >= 0 {
		return d.Door.PostCeremony(ctx, id, message)
	}
	if d.said {
		if _, err := d.Door.PostCeremony(ctx, id, message); err != nil {
			return nil, err
		}
	}
	return nil, errKilled
}

// secretsOf opens what a custodian's folder seals, as its owner could.
func (c *chamber) secretsOf(id string) map[string]any {
	c.t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(c.dir, id, name))
		c.must(err)
		return b
	}
	master, err := seal.OpenWithPassphrase(passphrase, "custodian/"+id+"/master", read("master.key"))
	c.must(err)
	key, err := seal.KeyFromBytes(master)
	c.must(err)
	var pieces [][]byte
	c.must(json.Unmarshal(read("secrets.sealed"), &pieces))
	label := "custodian/" + id + "/secrets/0/true"
	if len(pieces) != 1 {
		c.t.Fatalf("%d pieces", len(pieces))
	}
	b, err := seal.OpenSecret(key, label, pieces[0])
	c.must(err)
	out := map[string]any{}
	c.must(json.Unmarshal(b, &out))
	return out
}

func TestCustodianGoesOnWithACeremonyAfterAKillAtEveryMessage(t *testing.T) {
	c := newChamber(t)
	p := c.order(quorum.KindDKG, firstSeats)
	lives := 0
	c.lives["firm-1"] = func(ctx context.Context) error {
		for {
			f := c.reopen("firm-1")
			_, err := f.Join(ctx, &dying{Door: c.client(f), left: lives / 2, said: lives%2 == 1}, p.Ceremony.Hex(), p.Digest())
			if !errors.Is(err, errKilled) {
				return err
			}
			lives++
		}
	}
	c.join(p, "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
	if lives < 6 {
		t.Errorf("the custodian was killed %d times only", lives)
	}
	// All have the same key set, and Join of what is over is no error.
	for id := range c.folders {
		f := c.reopen(id)
		set, err := f.Join(c.ctx, c.client(f), p.Ceremony.Hex(), p.Digest())
		if err != nil || set.Digest() != c.keys.Digest() {
			t.Errorf("%s: %v", id, err)
		}
		sec := c.secretsOf(id)
		if sec["share"] == nil || sec["state"] != nil || sec["dealing"] != nil || sec["next"] != nil {
			t.Errorf("%s keeps %v", id, keysOf(sec))
		}
	}
}

// afterItsLastWord kills a custodian when it has said all that it has to say,
// and lets it go on when the others have brought the key set into force.
func (c *chamber) afterItsLastWord(id, other string, p *quorum.Params, words int) {
	c.lives[id] = func(ctx context.Context) error {
		f := c.reopen(id)
		if _, err := f.Join(ctx, &dying{Door: c.client(f), left: words - 1, said: true}, p.Ceremony.Hex(), p.Digest()); !errors.Is(err, errKilled) {
			return fmt.Errorf("not killed: %w", err)
		}
		for set := c.folders[other].KeySet(); set == nil || set.Epoch() != p.Epoch; set = c.folders[other].KeySet() {
			select {
			case <-time.After(program.Poll):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		f = c.reopen(id)
		_, err := f.Join(ctx, c.client(f), p.Ceremony.Hex(), p.Digest())
		return err
	}
}

func TestCustodianKilledAfterItsLastWordStillGetsItsShare(t *testing.T) {
	c := newChamber(t)
	p := c.order(quorum.KindDKG, firstSeats)
	c.afterItsLastWord("firm-1", "firm-2", p, 3)
	c.join(p, "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
	c.wantNothingLeft("firm-1", true)

	// One who hands on and gets a new share, and one who only hands on.
	p = c.order(quorum.KindReshare, secondSeats, c.handover)
	delete(c.lives, "firm-1")
	c.afterItsLastWord("firm-2", "firm-1", p, 4) // it confirms for both seats
	c.afterItsLastWord("firm-3", "firm-1", p, 3)
	c.join(p, "firm-1", "firm-2", "firm-3", "firm-4", "independent-1", "independent-2", "independent-3")
	c.wantNothingLeft("firm-2", true)
	c.wantNothingLeft("firm-3", false)
}

// wantNothingLeft wants a custodian's folder without secrets of a ceremony, and
// with its share of the key set in force or without any.
func (c *chamber) wantNothingLeft(id string, share bool) {
	c.t.Helper()
	f := c.reopen(id)
	holds, err := f.Refresh(c.ctx, c.client(f))
	if err != nil || holds != share {
		c.t.Errorf("%s holds a share in force: %t, %v", id, holds, err)
	}
	sec := c.secretsOf(id)
	if sec["state"] != nil || sec["dealing"] != nil || sec["next"] != nil || sec["ceremony"] != nil || sec["confirmed"] != nil || (sec["share"] != nil) != share {
		c.t.Errorf("%s keeps %v", id, keysOf(sec))
	}
}

func keysOf(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestResharingErasesOldSharesAndWhoOnlyHandsOnEndsWithNone(t *testing.T) {
	c := newChamber(t)
	first := c.order(quorum.KindDKG, firstSeats)
	c.join(first, "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
	old := map[string]any{}
	for id := range c.folders {
		old[id] = c.secretsOf(id)["share"]
	}
	p := c.order(quorum.KindReshare, secondSeats, c.handover)
	c.join(p, "firm-1", "firm-2", "firm-3", "firm-4", "independent-1", "independent-2", "independent-3")
	for _, id := range []string{"firm-1", "firm-2", "firm-3", "firm-4", "independent-1", "independent-2", "independent-3"} {
		f := c.reopen(id)
		holds, err := f.Refresh(c.ctx, c.client(f))
		c.must(err)
		_, _, seat := f.KeySet().Find(f.Key().Public().(ed25519.PublicKey))
		sec := c.secretsOf(id)
		switch {
		case holds != seat || (sec["share"] != nil) != seat:
			t.Errorf("%s has a seat: %t, holds a share: %t, has one in its folder: %t", id, seat, holds, sec["share"] != nil)
		case old[id] != nil && sec["share"] == old[id]:
			t.Errorf("%s keeps its old share", id)
		case sec["state"] != nil || sec["dealing"] != nil || sec["next"] != nil || sec["ceremony"] != nil:
			t.Errorf("%s keeps %v of the ceremony", id, keysOf(sec))
		}
	}
	if c.keys.Epoch() != 2 {
		t.Errorf("epoch %d", c.keys.Epoch())
	}
}

func TestCustodianTakesNoSeatInWhatItDidNotAgreeTo(t *testing.T) {
	c := newChamber(t)
	p := c.order(quorum.KindDKG, firstSeats)
	f := c.folders["firm-1"]
	door := c.client(f)
	seat, err := f.Look(c.ctx, door, p.Ceremony.Hex())
	c.must(err)
	if !seat.Holds || seat.Deals || seat.Digest != p.Digest() {
		t.Errorf("seat: %+v", seat)
	}
	wrong := p.Digest()
	wrong[0] ^= 1
	_, err = f.Join(c.ctx, door, p.Ceremony.Hex(), wrong)
	refusal(t, err, bonded.CodeConflict, "")

	// What a front door shows in place of it.
	stranger := c.custodian("stranger")
	for name, change := range map[string]func(*quorum.Params){
		"of another cell":           func(q *quorum.Params) { q.Cell = "cn" },
		"under another id":          func(q *quorum.Params) { q.Ceremony = bonded.NewID() },
		"with the key under a name": func(q *quorum.Params) { q.Roles[0].Members[0].ID = "somebody" },
		"without a seat": func(q *quorum.Params) {
			pub, err := verify.DecodePublicKey(must(stranger.Public()).Approval)
			c.must(err)
			q.Roles[0].Members[0].Approval = pub
		},
	} {
		q, err := quorum.ParseParams(p.Bytes())
		c.must(err)
		change(q)
		tell(c, "/ceremonies/", func(m *apitype.CeremonyMessages) { m.Params = q.Bytes() })
		_, err = f.Look(c.ctx, door, p.Ceremony.Hex())
		if bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("a ceremony %s: %v", name, err)
		}
		_, err = f.Join(c.ctx, door, p.Ceremony.Hex(), p.Digest())
		if err == nil {
			t.Errorf("joined a ceremony %s", name)
		}
	}
	c.lies.Store(nil)
	if sec := c.secretsOf("firm-1"); sec["ceremony"] != nil {
		t.Error("something of a ceremony is kept that was never joined")
	}
}

func TestCustodianAbandonsWhatItHasNotConfirmed(t *testing.T) {
	c := newChamber(t)
	p := c.order(quorum.KindDKG, firstSeats)
	f := c.folders["firm-1"]
	before := must(f.Public()).Transport
	_, err := f.Join(c.ctx, &dying{Door: c.client(f), said: true}, p.Ceremony.Hex(), p.Digest())
	if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if sec := c.secretsOf("firm-1"); sec["state"] == nil || sec["dealing"] == nil {
		t.Error("nothing of the ceremony is kept")
	}
	c.must(f.Abandon())
	f = c.reopen("firm-1")
	if sec := c.secretsOf("firm-1"); sec["state"] != nil || sec["dealing"] != nil || sec["ceremony"] != nil {
		t.Errorf("kept: %v", keysOf(sec))
	}
	if must(f.Public()).Transport == before {
		t.Error("the transport key of the ceremony is used again")
	}
	// A second ceremony comes to its end, and cannot be abandoned in between.
	p = c.order(quorum.KindDKG, firstSeats)
	c.lives["firm-1"] = func(ctx context.Context) error {
		_, err := f.Join(ctx, &noted{c.client(f), func() {
			if err := f.Abandon(); c.secretsOf("firm-1")["confirmed"] != nil && bonded.CodeOf(err) != bonded.CodeConflict {
				t.Errorf("abandoned after its confirmation: %v", err)
			}
		}}, p.Ceremony.Hex(), p.Digest())
		return err
	}
	c.join(p, "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
}

// A noted door calls back each time the key sets are asked for: after the
// ceremony, before it is in force.
type noted struct {
	program.Door
	call func()
}

func (n *noted) Custody(ctx context.Context) (*apitype.CustodyChain, error) {
	n.call()
	return n.Door.Custody(ctx)
}

func TestCustodianNeverTakesBackAKeySet(t *testing.T) {
	c := newChamber(t)
	c.join(c.order(quorum.KindDKG, firstSeats), "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
	f := c.folders["firm-1"]
	tell(c, "/custody", func(chain *apitype.CustodyChain) { chain.Certificates = chain.Certificates[:0] })
	_, err := f.Refresh(c.ctx, c.client(f))
	if err == nil || f.KeySet() == nil {
		t.Errorf("a front door without key sets: %v", err)
	}
	tell(c, "/custody", func(chain *apitype.CustodyChain) {
		b := bytes.Clone(chain.Certificates[0].Certificate)
		b[len(b)-1] ^= 1
		chain.Certificates[0].Certificate = b
	})
	if _, err = f.Refresh(c.ctx, c.client(f)); err == nil {
		t.Error("an altered certificate is accepted")
	}
	// What was accepted stands with its own entry; a custodian who sees the
	// certificate for the first time wants it.
	tell(c, "/custody", func(chain *apitype.CustodyChain) { chain.Certificates[0].Opening = nil })
	late := c.reopen("firm-2")
	if _, err = late.Refresh(c.ctx, c.client(late)); err != nil || late.KeySet().Digest() != f.KeySet().Digest() {
		t.Errorf("an accepted certificate is lost: %v", err)
	}
	first := c.custodian("firm-4")
	if _, err = first.Refresh(c.ctx, c.client(first)); err == nil || first.KeySet() != nil {
		t.Error("a certificate without its entry is accepted")
	}
	c.lies.Store(nil)
	if _, err = first.Refresh(c.ctx, c.client(first)); err != nil || first.KeySet() == nil {
		t.Errorf("a certificate with its entry: %v", err)
	}
}
