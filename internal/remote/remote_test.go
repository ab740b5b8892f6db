package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/remote"
	"bonded/internal/wire"
)

type party struct {
	dir string
	ca  *remote.Authority
	id  *remote.Identity
}

func newParty(t *testing.T, role remote.Role, cell bonded.CellID, now time.Time) *party {
	t.Helper()
	ca, err := remote.NewAuthority(string(role), now)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{dir: t.TempDir(), ca: ca}
	p.issue(t, role, cell, now)
	if p.id, err = remote.OpenIdentity(p.dir); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *party) issue(t *testing.T, role remote.Role, cell bonded.CellID, now time.Time) {
	t.Helper()
	if err := p.ca.IssueFiles(p.dir, remote.Leaf{Cell: cell, Role: role, Hosts: []string{"127.0.0.1"}}, now); err != nil {
		t.Fatal(err)
	}
}

func (p *party) pin(role remote.Role) remote.Pin {
	return remote.Pin{CA: p.ca.PEM, Cell: "eu", Role: role}
}

func echo(_ context.Context, peer remote.Peer, kind byte, payload []byte) func() ([]byte, error) {
	b := append([]byte(string(peer.Role)+":"), payload...)
	return func() ([]byte, error) {
		switch kind {
		case 9:
			return nil, &bonded.Error{Code: bonded.CodeBudget, Message: "used up", Hint: "wait"}
		case 10:
			return nil, errors.New("secret cause")
		}
		return b, nil
	}
}

// serve starts a server of the keyholder that accepts the vault.
func serve(t *testing.T, keyholder, vault *party, h remote.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	tln := remote.Listen(ln, remote.ServerTLS(keyholder.id, vault.pin(remote.RoleVault)))
	go func() { done <- remote.Serve(ctx, tln, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// ask dials and makes one call.
func ask(t *testing.T, addr string, from *party, pin remote.Pin) ([]byte, error) {
	t.Helper()
	c, err := remote.Dial(t.Context(), addr, remote.ClientTLS(from.id, pin))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.Call(t.Context(), 1, []byte("hello"))
}

func TestPartiesThatPinEachOtherTalk(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	addr := serve(t, k, v, echo)
	got, err := ask(t, addr, v, k.pin(remote.RoleKeyholder))
	if err != nil || string(got) != "vault:hello" {
		t.Fatalf("Call = %q, %v", got, err)
	}
}

func TestServerRefusesOtherParties(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	addr := serve(t, k, v, echo)
	otherRole := &party{dir: t.TempDir(), ca: v.ca}
	otherRole.issue(t, remote.RoleClient, "eu", now)
	otherCell := &party{dir: t.TempDir(), ca: v.ca}
	otherCell.issue(t, remote.RoleVault, "cn", now)
	expired := &party{dir: t.TempDir(), ca: v.ca}
	expired.issue(t, remote.RoleVault, "eu", now.Add(-48*time.Hour))
	for name, p := range map[string]*party{
		"another authority": newParty(t, remote.RoleVault, "eu", now),
		"the keyholder":     k,
		"another role":      otherRole,
		"another cell":      otherCell,
		"an expired leaf":   expired,
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			if p.id == nil {
				if p.id, err = remote.OpenIdentity(p.dir); err != nil {
					t.Fatal(err)
				}
			}
			if _, err = ask(t, addr, p, k.pin(remote.RoleKeyholder)); err == nil {
				t.Fatal("was served")
			}
		})
	}
}

func TestClientNamesWhyItRefusesTheServer(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	addr := serve(t, k, v, echo)

	_, err := ask(t, addr, v, v.pin(remote.RoleKeyholder))
	if bonded.CodeOf(err) != bonded.CodeUnauthenticated || !strings.Contains(err.Error(), "not of the authority") {
		t.Errorf("wrong authority: %v", err)
	}
	_, err = ask(t, addr, v, k.pin(remote.RoleWitness))
	if bonded.CodeOf(err) != bonded.CodeUnauthenticated || !strings.Contains(err.Error(), "does not speak for the witness") {
		t.Errorf("wrong role: %v", err)
	}
	late := k.pin(remote.RoleKeyholder)
	late.Now = func() time.Time { return now.Add(25 * time.Hour) }
	_, err = ask(t, addr, v, late)
	if bonded.CodeOf(err) != bonded.CodeUnauthenticated || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("expired: %v", err)
	}
}

func TestNewCertificateTakesEffectWithoutRestart(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	addr := serve(t, k, v, echo)
	k.issue(t, remote.RoleKeyholder, "eu", now.Add(-48*time.Hour))
	if _, err := ask(t, addr, v, k.pin(remote.RoleKeyholder)); bonded.CodeOf(err) != bonded.CodeUnauthenticated {
		t.Fatalf("expired certificate: %v", err)
	}
	k.issue(t, remote.RoleKeyholder, "eu", now)
	if _, err := ask(t, addr, v, k.pin(remote.RoleKeyholder)); err != nil {
		t.Fatalf("after re-issue: %v", err)
	}
}

