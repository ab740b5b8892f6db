package keyholder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// Progress is how far this keyholder has come, kept in a small file apart from
// its database: whoever puts back an old copy of the database alone, by
// mistake or not, is found out at the next unseal, without anybody's help. A
// copy of the whole folder is not found out by it.
type Progress struct {
	Format     string        `json:"format"`
	Cell       bonded.CellID `json:"cell"`
	Anchor     int64         `json:"anchor"` // place in the ledger of the newest accepted anchor; 0 if there is none
	Tombstones uint64        `json:"tombstones"`
	Seq        uint64        `json:"seq"`   // durable rows of the book
	Chain      []byte        `json:"chain"` // chain hash after them
	Sig        []byte        `json:"sig"`   // by the keyholder, see message
}

// ProgressFormat is the format of the file.
const ProgressFormat = "bonded/progress/1"

// progressEvery is how often progress is kept at most, destructions apart.
const progressEvery = 5 * time.Second

func (p *Progress) message() []byte {
	return canon.LP([]byte(ProgressFormat), []byte(p.Cell), canon.U64(uint64(p.Anchor)), canon.U64(p.Tombstones), canon.U64(p.Seq), p.Chain) //nolint:gosec // never negative
}

// keeper writes progress. It has a lock of its own: a file is written while
// others decide.
type keeper struct {
	mu   sync.Mutex
	last Progress
	at   time.Time
}

// progress returns where p leaves the keyholder, to be kept once p is durable.
// The caller holds mu.
func (k *Keyholder) progress(p *pending) *Progress {
	g := &Progress{
		Format: ProgressFormat, Cell: k.cfg.Cell, Anchor: k.fresh.index, Tombstones: k.state.tombs,
		Seq: p.head.Seq, Chain: bytes.Clone(p.head.Chain[:]),
	}
	g.Sig = ed25519.Sign(k.keys.sign, g.message())
	return g
}

// keep writes progress that is durable. Without always it does so at most
// every few seconds, and an error is only logged.
func (k *Keyholder) keep(g *Progress, always bool) error {
	if k.cfg.Progress == nil {
		return nil
	}
	w := &k.kept
	w.mu.Lock()
	defer w.mu.Unlock()
	now := k.cfg.Now()
	if g.Seq < w.last.Seq || g.Tombstones < w.last.Tombstones || g.Anchor < w.last.Anchor {
		return nil // overtaken by a later one
	}
	if since := now.Sub(w.at); !always && since >= 0 && since < progressEvery {
		return nil
	}
	b, err := json.Marshal(g)
	if err == nil {
		err = k.cfg.Progress.Save(append(b, '\n'))
	}
	if err != nil {
		k.log.LogAttrs(context.Background(), slog.LevelError, "progress of the keyholder not kept", slog.Any("error", err))
		return bonded.Wrap(bonded.CodeNotWritable, err, "the keyholder's progress cannot be written")
	}
	w.last, w.at = *g, now
	return nil
}

// checkProgress holds the book that was read against the progress kept. The
// caller holds mu.
func (k *Keyholder) checkProgress(ctx context.Context) error {
	if k.cfg.Progress == nil {
		return nil
	}
	file, err := k.cfg.Progress.Load()
	if errors.Is(err, fs.ErrNotExist) {
		if k.state.seq > 0 {
			k.log.LogAttrs(ctx, slog.LevelWarn, "no progress is kept beside the keyring: only the ledger says whether this database is the newest")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	g := new(Progress)
	if err := json.Unmarshal(file, g); err != nil || g.Format != ProgressFormat || g.Cell != k.cfg.Cell || len(g.Chain) != 32 ||
		!ed25519.Verify(k.keys.public(), g.message(), g.Sig) {
		return bonded.Errorf(bonded.CodeAltered, "the progress kept beside the keyring is altered, or of another keyholder")
	}
	// The book ends before it, or had another course: a copy was put back.
	_ = k.extends(&verify.Head{Seq: g.Seq, Chain: [32]byte(g.Chain)}) // latched in restored
	if g.Tombstones > k.state.tombs {
		_ = k.isRestored(fmt.Sprintf("there are %d tombstones and there have been %d", k.state.tombs, g.Tombstones))
	}
	if g.Anchor > k.fresh.index {
		_ = k.isRestored(fmt.Sprintf("anchor %d of the ledger was accepted and the database knows %d", g.Anchor, k.fresh.index))
	}
	return nil
}
