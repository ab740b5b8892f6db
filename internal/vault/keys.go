package vault

import (
	"context"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// A KeyService is the keyholder, seen from the vault. It is safe for
// concurrent use. It reconnects by itself and repeats nothing: a call during
// which the connection broke returns code keyholder_down, and then it is
// unknown whether the keyholder served it.
type KeyService interface {
	// Unlock sends a batch and returns once it has its place in the stream:
	// the keyholder sees batches in the order of these calls. The function
	// returned waits for the answer, until ctx ends; call it exactly once.
	Unlock(ctx context.Context, u *wire.Unlock) (wait func() (*wire.UnlockResult, error), err error)

	// Release is as Unlock, for one row of the front door.
	Release(ctx context.Context, x *wire.Release) (wait func() (*wire.ReleaseResult, error), err error)

	Hello(ctx context.Context, h *wire.Hello) (*wire.Hello, error)
	Custody(ctx context.Context, c *wire.Custody) (*wire.CustodyResult, error)
	Challenge(ctx context.Context) ([32]byte, error)
	OpenSession(ctx context.Context, s *wire.OpenSession) (*wire.Session, error)
	Destroy(ctx context.Context, d *wire.Destroy) (*verify.Tombstone, error)
	Book(ctx context.Context, after, limit uint64) ([][]byte, error)
	Status(ctx context.Context) (*wire.Status, error)
	SubjectCount(ctx context.Context, subject bonded.ID) (*verify.SubjectCount, error)
	Tombstones(ctx context.Context, from uint64) ([]*verify.Tombstone, error)
	Rotate(ctx context.Context) (*wire.Status, error)
}

// A Stream sends requests to the keyholder in the order of its Begin calls.
type Stream interface {
	wire.Caller
	// Begin sends one request and returns once it has its place in the stream.
	Begin(ctx context.Context, kind byte, payload []byte) (wait func() ([]byte, error), err error)
}

// Line is a [KeyService] over a [Stream].
type Line struct {
	wire.Line
	Stream Stream
}

// NewLine returns the keyholder at the other end of s.
func NewLine(s Stream) Line { return Line{wire.Line{Caller: s}, s} }

// Unlock implements [KeyService].
func (l Line) Unlock(ctx context.Context, u *wire.Unlock) (func() (*wire.UnlockResult, error), error) {
	wait, err := l.Stream.Begin(ctx, byte(wire.MsgUnlock), wire.EncodeUnlock(u))
	if err != nil {
		return nil, err
	}
	return func() (*wire.UnlockResult, error) {
		b, err := wait()
		if err != nil {
			return nil, err
		}
		defer clear(b) // the decoded result holds copies
		return wire.DecodeUnlockResult(b)
	}, nil
}

// Release implements [KeyService].
func (l Line) Release(ctx context.Context, x *wire.Release) (func() (*wire.ReleaseResult, error), error) {
	wait, err := l.Stream.Begin(ctx, byte(wire.MsgRelease), x.Encode())
	if err != nil {
		return nil, err
	}
	return func() (*wire.ReleaseResult, error) {
		b, err := wait()
		if err != nil {
			return nil, err
		}
		return wire.DecodeReleaseResult(b)
	}, nil
}

// wipeKeys overwrites the field keys of an answer.
func wipeKeys(r *wire.EntryResult) {
	if r == nil {
		return
	}
	for i := range r.Items {
		for k := range r.Items[i].Keys {
			clear(r.Items[i].Keys[k][:])
		}
	}
}
