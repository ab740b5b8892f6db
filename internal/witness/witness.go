//go:build unix

package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
)

// MaxClockBehind is how far the clock may be behind the last timestamp signed.
// Up to it, as when a time server corrects the clock, the witness signs with
// that last timestamp again. Beyond it, it refuses: it cannot know which of
// the two times is wrong, and its timestamps are what freshness rests on.
const MaxClockBehind = time.Minute

// Config says what a witness needs. All fields but Now and Logger must be set.
type Config struct {
	Dir    string            // folder of its records; made with mode 0700
	Key    Key               // see LoadOrCreateKey
	Logs   map[string]string // vkey of the log by origin
	Now    func() time.Time  // nil means time.Now
	Logger *slog.Logger      // nil means slog.Default
}

// A Witness cosigns. It is safe for concurrent use.
type Witness struct {
	cfg    Config
	lock   *os.File
	own    *verify.CosignatureKey
	logs   map[string]*logState
	last   atomic.Int64 // newest timestamp signed, POSIX seconds
	broken atomic.Bool  // a write ended in doubt: nothing is signed until a restart
}

// A logState is what the witness knows of one log.
type logState struct {
	vkey string

	mu   sync.Mutex // held from the check to the durable record
	size int64
	cp   *verify.Checkpoint // nil before the first
	note []byte             // cp with the log's signature and ours
}

// New opens the witness's folder. It refuses a folder in use by another
// process, and a record that its own key did not sign: beginning again from
// nothing would let a log show a second history.
func New(cfg Config) (*Witness, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Key.sign == nil || cfg.Dir == "" || len(cfg.Logs) == 0 {
		return nil, bonded.Errorf(bonded.CodeConfig, "a witness needs a folder, a key and at least one log")
	}
	own, err := verify.ParseCosignatureVkey(cfg.Key.VKey())
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	w := &Witness{cfg: cfg, lock: lock, own: own, logs: make(map[string]*logState, len(cfg.Logs))}
	for origin, vkey := range cfg.Logs {
		s, err := w.load(origin, vkey)
		if err != nil {
			_ = lock.Close()
			return nil, fmt.Errorf("open witness: %w", err)
		}
		w.logs[origin] = s
	}
	return w, nil
}

// Close gives the folder free. Requests still in work may fail.
func (w *Witness) Close() error {
	w.broken.Store(true)
	return w.lock.Close()
}

// VKey returns the witness's public key for policies.
func (w *Witness) VKey() string { return w.cfg.Key.VKey() }

func (w *Witness) load(origin, vkey string) (*logState, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil || v.Name() != origin {
		return nil, bonded.Errorf(bonded.CodeConfig, "the vkey of log %q is not one of that log", origin)
	}
	s := &logState{vkey: vkey}
	raw, err := readState(w.cfg.Dir, origin)
	if err != nil || raw == nil {
		return s, err
	}
	// Only our own signature counts here: the log may have a new key since.
	n, err := note.Open(raw, note.VerifierList(w.own))
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the record of log "+origin+" is not one this witness signed")
	}
	cp, err := verify.ParseCheckpointUnverified(raw)
	if err != nil || cp.Origin != origin {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the record of log "+origin+" is not a checkpoint of it")
	}
	s.size, s.cp, s.note = cp.Size, cp, raw
	w.signedAt(cosignedAt(n))
	return s, nil
}

// A refusal is why a checkpoint is not cosigned.
type refusal int

const (
	refusedMalformed    refusal = iota + 1 // not a request, or old is larger than the checkpoint
	refusedUnknownLog                      // no such origin
	refusedSignature                       // not signed by a key of the log
	refusedStale                           // old is not the size last cosigned
	refusedFork                            // same size, another root
	refusedInconsistent                    // the proof does not lead from the old to the new root
)

var refusalText = map[refusal]string{
	refusedMalformed:    "malformed request",
	refusedUnknownLog:   "unknown log",
	refusedSignature:    "no signature by a known key of the log",
	refusedStale:        "old size is not the size last cosigned",
	refusedFork:         "another root was cosigned at this size",
	refusedInconsistent: "the consistency proof does not hold",
}

// Error implements error.
func (r refusal) Error() string { return refusalText[r] }

