package keyholder

import (
	"context"
	"encoding/binary"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// Handle begins one message of a vault and returns what finishes it, see
// package remote for the order of both. The answer may hold keys: wipe it
// after it is sent.
func (k *Keyholder) Handle(ctx context.Context, kind wire.Message, payload []byte) func() ([]byte, error) {
	malformed := func() ([]byte, error) {
		return nil, bonded.Errorf(bonded.CodeInvalid, "malformed message")
	}
	switch kind {
	case wire.MsgUnlock:
		u, err := wire.DecodeUnlock(payload)
		if err != nil {
			return malformed
		}
		finish := k.Unlock(u)
		return func() ([]byte, error) {
			res, err := finish()
			if err != nil {
				return nil, err
			}
			defer wipeResult(res)
			return wire.EncodeUnlockResult(res), nil
		}
	case wire.MsgHello:
		h, err := wire.DecodeHello(payload)
		if err != nil {
			return malformed
		}
		return encoded(k.Hello(ctx, h), (*wire.Hello).Encode)
	case wire.MsgChallenge:
		c, err := k.Challenge()
		return func() ([]byte, error) { return c[:], err }
	case wire.MsgSession:
		o, err := wire.DecodeOpenSession(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*wire.Session, error) { return k.OpenSession(ctx, o) }, (*wire.Session).Encode)
	case wire.MsgDestroy:
		d, err := wire.DecodeDestroy(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*verify.Tombstone, error) { return k.Destroy(ctx, d) }, wire.EncodeTombstone)
	case wire.MsgAnchor:
		a, err := wire.DecodeAnchor(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*wire.AnchorResult, error) { return k.Anchor(ctx, a) }, (*wire.AnchorResult).Encode)
	case wire.MsgCatchUp:
		c, err := wire.DecodeCatchUp(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*wire.CatchUpResult, error) { return k.CatchUp(ctx, c) }, (*wire.CatchUpResult).Encode)
	case wire.MsgRelease:
		x, err := wire.DecodeRelease(payload)
		if err != nil {
			return malformed
		}
		return encoded(k.Release(x), (*wire.ReleaseResult).Encode)
	case wire.MsgCustody:
		c, err := wire.DecodeCustody(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*wire.CustodyResult, error) { return k.Custody(ctx, c) }, (*wire.CustodyResult).Encode)
	case wire.MsgEvidence:
		e, err := wire.DecodeEvidence(payload)
		if err != nil {
			return malformed
		}
		return later(func() func() (*wire.EvidenceResult, error) { return k.Evidence(ctx, e) }, (*wire.EvidenceResult).Encode)
	case wire.MsgBook:
		s, err := wire.DecodeBookSince(payload)
		if err != nil || s.Limit > 4096 {
			return malformed
		}
		return func() ([]byte, error) {
			rows, err := k.Book(ctx, s.After, int(s.Limit)) //nolint:gosec // at most 4,096
			return (&wire.List{Items: rows}).Encode(), err
		}
	case wire.MsgStatus:
		return encoded(k.Status(ctx), (*wire.Status).Encode)
	case wire.MsgTombstones:
		if len(payload) != 8 {
			return malformed
		}
		return func() ([]byte, error) {
			ts, err := k.Tombstones(ctx, binary.BigEndian.Uint64(payload))
			l := &wire.List{}
			for _, t := range ts {
				l.Items = append(l.Items, wire.EncodeTombstone(t))
			}
			return l.Encode(), err
		}
	case wire.MsgCount:
		if len(payload) != bonded.IDSize {
			return malformed
		}
		return encoded(k.SubjectCount(ctx, bonded.ID(payload)), wire.EncodeSubjectCount)
	case wire.MsgRotate:
		return func() ([]byte, error) {
			if err := k.rotateForVault(ctx); err != nil {
				return nil, err
			}
			return encoded(k.Status(ctx), (*wire.Status).Encode)()
		}
	case wire.MsgError:
	}
	return malformed
}

func encoded[T any](finish func() (*T, error), encode func(*T) []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		v, err := finish()
		if err != nil {
			return nil, err
		}
		return encode(v), nil
	}
}

// later is encoded for what need not begin in order and takes time to begin.
func later[T any](begin func() func() (*T, error), encode func(*T) []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return encoded(begin(), encode)() }
}

func wipeResult(res *wire.UnlockResult) {
	for i := range res.Entries {
		for j := range res.Entries[i].Items {
			clear(res.Entries[i].Items[j].Keys)
		}
	}
}