func TestKeepIssuedReplacesOldLeaf(t *testing.T) {
	now := time.Now()
	k := newParty(t, remote.RoleKeyholder, "eu", now.Add(-20*time.Hour))
	before, err := k.id.NotAfter()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.KeepIssued(t.Context(), k.ca, k.dir, remote.Leaf{Cell: "eu", Role: remote.RoleKeyholder}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	after, err := k.id.NotAfter()
	if err != nil || !after.After(before) {
		t.Errorf("NotAfter = %v, %v; was %v", after, err, before)
	}
}

func TestAuthorityOutlivesItsProcess(t *testing.T) {
	now := time.Now()
	k := newParty(t, remote.RoleKeyholder, "eu", now)
	if err := k.ca.Save(k.dir); err != nil {
		t.Fatal(err)
	}
	again, err := remote.OpenAuthority(k.dir)
	if err != nil || !bytes.Equal(again.PEM(), k.ca.PEM()) {
		t.Fatalf("OpenAuthority: %v", err)
	}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(k.dir, e.Name())); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestErrorsKeepTheirCodeAndHideTheirCause(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	c, err := remote.Dial(t.Context(), serve(t, k, v, echo), remote.ClientTLS(v.id, k.pin(remote.RoleKeyholder)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Call(t.Context(), 9, nil); bonded.CodeOf(err) != bonded.CodeBudget {
		t.Errorf("coded error: %v", err)
	}
	if _, err := c.Call(t.Context(), 10, nil); bonded.CodeOf(err) != bonded.CodeInternal || strings.Contains(err.Error(), "secret") {
		t.Errorf("other error: %v", err)
	}
	if _, err := c.Call(t.Context(), 1, make([]byte, wire.MaxFrame+1)); bonded.CodeOf(err) != bonded.CodeTooLarge {
		t.Errorf("oversize request: %v", err)
	}
	if got, err := c.Call(t.Context(), 1, []byte("still")); err != nil || string(got) != "vault:still" {
		t.Errorf("connection after errors: %q, %v", got, err)
	}
}

func TestCallsInFlightKeepTheirAnswersApart(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	var mu sync.Mutex
	var begun []uint64
	addr := serve(t, k, v, func(_ context.Context, _ remote.Peer, _ byte, payload []byte) func() ([]byte, error) {
		mu.Lock()
		begun = append(begun, binary.BigEndian.Uint64(payload))
		mu.Unlock()
		return func() ([]byte, error) { return bytes.Clone(payload), nil }
	})
	c, err := remote.Dial(t.Context(), addr, remote.ClientTLS(v.id, k.pin(remote.RoleKeyholder)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var wg sync.WaitGroup
	for i := range uint64(500) {
		wg.Go(func() {
			b := binary.BigEndian.AppendUint64(nil, i)
			if got, err := c.Call(t.Context(), 1, b); err != nil || !bytes.Equal(got, b) {
				t.Errorf("call %d: %x, %v", i, got, err)
			}
		})
	}
	wg.Wait()
	if len(begun) != 500 {
		t.Errorf("%d requests begun", len(begun))
	}
}

func TestServerClosesOnFramesNobodyWrites(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	addr := serve(t, k, v, echo)
	for name, frame := range map[string][]byte{
		"oversize":  binary.BigEndian.AppendUint32(nil, wire.MaxFrame+100),
		"too short": binary.BigEndian.AppendUint32(nil, 3),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", addr, remote.ClientTLS(v.id, k.pin(remote.RoleKeyholder)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Write(append(frame, make([]byte, 32)...)); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("Read = %v, want EOF", err)
			}
		})
	}
}

func TestBrokenConnectionEndsCallsInFlight(t *testing.T) {
	now := time.Now()
	k, v := newParty(t, remote.RoleKeyholder, "eu", now), newParty(t, remote.RoleVault, "eu", now)
	reached := make(chan struct{})
	addr := serve(t, k, v, func(ctx context.Context, _ remote.Peer, _ byte, _ []byte) func() ([]byte, error) {
		return func() ([]byte, error) {
			close(reached)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	c, err := remote.Dial(t.Context(), addr, remote.ClientTLS(v.id, k.pin(remote.RoleKeyholder)))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-reached
		_ = c.Close()
	}()
	if _, err := c.Call(t.Context(), 1, nil); bonded.CodeOf(err) != bonded.CodeKeyholder {
		t.Errorf("Call = %v", err)
	}
	if _, err := c.Call(t.Context(), 1, nil); bonded.CodeOf(err) != bonded.CodeKeyholder {
		t.Errorf("Call after the end = %v", err)
	}
}
