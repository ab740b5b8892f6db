//go:build unix

package ledger

import (
	"bytes"

	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// A Receipt says that an entry is in the log under a checkpoint that the
// witness policy's quorum has cosigned. Only a [Ledger] makes one: steps
// that must come after an entry take it as an argument and refuse the zero
// value. That is a guard against accident; a stranger is shown [Receipt.Proof].
type Receipt struct {
	index int64
	leaf  tlog.Hash
	proof []byte
	cp    *verify.Checkpoint
}

// Valid reports whether r came from a [Ledger]. The zero Receipt is not
// valid, and its other methods return zero values.
func (r Receipt) Valid() bool { return r.cp != nil }

// Index returns the entry's place in the log, counted from 0.
func (r Receipt) Index() int64 { return r.index }

// LeafHash returns the RFC 6962 hash of the entry.
func (r Receipt) LeafHash() tlog.Hash { return r.leaf }

// Proof returns a c2sp.org/tlog-proof@v1 for [verify.CheckInclusion].
func (r Receipt) Proof() []byte { return bytes.Clone(r.proof) }

// Checkpoint returns the cosigned checkpoint, verified. It must not be
// changed.
func (r Receipt) Checkpoint() *verify.Checkpoint { return r.cp }
