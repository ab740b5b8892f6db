package remote

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"bonded"
	"bonded/internal/wire"
)

// MaxInFlight is how many requests of one connection are served at a time; the
// next is not read before one of them is answered.
const MaxInFlight = 64

// MaxConns is how many connections one [Serve] holds at a time; more are
// closed at once.
const MaxConns = 256

// acceptPause is how long [Serve] waits after a connection that could not be
// accepted.
const acceptPause = 100 * time.Millisecond

// A Handler begins one request. Requests of one connection begin in the order
// they came, one after the other; what takes time belongs into the function it
// returns, which runs beside others and gives the answer. An error becomes an
// error frame; one that is no [bonded.Error] is shown as internal only. The
// payload of an answer is wiped after it is sent.
type Handler func(ctx context.Context, peer Peer, kind byte, payload []byte) func() ([]byte, error)

// Serve accepts connections on ln and serves them until ctx ends, then closes
// ln and every connection and returns when all are done. Make ln with
// [Listen] and [ServerTLS], or a Unix socket in a folder that only
// its owner may enter.
func Serve(ctx context.Context, ln net.Listener, h Handler, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	slots := make(chan struct{}, MaxConns)
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of files or memory: what is served ends some day.
			log.LogAttrs(ctx, slog.LevelError, "accept connection", slog.Any("error", err))
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			serveConn(ctx, c, h, log)
		})
	}
}

func serveConn(ctx context.Context, c net.Conn, h Handler, log *slog.Logger) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { _ = c.Close() }()

	// 1. Who is there.
	if t := tlsOf(c); t != nil {
		hctx, done := context.WithTimeout(ctx, DialTimeout)
		err := t.HandshakeContext(hctx)
		done()
		if err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "refused connection", slog.String("addr", c.RemoteAddr().String()), slog.Any("error", err))
			return
		}
	}
	if p, ok := c.(*pinned); ok {
		go recheck(ctx, p.Conn, p.conf, func(err error) {
			log.LogAttrs(ctx, slog.LevelWarn, "closed connection", slog.String("addr", c.RemoteAddr().String()), slog.Any("error", err))
			_ = c.Close()
		})
	}
	s := &serverConn{c: c, h: h, peer: peerOf(c), log: log}

	// 2. Requests, begun in order, answered as they are ready.
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	slots := make(chan struct{}, MaxInFlight)
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		slots <- struct{}{}
		kind, id, payload, err := readFrame(r)
		if err != nil {
			if errors.Is(err, errFrame) {
				log.LogAttrs(ctx, slog.LevelWarn, "closed connection", slog.String("addr", s.peer.Addr), slog.Any("error", err))
			}
			return
		}
		finish := h(ctx, s.peer, kind, payload)
		wg.Go(func() {
			defer func() { <-slots }()
			s.answer(ctx, kind, id, finish)
		})
	}
}

type serverConn struct {
	c    net.Conn
	h    Handler
	peer Peer
	log  *slog.Logger

	mu  sync.Mutex
	buf []byte
}

func (s *serverConn) answer(ctx context.Context, kind byte, id uint64, finish func() ([]byte, error)) {
	payload, err := finish()
	if err != nil {
		var e *bonded.Error
		if !errors.As(err, &e) {
			s.log.LogAttrs(ctx, slog.LevelError, "serve request", slog.Int("kind", int(kind)), slog.Any("error", err))
			e = bonded.Errorf(bonded.CodeInternal, "internal error")
		}
		kind, payload = byte(wire.MsgError), wire.EncodeError(e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := appendFrame(s.buf[:0], kind, id, payload)
	clear(payload)
	if err != nil {
		b, _ = appendFrame(s.buf[:0], byte(wire.MsgError), id, wire.EncodeError(bonded.Errorf(bonded.CodeTooLarge, "answer is over the limit: ask for less")))
	}
	// A peer that does not read must not hold the answers of others for ever.
	_ = s.c.SetWriteDeadline(time.Now().Add(30 * time.Second))
	if _, err := s.c.Write(b); err != nil {
		_ = s.c.Close()
	}
	clear(b)
	if s.buf = b; cap(b) > 1<<20 {
		s.buf = nil
	}
}
