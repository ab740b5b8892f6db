//go:build unix

package node

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/remote"
)

// Waits between attempts to reach the keyholder.
const (
	redialMin = 50 * time.Millisecond
	redialMax = 2 * time.Second
)

// A stream is the vault's connection to its keyholder. It dials anew when the
// connection is gone, never repeats a request, and says Up on each new
// connection, so that the vault can compare books before it asks for keys.
type stream struct {
	addr string
	conf *tls.Config
	log  *slog.Logger
	up   chan struct{} // holds at most one: a connection was made

	mu   sync.Mutex
	conn *remote.Conn
	last error
}

func newStream(addr string, conf *tls.Config, log *slog.Logger) *stream {
	return &stream{
		addr: addr, conf: conf, log: log, up: make(chan struct{}, 1),
		last: bonded.Errorf(bonded.CodeKeyholder, "not connected to the keyholder yet"),
	}
}

// Up receives after each new connection.
func (s *stream) Up() <-chan struct{} { return s.up }

// run keeps the connection until ctx ends.
func (s *stream) run(ctx context.Context) {
	wait := redialMin
	for ctx.Err() == nil {
		conn, err := remote.Dial(ctx, s.addr, s.conf)
		s.mu.Lock()
		s.conn, s.last = conn, err
		s.mu.Unlock()
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelDebug, "keyholder not reached", slog.Any("error", err))
			wait = s.pause(ctx, wait)
			continue
		}
		since := time.Now()
		select {
		case s.up <- struct{}{}:
		default:
		}
		select {
		case <-conn.Done():
			s.log.LogAttrs(ctx, slog.LevelWarn, "connection to the keyholder ended", slog.Any("error", conn.Err()))
		case <-ctx.Done():
			_ = conn.Close() // its error says only that we closed it
		}
		// In TLS 1.3 a server that refuses our certificate ends a connection
		// that was made already: without a pause we would dial without end.
		if time.Since(since) > redialMax {
			wait = redialMin
		} else {
			wait = s.pause(ctx, wait)
		}
	}
}

// pause waits and returns how long to wait the next time.
func (s *stream) pause(ctx context.Context, wait time.Duration) time.Duration {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return min(2*wait, redialMax)
}

func (s *stream) current() (*remote.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn, s.last
}

// Call implements wire.Caller.
func (s *stream) Call(ctx context.Context, kind byte, payload []byte) ([]byte, error) {
	conn, err := s.current()
	if err != nil {
		return nil, err
	}
	return conn.Call(ctx, kind, payload)
}

// Begin implements vault.Stream.
func (s *stream) Begin(ctx context.Context, kind byte, payload []byte) (func() ([]byte, error), error) {
	conn, err := s.current()
	if err != nil {
		return nil, err
	}
	return conn.Begin(ctx, kind, payload)
}
