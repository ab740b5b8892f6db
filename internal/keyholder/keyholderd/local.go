package keyholderd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/remote"
	"bonded/internal/wire"
	"bonded/verify"
)

// Operations on the socket. Those of the vault's line are not served there,
// nor these on the line.
const (
	opUnsealPassphrase byte = 65
	opUnsealShares     byte = 66
	opStatus           byte = 67
	opBook             byte = 68
	opGrants           byte = 69
	opRotate           byte = 70
	opShutdown         byte = 71
)

const socketName = "keyholder.sock"

// socketPath returns a path to the socket that fits into a socket address,
// which holds about 100 bytes; done gives up what it needs meanwhile.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) < 100 || runtime.GOOS != "linux" {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open folder: %w", err)
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) + "/" + socketName, func() { _ = f.Close() }, nil
}

// listenLocal opens the operator's socket. The database's lock says that no
// other process serves it, so one that is left over may go.
func listenLocal(dir string) (net.Listener, error) {
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs x
		return nil, fmt.Errorf("close the folder to others: %w", err)
	}
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "unix", path) //nolint:contextcheck // returns at once
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "cannot listen on the socket in the folder")
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // its path may be gone by then; the next start removes it
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("close the socket to others: %w", err)
	}
	return ln, nil
}

// handleLocal serves the operator.
func (d *daemon) handleLocal(ctx context.Context, peer remote.Peer, kind byte, payload []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		if !peer.Local {
			return nil, bonded.Errorf(bonded.CodeForbidden, "not for this connection")
		}
		defer clear(payload)
		switch kind {
		case opUnsealPassphrase:
			return nil, d.unseal(ctx, func() error { return d.driver.UnlockPassphrase(payload) })
		case opUnsealShares:
			r := canon.NewReader(payload)
			shares := r.Strings(255, 1024)
			if r.Done() != nil {
				return nil, bonded.Errorf(bonded.CodeInvalid, "malformed message")
			}
			return nil, d.unseal(ctx, func() error { return d.driver.UnlockShares(shares) })
		case opStatus:
			return d.k.Handle(ctx, wire.MsgStatus, nil)()
		case opBook:
			return d.k.Handle(ctx, wire.MsgBook, payload)()
		case opGrants:
			r := canon.NewReader(payload)
			file, evidence := r.Bytes(wire.MaxControlFile), r.Bytes(verify.MaxEvidenceSize)
			if r.Done() != nil {
				return nil, bonded.Errorf(bonded.CodeInvalid, "malformed message")
			}
			if len(evidence) == 0 {
				evidence = nil
			}
			res, err := d.k.InstallGrants(ctx, file, evidence)
			if err != nil {
				return nil, err
			}
			return res.Encode(), nil
		case opRotate:
			if err := d.k.Rotate(ctx); err != nil {
				return nil, err
			}
			return d.k.Handle(ctx, wire.MsgStatus, nil)()
		case opShutdown:
			d.stop()
			return nil, nil
		}
		return nil, bonded.Errorf(bonded.CodeInvalid, "no such operation")
	}
}

// A Local is an operator's connection to a running keyholder.
type Local struct{ conn *remote.Conn }

// DialLocal connects to the keyholder that runs in a folder.
func DialLocal(ctx context.Context, dir string) (*Local, error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := remote.DialLocal(ctx, path)
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeKeyholder, Field: dir, Message: "no keyholder runs in this folder", Hint: "start it: bonded-keyholder serve " + dir, Err: err}
	}
	return &Local{c}, nil
}

// Close ends the connection.
func (l *Local) Close() error { return l.conn.Close() }

// UnsealPassphrase unseals with a passphrase, which the caller wipes.
func (l *Local) UnsealPassphrase(ctx context.Context, passphrase []byte) error {
	_, err := l.conn.Call(ctx, opUnsealPassphrase, passphrase)
	return err
}

// UnsealShares unseals with the texts of enough shares.
func (l *Local) UnsealShares(ctx context.Context, shares []string) error {
	var w canon.Writer
	for i := range shares {
		shares[i] = strings.TrimSpace(shares[i])
	}
	w.Strings(shares)
	defer clear(w.B)
	_, err := l.conn.Call(ctx, opUnsealShares, w.B)
	return err
}

// Status says how the keyholder stands.
func (l *Local) Status(ctx context.Context) (*wire.Status, error) {
	b, err := l.conn.Call(ctx, opStatus, nil)
	if err != nil {
		return nil, err
	}
	return wire.DecodeStatus(b)
}

// InstallGrants takes up a signed grant set, with the evidence that the ledger
// announces it, if there is any.
func (l *Local) InstallGrants(ctx context.Context, file, evidence []byte) (*wire.EvidenceResult, error) {
	var w canon.Writer
	w.Bytes(file)
	w.Bytes(evidence)
	b, err := l.conn.Call(ctx, opGrants, w.B)
	if err != nil {
		return nil, err
	}
	return wire.DecodeEvidenceResult(b)
}

// Rotate makes a new version of the cell key and begins to re-wrap.
func (l *Local) Rotate(ctx context.Context) (*wire.Status, error) {
	b, err := l.conn.Call(ctx, opRotate, nil)
	if err != nil {
		return nil, err
	}
	return wire.DecodeStatus(b)
}

// Shutdown asks the keyholder to end.
func (l *Local) Shutdown(ctx context.Context) error {
	_, err := l.conn.Call(ctx, opShutdown, nil)
	return err
}

// ExportLog writes the key-use book up to now, as bonded-verify reads it, and
// returns the number of its rows.
func (l *Local) ExportLog(ctx context.Context, out io.Writer) (uint64, error) {
	st, err := l.Status(ctx)
	if err != nil {
		return 0, err
	}
	if st.Sealed {
		return 0, &bonded.Error{Code: bonded.CodeSealed, Message: "the keyholder is sealed and signs nothing", Hint: "unseal it first"}
	}
	w, err := verify.NewBookWriter(out, st.Head.Cell)
	if err != nil {
		return 0, fmt.Errorf("write export: %w", err)
	}
	for n := uint64(0); n < st.Head.Seq; {
		q := wire.BookSince{After: n, Limit: min(1024, st.Head.Seq-n)}
		b, err := l.conn.Call(ctx, opBook, q.Encode())
		if err != nil {
			return n, err
		}
		list, err := wire.DecodeList(b)
		if err != nil || len(list.Items) == 0 {
			return n, bonded.Errorf(bonded.CodeInternal, "the book ends at row %d of %d", n, st.Head.Seq)
		}
		for _, row := range list.Items {
			if err := w.WriteRow(row); err != nil {
				return n, fmt.Errorf("write export: %w", err)
			}
			n++
		}
	}
	if err := w.Close(&st.Head); err != nil {
		return st.Head.Seq, fmt.Errorf("write export: %w", err)
	}
	return st.Head.Seq, nil
}
