package remote_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"bonded/internal/remote"
)

// TestConnectionEndsWithItsAuthorityOrCertificate opens connections and then
// takes away, at either end, what they were accepted for.
func TestConnectionEndsWithItsAuthorityOrCertificate(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	other := newParty(t, remote.RoleVault, "eu", now)
	for name, c := range map[string]struct{ atServer, late bool }{
		"vault's authority replaced":     {true, false},
		"vault's certificate over":       {true, true},
		"keyholder's authority replaced": {false, false},
		"keyholder's certificate over":   {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var changed atomic.Bool
			pinOf := func(p *party, role remote.Role, here bool) remote.Pin {
				return remote.Pin{
					CA: func() []byte {
						if here && changed.Load() && !c.late {
							return other.ca.PEM()
						}
						return p.ca.PEM()
					},
					Cell: "eu", Role: role,
					Now: func() time.Time {
						if here && changed.Load() && c.late {
							return now.Add(remote.LeafLife + time.Minute)
						}
						return now
					},
				}
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			tln := remote.Listen(ln, remote.ServerTLS(k.id, pinOf(v, remote.RoleVault, c.atServer)))
			go func() { done <- remote.Serve(ctx, tln, echo, slog.New(slog.DiscardHandler)) }()
			t.Cleanup(func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
			conn, err := remote.Dial(t.Context(), ln.Addr().String(), remote.ClientTLS(v.id, pinOf(k, remote.RoleKeyholder, !c.atServer)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if b, err := conn.Call(t.Context(), 1, []byte("hello")); err != nil || string(b) != "vault:hello" {
				t.Fatalf("Call = %q, %v", b, err)
			}
			changed.Store(true)
			select {
			case <-conn.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the connection goes on")
			}
			if _, err := conn.Call(t.Context(), 1, []byte("hello")); err == nil {
				t.Error("a call after it was answered")
			}
		})
	}
}
