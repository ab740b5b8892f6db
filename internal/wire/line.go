package wire

import (
	"context"

	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// A Caller sends one request and returns the payload of its answer; package
// remote has one. It must be safe for concurrent use.
type Caller interface {
	Call(ctx context.Context, kind byte, payload []byte) ([]byte, error)
}

// A Line is the typed client of a keyholder over a [Caller]. Errors are those
// of the Caller, and [canon.ErrMalformed] for an answer that does not decode.
type Line struct{ Caller Caller }

func call[T any](ctx context.Context, l Line, kind Message, payload []byte, decode func([]byte) (T, error)) (T, error) {
	b, err := l.Caller.Call(ctx, byte(kind), payload)
	if err != nil {
		var zero T
		return zero, err
	}
	return decode(b)
}

// Hello opens the stream: it says where the vault's books stand and returns
// where the keyholder's do.
func (l Line) Hello(ctx context.Context, h *Hello) (*Hello, error) {
	return call(ctx, l, MsgHello, h.Encode(), DecodeHello)
}

// Unlock asks for the keys of one batch. The caller wipes them after use.
func (l Line) Unlock(ctx context.Context, u *Unlock) (*UnlockResult, error) {
	return call(ctx, l, MsgUnlock, EncodeUnlock(u), func(b []byte) (*UnlockResult, error) {
		defer clear(b) // the decoded result holds copies
		return DecodeUnlockResult(b)
	})
}

// Challenge returns 32 bytes that are good for one session and one minute.
func (l Line) Challenge(ctx context.Context) (c [32]byte, err error) {
	return call(ctx, l, MsgChallenge, nil, func(b []byte) ([32]byte, error) {
		r := canon.NewReader(b)
		r.Fixed(c[:])
		return c, r.Done()
	})
}

// OpenSession relays a principal's request for a session.
func (l Line) OpenSession(ctx context.Context, s *OpenSession) (*Session, error) {
	return call(ctx, l, MsgSession, s.Encode(), DecodeSession)
}

// Destroy asks for the destruction of a subject key. Asking again returns the
// tombstone there is.
func (l Line) Destroy(ctx context.Context, d *Destroy) (*verify.Tombstone, error) {
	return call(ctx, l, MsgDestroy, d.Encode(), DecodeTombstone)
}

// Anchor shows an anchor leaf under a cosigned checkpoint.
func (l Line) Anchor(ctx context.Context, a *Anchor) (*AnchorResult, error) {
	return call(ctx, l, MsgAnchor, a.Encode(), DecodeAnchorResult)
}

// CatchUp shows an entry of the ledger that is no anchor, or asks which entry
// comes next.
func (l Line) CatchUp(ctx context.Context, c *CatchUp) (*CatchUpResult, error) {
	return call(ctx, l, MsgCatchUp, c.Encode(), DecodeCatchUpResult)
}

// Evidence shows that the ledger announces a grant set, a policy or a version
// of the directory, and says when the keyholder puts it in force.
func (l Line) Evidence(ctx context.Context, e *Evidence) (*EvidenceResult, error) {
	return call(ctx, l, MsgEvidence, e.Encode(), DecodeEvidenceResult)
}

// Book returns the canonical bytes of at most limit rows after a sequence
// number; fewer only at the end of the book.
func (l Line) Book(ctx context.Context, after, limit uint64) ([][]byte, error) {
	var rows [][]byte
	for uint64(len(rows)) < limit {
		s := BookSince{After: after + uint64(len(rows)), Limit: limit - uint64(len(rows))}
		list, err := call(ctx, l, MsgBook, s.Encode(), DecodeList)
		if err != nil {
			return nil, err
		}
		if len(list.Items) == 0 {
			break // one answer may hold fewer because a frame is full
		}
		rows = append(rows, list.Items...)
	}
	return rows, nil
}

// Status says how the keyholder stands.
func (l Line) Status(ctx context.Context) (*Status, error) {
	return call(ctx, l, MsgStatus, nil, DecodeStatus)
}

// Tombstones returns the tombstones from number n on, at most 4,096.
func (l Line) Tombstones(ctx context.Context, from uint64) ([]*verify.Tombstone, error) {
	list, err := call(ctx, l, MsgTombstones, canon.U64(from), DecodeList)
	if err != nil {
		return nil, err
	}
	ts := make([]*verify.Tombstone, len(list.Items))
	for i, b := range list.Items {
		if ts[i], err = DecodeTombstone(b); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

// SubjectCount returns the keyholder's signed count of a subject's releases.
func (l Line) SubjectCount(ctx context.Context, subject bonded.ID) (*verify.SubjectCount, error) {
	return call(ctx, l, MsgCount, subject[:], DecodeSubjectCount)
}

// Release asks for keys of a case, sealed to its requester.
func (l Line) Release(ctx context.Context, x *Release) (*ReleaseResult, error) {
	return call(ctx, l, MsgRelease, x.Encode(), DecodeReleaseResult)
}

// Custody shows the custodians' key sets, or asks which one is in force.
func (l Line) Custody(ctx context.Context, c *Custody) (*CustodyResult, error) {
	return call(ctx, l, MsgCustody, c.Encode(), DecodeCustodyResult)
}

// Rotate makes a new version of the cell key and begins to re-wrap.
func (l Line) Rotate(ctx context.Context) (*Status, error) {
	return call(ctx, l, MsgRotate, nil, DecodeStatus)
}
