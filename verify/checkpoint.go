package verify

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpointSize is the largest checkpoint this package reads, in bytes,
// signatures included.
const MaxCheckpointSize = 16 << 10

// maxTreeSize bounds tree sizes so that index arithmetic cannot overflow.
const maxTreeSize = 1 << 56

// A Checkpoint is a signed tree head of a log (c2sp.org/tlog-checkpoint).
// Only [OpenCheckpoint] and what is built on it return verified ones.
type Checkpoint struct {
	Origin       string        // the log's name
	Size         int64         // number of entries
	Root         tlog.Hash     // RFC 6962 tree hash of them
	Text         string        // the signed text, with its last newline
	Raw          []byte        // the whole note as it was read
	Cosignatures []Cosignature // verified ones by witnesses of the policy, in the order of the note

	witnessTime int64
	hasQuorum   bool
}

// A Cosignature is one witness's statement that, at Time, the checkpoint was
// the largest consistent one it had seen of the log.
type Cosignature struct {
	Name    string // key name of the witness
	KeyHash uint32 // key id of the witness
	Time    int64  // POSIX time in seconds, by the witness's clock
}

// WitnessTime returns the latest time T such that the cosignatures made at T
// or later by themselves meet the policy's quorum: for k of n witnesses, the
// k-th newest timestamp. It is the zero time for a checkpoint that no quorum
// was asked of.
//
// It answers "a quorum says the checkpoint was current at T or after". Each
// set that meets the quorum holds an honest witness as long as the dishonest
// ones alone do not meet it; so they cannot push T past the time at which an
// honest witness last saw this checkpoint as the log's newest. They can hold T
// back, which only makes a checkpoint look staler than it is. Callers that
// compare it with their own clock must also refuse a T well ahead of it.
func (c *Checkpoint) WitnessTime() time.Time {
	if !c.hasQuorum {
		return time.Time{}
	}
	return time.Unix(c.witnessTime, 0).UTC()
}

// ParseCheckpointUnverified reads a checkpoint and checks no signature. Use it
// to route bytes by origin or to show them, never to trust them. It returns a
// [Failure] with code [FailMalformed].
func ParseCheckpointUnverified(raw []byte) (*Checkpoint, error) {
	if len(raw) > MaxCheckpointSize {
		return nil, Fail(FailMalformed, "checkpoint is over %d bytes", MaxCheckpointSize)
	}
	_, err := note.Open(raw, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "checkpoint is not a signed note", Err: err}
	}
	for _, s := range unverified.Note.UnverifiedSigs {
		if _, err := decodeBase64(s.Base64); err != nil {
			return nil, Fail(FailMalformed, "checkpoint: a signature is not canonical base64")
		}
	}
	c, err := parseCheckpointText(unverified.Note.Text)
	if err != nil {
		return nil, err
	}
	c.Raw = append([]byte(nil), raw...)
	return c, nil
}

// ParseCheckpointText reads the text of a checkpoint without its signatures,
// such as one that is about to be signed.
func ParseCheckpointText(text string) (*Checkpoint, error) { return parseCheckpointText(text) }

// OpenCheckpoint reads a checkpoint and checks that the log of logVkey signed
// it and that witnesses of the policy cosigned it as its quorum asks. A policy
// that names logs must name this one. A nil policy checks the log's signature
// alone, for checkpoints not yet cosigned.
//
// The error is a [Failure]: [FailMalformed], [FailLogSignature], [FailOrigin]
// or [FailQuorum], or [FailKey] with verdict [CannotTell] when logVkey is no
// key of a log.
func OpenCheckpoint(raw []byte, logVkey string, policy *WitnessPolicy) (*Checkpoint, error) {
	// 1. The keys asked for.
	logKey, logPub, err := parseLogVkey(logVkey)
	if err != nil {
		return nil, Unknown(FailKey, err, "the log's public key cannot be used")
	}
	known := []note.Verifier{logKey}
	if policy != nil {
		if len(policy.logs) > 0 && !policy.hasLog(logVkey) {
			return nil, Fail(FailOrigin, "the witness policy does not name log %q with this key", logKey.Name())
		}
		for _, w := range policy.witnesses {
			if w.key.key.Equal(logPub) {
				return nil, Fail(FailQuorum, "witness %q has the key of the log", w.name)
			}
			known = append(known, w.key)
		}
	}

	// 2. Its form, then the signatures of known keys.
	c, err := ParseCheckpointUnverified(raw)
	if err != nil {
		return nil, err
	}
	if c.Origin != logKey.Name() {
		return nil, Fail(FailOrigin, "checkpoint is of log %q, not %q", c.Origin, logKey.Name())
	}
	n, err := note.Open(raw, note.VerifierList(known...))
	if err != nil {
		return nil, openFailure(err, logKey)
	}
	signed := false
	for _, s := range n.Sigs {
		if s.Name == logKey.Name() && s.Hash == logKey.KeyHash() {
			signed = true
			continue
		}
		c.Cosignatures = append(c.Cosignatures, cosignatureOf(s))
	}
	if !signed {
		return nil, Fail(FailLogSignature, "log %q has not signed the checkpoint", c.Origin)
	}

	// 3. The quorum, and the time it speaks for.
	if policy == nil {
		return c, nil
	}
	t, ok := policy.quorumTime(c.Cosignatures)
	if !ok {
		return nil, Fail(FailQuorum, "%d of %d witnesses have cosigned the checkpoint; the policy asks for more", len(c.Cosignatures), len(policy.witnesses))
	}
	c.witnessTime, c.hasQuorum = t, policy.needsWitness()
	return c, nil
}

