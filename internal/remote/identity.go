package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// An Identity is a party's own certificate, read from its file again whenever
// the file changes, so that a new one takes effect without a restart. It is
// safe for concurrent use.
type Identity struct {
	path string

	mu    sync.Mutex
	stamp os.FileInfo
	cert  *tls.Certificate
}

// OpenIdentity reads the certificate and key that [Authority.IssueFiles] put
// into dir.
func OpenIdentity(dir string) (*Identity, error) {
	i := &Identity{path: filepath.Join(dir, certFile)}
	if _, err := i.Certificate(); err != nil {
		return nil, err
	}
	return i, nil
}

// Certificate returns the certificate that is in force now. A file that has
// become unreadable is an error: an operator who removed it meant it.
func (i *Identity) Certificate() (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	info, err := os.Stat(i.path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if i.cert != nil && os.SameFile(info, i.stamp) && info.ModTime().Equal(i.stamp.ModTime()) && info.Size() == i.stamp.Size() {
		return i.cert, nil
	}
	b, err := os.ReadFile(i.path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", i.path, err)
	}
	i.cert, i.stamp = &cert, info
	return i.cert, nil
}

// NotAfter returns when the certificate in force ends.
func (i *Identity) NotAfter() (time.Time, error) {
	c, err := i.Certificate()
	if err != nil {
		return time.Time{}, err
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return time.Time{}, fmt.Errorf("read certificate: %w", err)
	}
	return leaf.NotAfter, nil
}

// KeepIssued issues l into dir now if what is there has less than a third of
// its life left, and again whenever it has, until ctx ends. It is for parties
// that have their authority's key at hand. A failed issue is logged and tried
// again after a minute.
func KeepIssued(ctx context.Context, a *Authority, dir string, l Leaf, log *slog.Logger) error {
	life := l.Life
	if life == 0 {
		life = LeafLife
	}
	renew := func() (time.Duration, error) {
		if i, err := OpenIdentity(dir); err == nil {
			if end, err := i.NotAfter(); err == nil {
				if left := time.Until(end) - life/3; left > 0 {
					return left, nil
				}
			}
		}
		return life * 2 / 3, a.IssueFiles(dir, l, time.Now())
	}
	wait, err := renew()
	if err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(wait, time.Hour)):
			}
			if wait, err = renew(); err != nil {
				log.LogAttrs(ctx, slog.LevelError, "issue certificate", slog.Any("error", err))
				wait = time.Minute
			}
		}
	}()
	return nil
}
