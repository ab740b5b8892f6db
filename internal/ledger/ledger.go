//go:build unix

package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bonded"
	"bonded/verify"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// A Ledger is the one writer of a log. It is safe for concurrent use.
type Ledger struct {
	cfg    Config
	vkey   string
	signer note.Signer
	policy *verify.WitnessPolicy
	files  folder
	lock   *os.File

	add      tessera.AddFn
	shutdown func(context.Context) error
	cancel   context.CancelFunc
	deafen   func()
	watching sync.WaitGroup

	slots  chan struct{} // one for each entry in flight
	fatal  chan error
	closed atomic.Bool
	latest atomic.Pointer[verify.Checkpoint]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever latest moves
}

// Open opens the log in cfg.Dir, making it if there is none, and begins to
// publish. It fails with a [bonded.Error]:
//
//   - [bonded.CodeConfig]: the configuration, its key or its policy is wrong
//   - [bonded.CodeBusy]: another process writes this log
//   - [bonded.CodeRestored]: the folder is older than, or contradicts, what a
//     witness has cosigned; never start it, restore a newer copy
//   - [bonded.CodeStale]: too few witnesses answered; try again
//   - [bonded.CodeAltered]: the folder's own files contradict one another
//   - [bonded.CodeNotWritable]: the folder cannot be written
//
// The context bounds opening only.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	// 1. What was asked for.
	cfg.setDefaults()
	signer, err := note.NewSigner(cfg.SignerKey)
	if err != nil {
		return nil, bonded.Errorf(bonded.CodeConfig, "ledger key is not a private Ed25519 key in note form")
	}
	if signer.Name() != cfg.Origin {
		return nil, bonded.Errorf(bonded.CodeConfig, "ledger key is of %q, not of origin %q", signer.Name(), cfg.Origin)
	}
	vkey, err := VKey(cfg.SignerKey)
	if err != nil {
		return nil, err
	}
	policy, err := checkPolicy(cfg.Policy)
	if err != nil {
		return nil, err
	}
	group, err := tessera.NewWitnessGroupFromPolicy(cfg.Policy)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the witness policy cannot be used by the writer")
	}
	quiet(cfg.Logger)
	cfg.SignerKey = "" // the signer has it

	// 2. The folder, for this process alone.
	l := &Ledger{cfg: cfg, vkey: vkey, signer: signer, policy: policy, slots: make(chan struct{}, cfg.MaxInFlight), fatal: make(chan error, 1), changed: make(chan struct{})}
	if err := l.openFolder(); err != nil {
		return nil, err
	}

	// 3. Is it an old copy? Only the witnesses know.
	if err := l.refuseRestored(ctx); err != nil {
		l.releaseFolder()
		return nil, err
	}

	// 4. The writer, which publishes nothing that the quorum has not cosigned.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	if err := l.startWriter(run, group); err != nil {
		cancel()
		l.releaseFolder()
		return nil, err
	}
	l.deafen = l.listen()
	l.watching.Go(func() { l.watch(run) })
	return l, nil
}

func (l *Ledger) openFolder() error {
	if err := os.MkdirAll(l.cfg.Dir, 0o755); err != nil { //nolint:gosec // a log is public
		return bonded.Wrap(bonded.CodeNotWritable, err, "the ledger folder cannot be made")
	}
	lock, err := os.OpenFile(filepath.Join(l.cfg.Dir, ".writer.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return bonded.Wrap(bonded.CodeNotWritable, err, "the ledger folder cannot be written")
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return bonded.Wrap(bonded.CodeBusy, err, "another process writes this ledger")
	}
	root, err := os.OpenRoot(l.cfg.Dir)
	if err != nil {
		_ = lock.Close()
		return bonded.Wrap(bonded.CodeNotWritable, err, "the ledger folder cannot be read")
	}
	l.lock, l.files = lock, folder{root}
	return nil
}

func (l *Ledger) releaseFolder() {
	_ = l.files.root.Close()
	_ = l.lock.Close()
}

func (l *Ledger) startWriter(ctx context.Context, group tessera.WitnessGroup) error {
	driver, err := posix.New(ctx, posix.Config{HTTPClient: l.cfg.HTTPClient, Path: l.cfg.Dir})
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(l.signer).
		WithBatching(batchSize, l.cfg.BatchAge).
		WithCheckpointInterval(l.cfg.CheckpointInterval).
		WithCheckpointRepublishInterval(max(l.cfg.Republish, l.cfg.CheckpointInterval)).
		WithWitnesses(group, &tessera.WitnessOptions{Timeout: l.cfg.WitnessTimeout}). // FailOpen stays false
		WithGarbageCollectionInterval(gcInterval).
		WithShutdownTimeout(l.cfg.Deadline)
	app, shutdown, _, err := tessera.NewAppender(ctx, driver, opts)
	if err != nil {
		code, msg := bonded.CodeNotWritable, "the ledger cannot be opened for writing"
		if strings.Contains(err.Error(), "witness policy was not satisfied") { // the first checkpoint of a new log
			code, msg = bonded.CodeStale, "no quorum of witnesses cosigned the first checkpoint"
		}
		return bonded.Wrap(code, err, msg)
	}
	l.add, l.shutdown = app.Add, shutdown
	return nil
}

// VKey returns the log's public key.
func (l *Ledger) VKey() string { return l.vkey }

// Origin returns the log's name.
func (l *Ledger) Origin() string { return l.cfg.Origin }

// Latest returns the newest published checkpoint, verified under the policy.
// It must not be changed. Its WitnessTime is what freshness is judged by. The
// error has code [bonded.CodeStale] while there is none.
func (l *Ledger) Latest() (*verify.Checkpoint, error) {
	cp := l.latest.Load()
	if cp == nil {
		return nil, bonded.Errorf(bonded.CodeStale, "the ledger has no cosigned checkpoint yet")
	}
	return cp, nil
}

// Fatal delivers at most one error: the disk has failed in a way after which
// what it holds is in doubt. The process must stop, since reads may lie.
func (l *Ledger) Fatal() <-chan error { return l.fatal }

// Close waits until every entry that was taken is in a cosigned checkpoint, at
// most until ctx ends or the configured deadline, and stops the writer. The
// error says that some entry was not published; it is in the folder all the
// same and the next writer publishes it.
func (l *Ledger) Close(ctx context.Context) error {
	if l.closed.Swap(true) {
		return nil
	}
	err := l.shutdown(ctx)
	l.cancel()
	l.watching.Wait()
	l.deafen()
	l.releaseFolder()
	if err != nil {
		return bonded.Wrap(bonded.CodeStale, err, "the ledger closed before its last entries were cosigned")
	}
	return nil
}

// fail reports a fatal error, once.
func (l *Ledger) fail(err error) {
	select {
	case l.fatal <- err:
	default:
	}
}

// isDiskFault reports whether err is an I/O error, as an fsync returns one.
// Tessera flattens its causes into text, so the text counts too.
func isDiskFault(err error) bool {
	return errors.Is(err, syscall.EIO) || strings.Contains(err.Error(), syscall.EIO.Error())
}

// watch follows the published checkpoint until ctx ends.
func (l *Ledger) watch(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var seen string
	for {
		seen = l.look(ctx, seen)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
