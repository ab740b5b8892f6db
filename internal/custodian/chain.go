package custodian

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/custody"
	"bonded/internal/quorum"
	"bonded/internal/remote"
	"bonded/verify"
)

// An accepted key set is one whose certificate this custodian has verified
// down to the first, each in the ledger under a cosigned checkpoint.
type accepted struct {
	link    apitype.CustodyLink
	set     *quorum.KeySet
	content [32]byte // digest of the certificate
}

// last returns the key set in force, nil before the first. The caller holds
// mu or is alone.
func (f *Folder) last() *accepted {
	if len(f.chain) == 0 {
		return nil
	}
	return f.chain[len(f.chain)-1]
}

// KeySet returns the key set in force, nil before the first.
func (f *Folder) KeySet() *quorum.KeySet {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.last(); a != nil {
		return a.set
	}
	return nil
}

// verifyChain verifies certificates from the first on and returns them with
// what [verify] makes of them.
func (f *Folder) verifyChain(links []apitype.CustodyLink) ([]*accepted, *verify.CustodyChain, error) {
	if len(links) == 0 {
		return nil, nil, &bonded.Error{Code: bonded.CodeWithheld, Message: "the cell has no custodians yet", Hint: "bonded-custodian join takes part in the first ceremony"}
	}
	if links[0].Order == nil {
		return nil, nil, verify.Fail(verify.FailCustody, "the first key set is shown without the order of its ceremony")
	}
	chain, err := verify.NewCustodyChain(f.all, f.conf.Cell, links[0].Order)
	if err != nil {
		return nil, nil, err
	}
	var out []*accepted
	var group custody.Chain
	for i := range links {
		l := &links[i]
		set, err := group.Certificate(l.Certificate)
		if err != nil {
			return nil, nil, err
		}
		if l.Opening == nil {
			return nil, nil, verify.Fail(verify.FailEntry, "a key set is shown without its entry in the ledger")
		}
		if err := chain.Add(set, &verify.PackageEntry{Opening: l.Opening, Proof: []byte(l.Proof)}); err != nil {
			return nil, nil, err
		}
		out = append(out, &accepted{*l, group.Current(), set.Content})
	}
	return out, chain, nil
}

// Refresh asks for the certificates of the key sets, verifies those that are
// new, and puts them in force. It reports whether this custodian's share of
// the newest is in force now; a share of another key set is erased then. What
// was accepted before is never taken back: a shorter chain, or another one, is
// an error with code restored_old.
func (f *Folder) Refresh(ctx context.Context, door Door) (bool, error) {
	c, err := door.Custody(ctx)
	if err != nil {
		return false, err
	}
	unlock, err := f.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	if len(c.Certificates) == 0 && len(f.chain) == 0 {
		return false, nil
	}
	if f.known(c.Certificates) {
		return f.takeUp()
	}
	chain, _, err := f.verifyChain(c.Certificates)
	if err != nil {
		return false, err
	}
	for i, a := range f.chain {
		if i >= len(chain) || chain[i].set.Digest() != a.set.Digest() {
			return false, bonded.Errorf(bonded.CodeRestored, "the front door shows another history of the custodians than the one accepted here: epoch %d is missing or different", a.set.Epoch())
		}
	}
	if len(chain) > len(f.chain) {
		b, err := json.Marshal(c)
		if err != nil {
			return false, err
		}
		if err := remote.WriteFile(filepath.Join(f.dir, fileCustody), append(b, '\n')); err != nil {
			return false, err
		}
		f.chain = chain
	}
	return f.takeUp()
}

// known reports whether certificates are those that were accepted, which needs
// no verification again. The caller holds mu.
func (f *Folder) known(links []apitype.CustodyLink) bool {
	return slices.EqualFunc(links, f.chain, func(l apitype.CustodyLink, a *accepted) bool { return bytes.Equal(l.Certificate, a.link.Certificate) })
}

// takeUp adopts the share that belongs to the key set in force, and erases one
// that does not. The caller holds mu.
func (f *Folder) takeUp() (bool, error) {
	set := f.last().set
	for _, a := range f.chain {
		if _, err := f.adopt(a.content); err != nil {
			return false, err
		}
	}
	if len(f.sec.Share) == 0 {
		return false, nil
	}
	share, err := quorum.ParseShare(f.sec.Share)
	if err != nil {
		return false, bonded.Wrap(bonded.CodeAltered, err, "the share in the folder cannot be read")
	}
	if share.KeySet() == set.Digest() {
		return true, nil
	}
	if share.Epoch() < set.Epoch() { // handed on: a quorum of old shares would open for ever
		share.Erase()
		clear(f.sec.Share)
		f.sec.Share = nil
		return false, f.save()
	}
	return false, nil
}

// loadChain reads and verifies what was accepted before.
func (f *Folder) loadChain() error {
	b, err := os.ReadFile(filepath.Join(f.dir, fileCustody))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the accepted key sets cannot be read")
	}
	c := new(apitype.CustodyChain)
	if err := json.Unmarshal(b, c); err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the accepted key sets cannot be read")
	}
	f.chain, _, err = f.verifyChain(c.Certificates)
	return err
}

// proven returns the chain in force as package verify needs it. The caller
// holds mu.
func (f *Folder) proven() (*verify.CustodyChain, error) {
	links := make([]apitype.CustodyLink, len(f.chain))
	for i, a := range f.chain {
		links[i] = a.link
	}
	_, chain, err := f.verifyChain(links)
	return chain, err
}
