package vault

import (
	"context"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/succession"
	"bonded/internal/wire"
)

// valueCustody is the name of the key set kept by [Tx.SetValue].
const valueCustody = "custodians"

// custodians are the custodians in force, as the vault needs them.
type custodians struct {
	keySet    *quorum.KeySet
	encryptor *quorum.Encryptor
}

func (c *custodians) of() *quorum.KeySet {
	if c == nil {
		return nil
	}
	return c.keySet
}

func newCustodians(ks *quorum.KeySet) (*custodians, error) {
	e, err := quorum.NewEncryptor(ks.ReleaseKey())
	if err != nil {
		return nil, err
	}
	return &custodians{ks, e}, nil
}

// loadCustody reads the custodians accepted last. A schema with quorum fields
// needs some.
func (v *Vault) loadCustody(ctx context.Context) error {
	b, err := v.store.Value(ctx, valueCustody)
	if err != nil {
		return err
	}
	if b == nil {
		if at, ok := v.cfg.Schema.quorumField(); ok {
			e := *problemOf(noCustodians())
			e.Field = "collections." + at + ".custody"
			return &e
		}
		return nil
	}
	ks, err := quorum.ParseKeySet(b)
	if err != nil {
		return altered(err)
	}
	c, err := newCustodians(ks)
	if err != nil {
		return altered(err)
	}
	v.custody.Store(c)
	return nil
}

// SetCustody puts the custodians of a chain in force, here and at the
// keyholder: each party follows the chain by itself. The new release key is the
// one that quorum fields are sealed under from then on; it never changes. What
// is in force before the error stays, and giving the chain again is harmless.
// Errors are those of [succession.Trust.Follow], and of the line.
func (v *Vault) SetCustody(ctx context.Context, links []succession.Link) error {
	// 1. By our own directory.
	trust, err := succession.TrustOf(v.cfg.Directory, v.cfg.Cell)
	if err != nil {
		return err
	}
	have := v.custody.Load()
	newest, err := trust.Follow(have.of(), links)
	if err != nil {
		return err
	}

	// 2. By the keyholder's.
	q := &wire.Custody{Links: make([]wire.CustodyLink, len(links))}
	for i := range links {
		q.Links[i] = wire.CustodyLink(links[i])
	}
	res, err := v.cfg.Keys.Custody(ctx, q)
	if err != nil {
		return v.lineError(err)
	}
	if newest == nil || newest == have.of() {
		return nil
	}
	if res.KeySet != newest.Digest() {
		return bonded.Errorf(bonded.CodeKeyholderRefused, "the keyholder has the custodians of epoch %d in force and this vault those of epoch %d", res.Epoch, newest.Epoch())
	}

	// 3. Durable, then in force.
	next, err := newCustodians(newest)
	if err != nil {
		return err
	}
	if _, err := v.store.Commit(ctx, nil, func(tx Tx) error { return tx.SetValue(valueCustody, newest.Bytes()) }); err != nil {
		return notWritable(err)
	}
	v.custody.Store(next)
	return nil
}

// KeySet returns the custodians' key set in force, nil before the first
// ceremony.
func (v *Vault) KeySet() *quorum.KeySet { return v.custody.Load().of() }
