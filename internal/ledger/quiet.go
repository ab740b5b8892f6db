//go:build unix

package ledger

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"bonded"

	"k8s.io/klog/v2"
)

var (
	quietOnce sync.Once

	openMu      sync.Mutex
	openLedgers = map[*Ledger]struct{}{} // who is told of disk faults
)

// quiet sends what Tessera logs through klog, which is one for the whole
// process, to logger at debug level: what matters of it comes back as errors.
// One thing does not: an I/O error in the background publisher. It is picked
// out of the text here.
func quiet(logger *slog.Logger) {
	quietOnce.Do(func() { klog.SetSlogLogger(slog.New(debugHandler{logger.Handler()})) })
}

// listen has l told of disk faults until the function it returns is called.
func (l *Ledger) listen() (stop func()) {
	openMu.Lock()
	defer openMu.Unlock()
	openLedgers[l] = struct{}{}
	return func() {
		openMu.Lock()
		defer openMu.Unlock()
		delete(openLedgers, l)
	}
}

// A debugHandler makes every record a debug record.
type debugHandler struct{ h slog.Handler }

// Enabled implements [slog.Handler]. klog hands its warnings on as info records,
// so those are always looked at.
func (d debugHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || d.h.Enabled(ctx, slog.LevelDebug)
}

// Handle implements [slog.Handler].
func (d debugHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && strings.Contains(r.Message, syscall.EIO.Error()) {
		openMu.Lock()
		for l := range openLedgers {
			l.fail(bonded.Errorf(bonded.CodeNotWritable, "the ledger's disk has failed while publishing"))
		}
		openMu.Unlock()
	}
	if !d.h.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	r.Level = slog.LevelDebug
	return d.h.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (d debugHandler) WithAttrs(a []slog.Attr) slog.Handler { return debugHandler{d.h.WithAttrs(a)} }

// WithGroup implements [slog.Handler].
func (d debugHandler) WithGroup(n string) slog.Handler { return debugHandler{d.h.WithGroup(n)} }
