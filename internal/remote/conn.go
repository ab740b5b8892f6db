package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"bonded"
	"bonded/internal/wire"
)

// DialTimeout bounds connecting and the handshake.
const DialTimeout = 10 * time.Second

// A Conn is the asking end of a connection: many calls may be in flight. It
// does not reconnect: when it is [Conn.Done], dial anew. It is safe for
// concurrent use.
type Conn struct {
	c net.Conn

	writeMu sync.Mutex
	buf     []byte // scratch of the writer

	mu    sync.Mutex
	next  uint64
	calls map[uint64]chan answer
	err   error // why it ended; set once
	done  chan struct{}
}

type answer struct {
	kind    byte
	payload []byte
}

// Dial connects to a server over mutual TLS; conf comes from [ClientTLS]. Its
// errors are [bonded.Error] with code keyholder_down, or unauthenticated if
// the other end is not who it must be. When it ceases to be, because its
// certificate ends or conf pins another authority, the connection ends.
func Dial(ctx context.Context, addr string, conf *tls.Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{}, Config: conf}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, dialError(err, addr)
	}
	conn := newConn(c)
	if t := tlsOf(c); t != nil {
		conn.watch(t, conf)
	}
	return conn, nil
}

// watch ends the connection when its server is not to be believed any more.
func (c *Conn) watch(t *tls.Conn, conf *tls.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-c.done
		cancel()
	}()
	go recheck(ctx, t, conf, func(err error) {
		c.fail(bonded.Wrap(bonded.CodeKeyholder, err, "connection ended: its certificate is not to be believed any more"))
	})
}

// DialLocal connects to a Unix socket.
func DialLocal(ctx context.Context, path string) (*Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, dialError(err, path)
	}
	return newConn(c), nil
}

func dialError(err error, addr string) error {
	if bonded.CodeOf(err) == bonded.CodeUnauthenticated {
		return err
	}
	return bonded.Wrap(bonded.CodeKeyholder, err, "no connection to "+addr)
}

func newConn(c net.Conn) *Conn {
	conn := &Conn{c: c, calls: map[uint64]chan answer{}, done: make(chan struct{})}
	go conn.read()
	return conn
}

// Call sends one request and waits for its answer. An error the other end
// answered is a [bonded.Error] with its code; a broken connection is one with
// code keyholder_down, and then it is unknown whether the request was served.
// When ctx ends the call returns and its answer is dropped.
func (c *Conn) Call(ctx context.Context, kind byte, payload []byte) ([]byte, error) {
	wait, err := c.Begin(ctx, kind, payload)
	if err != nil {
		return nil, err
	}
	return wait()
}

// Begin sends one request and returns once it is on its way, so that the other
// end begins requests in the order of these calls. The function returned waits
// for the answer as [Conn.Call] does; call it exactly once.
func (c *Conn) Begin(ctx context.Context, kind byte, payload []byte) (wait func() ([]byte, error), err error) {
	id, ch, err := c.begin()
	if err != nil {
		return nil, err
	}
	if err := c.write(kind, id, payload); err != nil {
		c.forget(id)
		return nil, err
	}
	return func() ([]byte, error) {
		select {
		case a := <-ch:
			return a.result(kind)
		case <-c.done:
			select { // the answer may have come just before the end
			case a := <-ch:
				return a.result(kind)
			default:
				return nil, c.Err()
			}
		case <-ctx.Done():
			c.forget(id)
			return nil, ctx.Err()
		}
	}, nil
}

func (a answer) result(kind byte) ([]byte, error) {
	switch a.kind {
	case kind:
		return a.payload, nil
	case byte(wire.MsgError):
		return nil, wire.DecodeError(a.payload)
	default:
		return nil, bonded.Errorf(bonded.CodeInternal, "answer of another kind than the request")
	}
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, or nil.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and every call in flight.
func (c *Conn) Close() error {
	c.fail(bonded.Errorf(bonded.CodeKeyholder, "connection closed"))
	return nil
}

func (c *Conn) begin() (uint64, chan answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.next++
	ch := make(chan answer, 1)
	c.calls[c.next] = ch
	return c.next, ch, nil
}

func (c *Conn) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

func (c *Conn) write(kind byte, id uint64, payload []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	b, err := appendFrame(c.buf[:0], kind, id, payload)
	if err != nil {
		return err
	}
	c.buf = b
	if cap(b) > 1<<20 {
		c.buf = nil
	}
	if _, err := c.c.Write(b); err != nil {
		c.fail(bonded.Wrap(bonded.CodeKeyholder, err, "connection broken"))
		return c.Err()
	}
	return nil
}

func (c *Conn) read() {
	r := bufio.NewReaderSize(c.c, 64<<10)
	for {
		kind, id, payload, err := readFrame(r)
		if err != nil {
			c.fail(bonded.Wrap(bonded.CodeKeyholder, err, "connection broken"))
			return
		}
		c.mu.Lock()
		ch := c.calls[id]
		delete(c.calls, id)
		c.mu.Unlock()
		if ch != nil {
			ch <- answer{kind, payload}
		}
	}
}

func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	_ = c.c.Close()
}
