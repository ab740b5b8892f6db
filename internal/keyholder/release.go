package keyholder

import (
	"context"
	"crypto/ed25519"

	"bonded"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// derive computes the field keys and outer index values of every item that was
// not refused. It runs while the book is being written. An item whose subject
// key does not open gets code altered: the book counts it as released, which
// errs on the right side.
func (b *batch) derive(k *Keyholder, u *wire.Unlock) {
	at := 0
	for i := range u.Entries {
		e := &u.Entries[i]
		for j := range e.Items {
			if res := &b.result.Entries[i].Items[j]; res.Code == "" {
				b.deriveItem(k, e, &e.Items[j], res, &b.fresh[at])
			}
			b.fresh[at].wipe()
			at++
		}
	}
}

func (b *batch) deriveItem(k *Keyholder, e *wire.Entry, it *wire.Item, res *wire.ItemResult, f *freshItem) {
	if len(it.Index) > 0 {
		res.Outer = make([][16]byte, len(it.Index))
		for l := range it.Index {
			sum := b.keys.outerKey(e.Collection, it.Index[l].Field).Sum(it.Index[l].Inner[:])
			copy(res.Outer[l][:], sum[:])
		}
	}
	if len(it.Fields) == 0 {
		return
	}
	sk := f.key
	if !it.Create {
		var code bonded.Code
		if sk, code = k.subjectKey(b.keys, it.Subject); code != "" {
			*res = wire.ItemResult{Code: code, N: res.N}
			return
		}
		defer sk.Wipe()
	}
	res.Keys = make([][32]byte, len(it.Fields))
	var vk seal.VersionKey
	var of bonded.ID
	for l := range it.Fields {
		v := it.Fields[l].Version
		if v.IsZero() {
			v = f.version
		}
		if v != of { // fields written together share a version
			vk.Wipe()
			vk, of = sk.VersionKey(b.keys.suite, k.cfg.Cell, e.Collection, it.Record, v), v
		}
		fk := vk.FieldKey(it.Fields[l].Name)
		raw := fk.Bytes()
		copy(res.Keys[l][:], raw)
		clear(raw)
		fk.Wipe()
	}
	vk.Wipe()
}

// subjectKey returns the unwrapped key of a subject that exists.
func (k *Keyholder) subjectKey(ks *keys, subject bonded.ID) (seal.SubjectKey, bonded.Code) {
	e, ok := k.cache.get(subject)
	if ok {
		if sk, err := ks.unwrap(k.cfg.Cell, subject, e.version, e.bytes[:]); err == nil {
			return sk, ""
		}
		k.cache.drop(subject) // wrapped under a version destroyed meanwhile
	}
	w, ok, err := k.cfg.Store.Subject(context.Background(), subject)
	if err != nil {
		return seal.SubjectKey{}, bonded.CodeInternal
	}
	if !ok {
		return seal.SubjectKey{}, bonded.CodeErased
	}
	sk, err := ks.unwrap(k.cfg.Cell, subject, w.Version, w.Wrapped)
	if err != nil {
		return seal.SubjectKey{}, bonded.CodeAltered
	}
	k.cache.put(&w)
	return sk, ""
}

func (k *keys) unwrap(cell bonded.CellID, subject bonded.ID, version uint32, wrapped []byte) (seal.SubjectKey, error) {
	return seal.UnwrapSubjectKey(k.suite, k.cell[version], cell, subject, version, wrapped)
}

// wipe forgets the keys of a batch that is not answered.
func (b *batch) wipe() {
	for i := range b.result.Entries {
		for j := range b.result.Entries[i].Items {
			clear(b.result.Entries[i].Items[j].Keys)
		}
	}
}

// signHead signs where the book stands.
func (k *keys) signHead(h verify.Head) verify.Head {
	copy(h.Sig[:], ed25519.Sign(k.sign, h.Message()))
	return h
}