// add checks one submission and returns the cosignature line. With
// refusedStale, size is that of the newest checkpoint cosigned.
func (w *Witness) add(ctx context.Context, body []byte) (line string, size int64, err error) {
	// 1. What it is, and whether the log really says so.
	req, err := parseRequest(body)
	if err != nil {
		return "", 0, refusedMalformed
	}
	claimed, err := verify.ParseCheckpointUnverified(req.checkpoint)
	if err != nil {
		return "", 0, refusedMalformed
	}
	s, ok := w.logs[claimed.Origin]
	if !ok {
		return "", 0, refusedUnknownLog
	}
	cp, err := verify.OpenCheckpoint(req.checkpoint, s.vkey, nil)
	if err != nil {
		return "", 0, refusedSignature
	}
	if req.old > cp.Size {
		return "", 0, refusedMalformed
	}

	// 2. Whether it extends what we know; nobody else moves it meanwhile.
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.old != s.size {
		return "", s.size, refusedStale
	}
	if s.cp != nil {
		if err := verify.CheckConsistency(s.cp, cp, req.proof); err != nil {
			// Signed by the log and contradicting what it signed before: evidence.
			w.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "checkpoint refused: not an extension of the one cosigned",
				slog.String("origin", cp.Origin), slog.Int64("known_size", s.size), slog.Int64("size", cp.Size),
				slog.String("known_root", s.cp.Root.String()), slog.String("root", cp.Root.String()))
			if cp.Size == s.size && cp.Root != s.cp.Root {
				return "", 0, refusedFork
			}
			return "", 0, refusedInconsistent
		}
	} else if len(req.proof) != 0 {
		return "", 0, refusedInconsistent
	}

	// 3. Sign, and answer only when the record is durable.
	at, err := w.timestamp()
	if err != nil {
		return "", 0, err
	}
	line = verify.CosignatureLine(w.cfg.Key.name, w.cfg.Key.pub, at, w.cfg.Key.sign(verify.CosignatureMessage(cp.Text, at)))
	record, err := w.record(cp, s.vkey, line)
	if err != nil {
		return "", 0, err
	}
	if err := w.persist(cp.Origin, record); err != nil {
		return "", 0, err
	}
	w.signedAt(at)
	s.size, s.cp, s.note = cp.Size, cp, record
	return line, 0, nil
}

// latest returns the newest note cosigned for a log: nil if there is none yet,
// ok false if the log is unknown.
func (w *Witness) latest(origin string) (raw []byte, ok bool) {
	s, ok := w.logs[origin]
	if !ok {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.note, true
}

// timestamp returns the time to sign with, never before the last one signed.
func (w *Witness) timestamp() (int64, error) {
	now, last := w.cfg.Now(), w.last.Load()
	if time.Unix(last, 0).Sub(now) > MaxClockBehind {
		return 0, bonded.Errorf(bonded.CodeStale, "the witness's clock is behind its last timestamp")
	}
	return max(now.Unix(), last), nil
}

func (w *Witness) signedAt(t int64) {
	for {
		last := w.last.Load()
		if t <= last || w.last.CompareAndSwap(last, t) {
			return
		}
	}
}

// record returns the note to keep: the text with the log's signature and ours,
// and nothing a submitter may have put beside them.
func (w *Witness) record(cp *verify.Checkpoint, vkey, line string) ([]byte, error) {
	logKey, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("keep checkpoint: %w", err)
	}
	n, err := note.Open(cp.Raw, note.VerifierList(logKey))
	if err != nil {
		return nil, fmt.Errorf("keep checkpoint: %w", err)
	}
	n.UnverifiedSigs = nil
	raw, err := note.Sign(n)
	if err != nil {
		return nil, fmt.Errorf("keep checkpoint: %w", err)
	}
	return append(raw, line...), nil
}

func (w *Witness) persist(origin string, raw []byte) error {
	if w.broken.Load() {
		return bonded.Errorf(bonded.CodeNotWritable, "the witness's record is in doubt since a write failed")
	}
	err := writeDurable(statePath(w.cfg.Dir, origin), raw)
	if _, ok := errors.AsType[*unsureError](err); ok {
		w.broken.Store(true)
	}
	if err != nil {
		return bonded.Wrap(bonded.CodeNotWritable, err, "the witness cannot write its record")
	}
	return nil
}

// cosignedAt returns the timestamp of a note that our key has signed.
func cosignedAt(n *note.Note) int64 {
	var at int64
	for _, s := range n.Sigs {
		at = max(at, verify.CosignatureTimeOf(s))
	}
	return at
}
