//go:build unix

package ledger

import (
	"context"
	"log/slog"
	"sync"

	"k8s.io/klog/v2"
)

var quietOnce sync.Once

// quiet sends what Tessera logs through klog, which is one for the whole
// process, to logger at debug level: what matters of it comes back as errors.
func quiet(logger *slog.Logger) {
	quietOnce.Do(func() { klog.SetSlogLogger(slog.New(debugHandler{logger.Handler()})) })
}

// A debugHandler makes every record a debug record.
type debugHandler struct{ h slog.Handler }

// Enabled implements [slog.Handler].
func (d debugHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.h.Enabled(ctx, slog.LevelDebug)
}

// Handle implements [slog.Handler].
func (d debugHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.h.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (d debugHandler) WithAttrs(a []slog.Attr) slog.Handler { return debugHandler{d.h.WithAttrs(a)} }

// WithGroup implements [slog.Handler].
func (d debugHandler) WithGroup(n string) slog.Handler { return debugHandler{d.h.WithGroup(n)} }
