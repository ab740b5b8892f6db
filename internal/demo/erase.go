//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
)

// erase destroys one person's key, then puts old copies of each party's
// database back and shows that the party refuses to serve.
func (s *story) erase(ctx context.Context) error {
	cell := s.d.Directory.Default
	vault := party{"vault", s.d.Process(string(cell) + "/vault"), s.d.Layout.Vault(cell), "vault.db"}
	keyholder := party{"keyholder", s.d.Process(string(cell) + "/keyholder"), s.d.Layout.Keyholder(cell), "keyholder.db"}

	// 1. Copies of both databases, as a backup would have them.
	backup := filepath.Join(s.dir, "old-copies")
	if err := s.whileStopped(ctx, cell, []party{vault, keyholder}, func() error {
		return errors.Join(vault.copyTo(backup), keyholder.copyTo(backup))
	}); err != nil {
		return err
	}
	s.line("old copies of both databases are put aside", "vault.db, keyholder.db")

	// 2. The erasure.
	privacy, err := s.client(deploy.PrincipalPrivacy, cell, "subject_request")
	if err != nil {
		return err
	}
	res, err := privacy.Erase(ctx, client.SubjectRequest{Subject: s.shred.Subject})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		err = s.readShred(ctx)
		if bonded.CodeOf(err) != bonded.CodeErasing || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if code := bonded.CodeOf(err); code != bonded.CodeErased && code != bonded.CodeWithheld {
		return fmt.Errorf("the erased person still answers: %w", err)
	}
	s.line("one person erased ("+res.State+"); reading answers", bonded.CodeOf(err))

	// 3. Each old copy in turn.
	for _, p := range []party{vault, keyholder} {
		if err := s.putBack(ctx, cell, p, backup); err != nil {
			return fmt.Errorf("old copy of the %s: %w", p.name, err)
		}
	}
	// 4. With today's databases the cell serves, and the person stays erased.
	err = s.readShred(ctx)
	if code := bonded.CodeOf(err); code != bonded.CodeErased && code != bonded.CodeWithheld {
		return fmt.Errorf("the erased person answers again: %w", err)
	}
	s.line("today's databases back: the cell serves, the person", "stays erased")
	return nil
}

func (s *story) readShred(ctx context.Context) error {
	_, err := s.app[s.d.Directory.Default].Get(ctx, client.GetRequest{
		Collection: "users", GetItem: client.GetItem{Subject: &s.shred.Subject, Record: &s.shred.Record, Fields: []string{"name"}},
	})
	return err
}

// putBack runs the cell with an old copy of one party's database, waits for
// its refusal, and puts today's database back.
func (s *story) putBack(ctx context.Context, cell bonded.CellID, p party, backup string) error {
	if err := p.process.Stop(); err != nil {
		return err
	}
	today := filepath.Join(s.dir, "today")
	if err := errors.Join(p.copyTo(today), p.copyFrom(backup)); err != nil {
		return err
	}
	if err := p.process.Restart(); err != nil {
		return err
	}
	why, err := s.refusal(ctx, p)
	if err != nil {
		return err
	}
	s.line("old copy of the "+p.name+" put back: it refuses", why)
	if err := errors.Join(p.process.Stop(), p.copyFrom(today)); err != nil {
		return err
	}
	if err := p.process.Restart(); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.d.Ready(ready, cell)
}

// refusal waits until the cell says restored_old, in an answer or in the last
// words of a process that ended over it.
func (s *story) refusal(ctx context.Context, p party) (string, error) {
	said := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case <-p.process.Done():
			if words := p.process.LastLines(3); strings.Contains(words, string(bonded.CodeRestored)) {
				return string(bonded.CodeRestored) + ", and does not start", nil
			}
			return "", bonded.Errorf(bonded.CodeInternal, "it ended for another reason: %s", p.process.LastLines(3))
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if s.readShred(ctx) == nil {
			return "", bonded.Errorf(bonded.CodeAltered, "the erased person was read")
		}
		if err := s.d.Readiness(ctx, s.d.Directory.Default); err != nil {
			if said = err.Error(); strings.Contains(said, string(bonded.CodeRestored)) {
				return string(bonded.CodeRestored) + ", and opens nothing", nil
			}
		}
	}
	return "", bonded.Errorf(bonded.CodeInternal, "no refusal came: %s\n%s", said, p.process.LastLines(3))
}

// whileStopped does something while the parties' processes are ended.
func (s *story) whileStopped(ctx context.Context, cell bonded.CellID, parties []party, do func() error) error {
	for _, p := range parties {
		if err := p.process.Stop(); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	for _, p := range parties {
		if err := p.process.Restart(); err != nil {
			return err
		}
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.d.Ready(ready, cell)
}

// A party is a process with its database.
type party struct {
	name     string
	process  *deploy.Process
	dir      string
	database string
}

func (p party) copyTo(dir string) error { return copyDatabase(p.dir, dir, p.database) }

func (p party) copyFrom(dir string) error { return copyDatabase(dir, p.dir, p.database) }

// copyDatabase copies a database file with its write-ahead log, and removes
// what the destination had.
func copyDatabase(from, to, name string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		dst := filepath.Join(to, name+suffix)
		if err := os.Remove(dst); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if suffix == "-shm" {
			continue // made anew from the others
		}
		src, err := os.Open(filepath.Join(from, name+suffix)) //nolint:gosec // inside the deployment
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return errors.Join(err, src.Close())
		}
		_, err = io.Copy(out, src)
		if err = errors.Join(err, out.Sync(), out.Close(), src.Close()); err != nil {
			return err
		}
	}
	return nil
}
