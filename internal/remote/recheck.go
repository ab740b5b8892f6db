package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// recheckEvery is how often an open connection is held against its pin again.
// A certificate that has ended, or whose authority is pinned no more, ends its
// connection within that time.
const recheckEvery = time.Second

// Listen returns a listener whose connections speak TLS under conf, which
// comes from [ServerTLS]. [Serve] holds them to its pin for as long as they
// last, and not only when they begin.
func Listen(ln net.Listener, conf *tls.Config) net.Listener { return &listener{ln, conf} }

type listener struct {
	net.Listener
	conf *tls.Config
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &pinned{tls.Server(c, l.conf), l.conf}, nil
}

// pinned is a TLS connection that knows how its peer was checked.
type pinned struct {
	*tls.Conn
	conf *tls.Config
}

// recheck checks the peer again until ctx ends, and calls end with the reason
// when it is not to be believed any more.
func recheck(ctx context.Context, c *tls.Conn, conf *tls.Config, end func(error)) {
	if conf.VerifyConnection == nil {
		return
	}
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	state := c.ConnectionState()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := conf.VerifyConnection(state); err != nil {
			end(fmt.Errorf("peer of an open connection: %w", err))
			return
		}
	}
}
