package apitype_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

const vectorFile = "../../spec/vectors/proof.json"

// A proofVector is one proven call: what it names, and the header it sends.
type proofVector struct {
	Name       string         `json:"name"`
	Cell       bonded.CellID  `json:"cell"`
	Operation  string         `json:"operation"`
	Collection string         `json:"collection"`
	Purpose    bonded.Purpose `json:"purpose"`
	Reason     string         `json:"reason"`
	Basis      string         `json:"basis"`
	Named      []namedVector  `json:"named"`
	Body       string         `json:"body,omitempty"`  // as sent, for calls whose proof covers it
	Nonce      string         `json:"nonce,omitempty"` // hexadecimal
	MACKey     string         `json:"mac_key"`
	Session    string         `json:"session"`
	Counter    uint64         `json:"counter"`
	Digest     string         `json:"digest"`
	Header     string         `json:"header"`
}

type namedVector struct {
	Subject string   `json:"subject"`
	Record  string   `json:"record"`
	Token   string   `json:"token"`
	Fields  []string `json:"fields"`
}

// TestProofVectorsHold computes digest and header of each call in
// spec/vectors/proof.json. UPDATE=1 writes both anew.
func TestProofVectorsHold(t *testing.T) {
	file, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []proofVector
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	for i := range vectors {
		v := &vectors[i]
		digest, header := proofOf(t, v)
		if os.Getenv("UPDATE") != "" {
			v.Digest, v.Header = digest, header
			continue
		}
		if digest != v.Digest || header != v.Header {
			t.Errorf("%s: digest %s header %s\nwant %s %s", v.Name, digest, header, v.Digest, v.Header)
		}
		proof, nonce, err := apitype.ParseProof(v.Header)
		if err != nil || apitype.FormatProof(proof, nonce) != v.Header {
			t.Errorf("%s: the header does not round-trip: %v", v.Name, err)
		}
	}
	if os.Getenv("UPDATE") != "" {
		b, err := json.MarshalIndent(vectors, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func proofOf(t *testing.T, v *proofVector) (digest, header string) {
	t.Helper()
	op, err := verify.ParseOperation(v.Operation)
	if err != nil {
		t.Fatal(err)
	}
	r := wire.Request{Cell: v.Cell, Operation: op, Collection: v.Collection, Purpose: v.Purpose, Reason: v.Reason, Basis: v.Basis}
	for _, n := range v.Named {
		r.Named = append(r.Named, wire.Named(n))
	}
	var nonce *[16]byte
	if v.Nonce != "" {
		nonce = new([16]byte)
		fill(t, nonce[:], v.Nonce)
		r.Body = wire.BodyDigest(*nonce, []byte(v.Body))
	}
	var key, session [32]byte
	fill(t, key[:], v.MACKey)
	fill(t, session[:], v.Session)
	d := r.Digest()
	proof := wire.MakeProof(key, session, v.Counter, d)
	return hex.EncodeToString(d[:]), apitype.FormatProof(&proof, nonce)
}

func fill(t *testing.T, dst []byte, text string) {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(dst) {
		t.Fatalf("%q is not %d bytes in hexadecimal", text, len(dst))
	}
	copy(dst, b)
}
