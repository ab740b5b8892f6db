package quorum_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"bonded"
	"bonded/internal/quorum"
)

// Each target reads any bytes without a panic, and writes what it took in the
// same bytes again: one value has one spelling. What is checked by signature or
// proof must not hold unless it is what was made.

func FuzzEnvelope(f *testing.F) {
	v := readVectors(f) // fixed, because each fuzzing process runs this again
	env, label := v.envelope(f, 0), v.Envelopes[0].Label
	f.Add(env.Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := quorum.ParseEnvelope(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Fatal("another spelling")
		}
		if e.Check(label) == nil && bytes.Equal(b[1:33], env.Bytes()[1:33]) && !bytes.Equal(b, env.Bytes()) {
			t.Fatal("an envelope that nobody made holds")
		}
	})
}

func FuzzPartial(f *testing.F) {
	v := readVectors(f)
	_, _, ks := v.ceremony(f, v.Openings[0].Ceremony)
	env, label := v.envelope(f, v.Openings[0].Envelope), v.Envelopes[v.Openings[0].Envelope].Label
	o, err := quorum.NewOpening(ks, v.release(f, v.Openings[0]))
	if err != nil {
		f.Fatal(err)
	}
	good := make(map[string]bool)
	for _, b := range v.Openings[0].Partials {
		good[string(b)] = true
		f.Add([]byte(b))
		f.Add([]byte(b[:50]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := quorum.ParsePartial(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Fatal("another spelling")
		}
		if o.Verify(p, env, label) == nil && !good[string(b)] {
			t.Fatal("a partial that nobody made holds")
		}
	})
}

func FuzzKeySet(f *testing.F) {
	made := make(map[string]bool)
	for _, c := range readVectors(f).Ceremonies {
		made[string(c.Certificate)] = true
		f.Add([]byte(c.KeySet))
		f.Add([]byte(c.Certificate))
	}
	f.Add([]byte{1, 2, 'c', 'n', 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if ks, err := quorum.ParseKeySet(b); err == nil && !bytes.Equal(ks.Bytes(), b) {
			t.Fatal("another spelling of a key set")
		}
		x, err := quorum.ParseCertificate(b)
		if err != nil {
			return
		}
		if !bytes.Equal(x.Bytes(), b) {
			t.Fatal("another spelling of a certificate")
		}
		if quorum.CheckCertificate(x, nil) == nil && !made[string(b)] {
			t.Fatal("a certificate that nobody signed holds")
		}
	})
}

func FuzzParams(f *testing.F) {
	v := readVectors(f)
	_, _, ks := v.ceremony(f, "dkg")
	for _, c := range v.Ceremonies {
		f.Add([]byte(c.Params))
	}
	f.Add([]byte{1, 2, 'c', 'n'})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := quorum.ParseParams(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Fatal("another spelling")
		}
		_ = p.Check(nil)
		_ = p.Check(ks)
	})
}

// FuzzMessages puts an altered message into a transcript in the place of one:
// the outcome is never another certificate.
func FuzzMessages(f *testing.F) {
	v := readVectors(f)
	x, p, _ := v.ceremony(f, "dealer")
	cert, err := quorum.ParseCertificate(x.Certificate)
	if err != nil {
		f.Fatal(err)
	}
	var board [][]byte
	for _, raw := range x.Messages {
		board = append(board, raw)
	}
	for _, raw := range board {
		f.Add(raw[:min(len(raw), 200)], uint8(0))
		f.Add(raw, uint8(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, at uint8) {
		messages := append([][]byte{raw}, board...)
		messages = append(messages[:1+int(at)%len(board)], messages[2+int(at)%len(board):]...)
		o, err := quorum.Judge(p, nil, messages)
		if err != nil {
			t.Fatal(err)
		}
		if o.Certificate != nil && o.Certificate.Digest() != cert.Digest() {
			t.Fatal("another certificate")
		}
		if len(o.Faults) > 0 {
			t.Fatalf("nobody signed this, and somebody is at fault: %+v", o.Faults)
		}
	})
}

func FuzzSmallThings(f *testing.F) {
	v := readVectors(f)
	for _, o := range v.Openings {
		f.Add([]byte(o.Recipient))
		f.Add([]byte(o.Combined))
	}
	f.Add([]byte(v.Ceremonies[0].Members[0].Share))
	tr, err := quorum.ParseTransportKey(v.Ceremonies[0].Members[0].Transport)
	if err != nil {
		f.Fatal(err)
	}
	who := &person{id: "anna", key: ed25519.NewKeyFromSeed(make([]byte, 32)), tr: tr}
	c := &committee{names: []string{"firm"}, thresholds: []int{1}, people: [][]*person{{who}}}
	p := c.dkg()
	p.Ceremony = bonded.ID{1}
	f.Add(join(f, p, nil, who)[0].State())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := quorum.ParseShare(b); err == nil && !bytes.Equal(s.Bytes(), b) {
			t.Fatal("another spelling of a share")
		}
		if x, err := quorum.ParseRecipient(b); err == nil && !bytes.Equal(x.Bytes(), b) {
			t.Fatal("another spelling of a recipient")
		}
		if x, err := quorum.ParseCombined(b); err == nil && !bytes.Equal(x.Bytes(), b) {
			t.Fatal("another spelling of a combination")
		}
		if x, err := quorum.RestoreMember(b, who.identity()); err == nil {
			_ = x.Messages()
		}
	})
}