// CheckConsistency checks that newer extends older: both of one log, and proof
// is the RFC 6962 consistency proof between them. The checkpoints must have
// been opened; it does not look at signatures. A checkpoint of an empty tree
// is extended by any.
func CheckConsistency(older, newer *Checkpoint, proof []tlog.Hash) error {
	switch {
	case older.Origin != newer.Origin:
		return Fail(FailOrigin, "checkpoints are of two logs, %q and %q", older.Origin, newer.Origin)
	case older.Size > newer.Size:
		return Fail(FailForked, "checkpoint of %d entries is older than the one of %d", newer.Size, older.Size)
	case older.Size == newer.Size:
		if older.Root != newer.Root {
			return Fail(FailForked, "two checkpoints of %d entries have different roots", older.Size)
		}
		if len(proof) != 0 {
			return Fail(FailMalformed, "consistency proof between equal sizes is not empty")
		}
		return nil
	case older.Size == 0:
		if len(proof) != 0 {
			return Fail(FailMalformed, "consistency proof from an empty tree is not empty")
		}
		return nil
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return Fail(FailForked, "checkpoint of %d entries does not extend the one of %d", newer.Size, older.Size)
	}
	return nil
}

func openFailure(err error, logKey note.Verifier) error {
	var bad *note.InvalidSignatureError
	var none *note.UnverifiedNoteError
	switch {
	case errors.As(err, &bad) && bad.Name == logKey.Name() && bad.Hash == logKey.KeyHash():
		return Fail(FailLogSignature, "the signature of log %q is not valid", logKey.Name())
	case errors.As(err, &bad):
		return Fail(FailQuorum, "the cosignature of witness %q is not valid", bad.Name)
	case errors.As(err, &none):
		return Fail(FailLogSignature, "log %q has not signed the checkpoint", logKey.Name())
	default:
		return &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "checkpoint is not a signed note", Err: err}
	}
}

func cosignatureOf(s note.Signature) Cosignature {
	return Cosignature{Name: s.Name, KeyHash: s.Hash, Time: CosignatureTimeOf(s)}
}

func parseCheckpointText(text string) (*Checkpoint, error) {
	bad := func(what string) (*Checkpoint, error) {
		return nil, Fail(FailMalformed, "checkpoint: %s", what)
	}
	body, ok := strings.CutSuffix(text, "\n")
	if !ok {
		return bad("text does not end in a newline")
	}
	lines := strings.Split(body, "\n")
	if len(lines) < 3 {
		return bad("fewer than three lines")
	}
	if slices.Contains(lines, "") {
		return bad("empty line in the text")
	}
	size, ok := parseDecimal(lines[1])
	if !ok || size > maxTreeSize {
		return bad("tree size is not a decimal in range")
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return bad("root is not 32 bytes in base64")
	}
	if size == 0 && root != emptyRoot {
		return bad("root of an empty tree is not the hash of nothing")
	}
	return &Checkpoint{Origin: lines[0], Size: size, Root: root, Text: text}, nil
}

// parseDecimal reads a decimal without sign or leading zero.
func parseDecimal(s string) (int64, bool) {
	if s == "" || len(s) > 19 || s[0] == '0' && s != "0" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func parseHash(s string) (tlog.Hash, error) {
	b, err := decodeBase64(s)
	if err != nil || len(b) != tlog.HashSize {
		return tlog.Hash{}, errors.New("not a hash")
	}
	return tlog.Hash(b), nil
}
