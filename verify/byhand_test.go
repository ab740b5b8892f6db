package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"bonded/verify"
)

// The encoding of a row written out again from spec/journal.md, with nothing
// but SHA-256 and HMAC: the specification and the code must say the same.

func leb(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func text(b []byte, s string) []byte { return append(leb(b, uint64(len(s))), s...) }

func texts(b []byte, ss []string) []byte {
	b = leb(b, uint64(len(ss)))
	for _, s := range ss {
		b = text(b, s)
	}
	return b
}

func ref(b []byte, r verify.RowRef) []byte {
	return leb(leb(leb(b, uint64(r.Node)), r.Incarnation), r.Seq)
}

func optional(b []byte, h [32]byte) []byte {
	if h == ([32]byte{}) {
		return append(b, 0)
	}
	return append(append(b, 1), h[:]...)
}

func headByHand(r *verify.Row) []byte {
	b := text([]byte{1}, string(r.Cell))
	b = leb(ref(b, r.RowRef), r.Time)
	b = append(b, byte(r.Operation), byte(r.Outcome))
	b = text(text(b, string(r.Code)), r.Principal)
	b = append(b, byte(r.Assurance), map[bool]byte{true: 1}[r.Resolved])
	b = text(text(text(text(b, r.Collection), string(r.Purpose)), r.Reason), r.Basis)
	b = append(texts(b, r.Rules), r.RequestID[:]...)
	b = optional(optional(b, r.Digest), r.Policy)
	b = leb(ref(b, r.Refers), r.Count)
	return leb(b, uint64(len(r.Items)))
}

func itemByHand(it *verify.RowItem) []byte {
	b := append(append([]byte(nil), it.Subject[:]...), it.Record[:]...)
	return texts(texts(b, it.Fields), it.Index)
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// rowByHand returns the head, the items, the item leaves, the items root and
// the row leaf.
func rowByHand(r *verify.Row, salt verify.Salt) (head []byte, items, leaves [][]byte, root, leaf []byte) {
	for i := range r.Items {
		it := itemByHand(&r.Items[i])
		key := mac(salt[:], []byte("bonded/row-item/1"), binary.BigEndian.AppendUint32(nil, uint32(i)))
		h := sha256.Sum256(append([]byte{0}, mac(key, it)...))
		items, leaves = append(items, it), append(leaves, h[:])
	}
	root = merkle(leaves)
	head = headByHand(r)
	return head, items, leaves, root, mac(mac(salt[:], []byte("bonded/row-head/1"), make([]byte, 4)), head, root)
}

// merkle is the Merkle tree hash of RFC 6962 section 2.1 over leaf hashes.
func merkle(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		h := sha256.Sum256(nil)
		return h[:]
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	h := sha256.Sum256(append(append([]byte{1}, merkle(leaves[:k])...), merkle(leaves[k:])...))
	return h[:]
}
