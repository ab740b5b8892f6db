package verify_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const logOrigin = "log.example/cn"

// logKey returns a fixed Ed25519 key for a label: never for use outside tests.
func logKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("bonded test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

// logSigner returns the log's signing key and public vkey.
func logSigner(t testing.TB) (note.Signer, string) {
	t.Helper()
	return namedLogSigner(t, logOrigin, "log")
}

func namedLogSigner(t testing.TB, origin, label string) (note.Signer, string) {
	t.Helper()
	key := logKey(label)
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func witnessVkey(t testing.TB, name string) string {
	t.Helper()
	v, err := verify.CosignatureVkey(name, logKey(name).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// logPolicy returns the policy k of n witnesses w1…wn, named wN.example.
func logPolicy(t testing.TB, k, n int) *verify.WitnessPolicy {
	t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(logPolicyText(t, k, n)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func logPolicyText(t testing.TB, k, n int) string {
	t.Helper()
	var b strings.Builder
	members := ""
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "witness w%d %s https://127.0.0.1/w%d\n", i, witnessVkey(t, fmt.Sprintf("w%d.example", i)), i)
		members += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&b, "group q %d%s\nquorum q\n", k, members)
	return b.String()
}

// cosigned signs text by the log and by each witness at its time.
func cosigned(t testing.TB, signer note.Signer, text string, times map[string]int64) []byte {
	t.Helper()
	raw, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 9; i++ {
		name := fmt.Sprintf("w%d.example", i)
		at, ok := times[name]
		if !ok {
			continue
		}
		key := logKey(name)
		sig := ed25519.Sign(key, verify.CosignatureMessage(text, at))
		raw = append(raw, verify.CosignatureLine(name, key.Public().(ed25519.PublicKey), at, sig)...)
	}
	return raw
}

func checkpointText(origin string, size int64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
}

// A staticLog is a whole log in memory, laid out by golang.org/x/mod's own
// tile code, so that ours is compared with another implementation.
type staticLog struct {
	files   map[string][]byte
	entries [][]byte
	hashes  []tlog.Hash
}

func (l *staticLog) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *staticLog) fetch(path string) ([]byte, error) {
	b, ok := l.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (l *staticLog) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, l)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newStaticLog(t testing.TB, n int64) *staticLog {
	t.Helper()
	l := &staticLog{files: map[string][]byte{}}
	for i := range n {
		e := fmt.Appendf(nil, "entry %d", i)
		hs, err := tlog.StoredHashes(i, e, l)
		if err != nil {
			t.Fatal(err)
		}
		l.entries, l.hashes = append(l.entries, e), append(l.hashes, hs...)
	}
	for _, tile := range tlog.NewTiles(8, 0, n) {
		data, err := tlog.ReadTileData(tile, l)
		if err != nil {
			t.Fatal(err)
		}
		l.files[strings.Replace(tile.Path(), "tile/8/", "tile/", 1)] = data
	}
	for i := int64(0); i*verify.TileWidth < n; i++ {
		var b []byte
		width := min(n-i*verify.TileWidth, verify.TileWidth)
		for _, e := range l.entries[i*verify.TileWidth : i*verify.TileWidth+width] {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
		}
		l.files[verify.BundlePath(i, int(width))] = b
	}
	signer, _ := logSigner(t)
	l.files["checkpoint"] = cosigned(t, signer, checkpointText(logOrigin, n, l.root(t, n)), map[string]int64{"w1.example": 1000, "w2.example": 2000})
	return l
}
