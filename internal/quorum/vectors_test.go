package quorum_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"bonded/internal/canon"
	"bonded/internal/quorum"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// vectors is spec/vectors/quorum.json; spec/quorum.md, section 15, says what each
// list is for.
type vectors struct {
	Note       string           `json:"note"`
	Hashes     []hashVector     `json:"hashes"`
	Proofs     []proofVector    `json:"proofs"`
	Ceremonies []ceremonyVector `json:"ceremonies"`
	Envelopes  []envelopeVector `json:"envelopes"`
	Openings   []openingVector  `json:"openings"`
	Refused    []refusedVector  `json:"refused"`
}

type hashVector struct {
	DST     string   `json:"dst"`
	Message hexBytes `json:"message"`
	Scalar  hexBytes `json:"scalar"`
	Point   hexBytes `json:"point"`
}

type proofVector struct {
	Session   hexBytes         `json:"session"`
	Witnesses []hexBytes       `json:"witnesses"`
	Equations []equationVector `json:"equations"`
	Proof     hexBytes         `json:"proof"`
}

type equationVector struct {
	Y     hexBytes     `json:"y"`
	Terms []termVector `json:"terms"`
}

type termVector struct {
	Witness int      `json:"witness"`
	Base    hexBytes `json:"base"`
}

type ceremonyVector struct {
	Name        string         `json:"name"`
	Previous    string         `json:"previous,omitempty"` // name of the ceremony that is handed on
	Params      hexBytes       `json:"params"`
	Messages    []hexBytes     `json:"messages"`
	Settled     int            `json:"settled"` // complaints answered
	KeySet      hexBytes       `json:"key_set"`
	Digest      hexBytes       `json:"digest"`
	ReleaseKey  hexBytes       `json:"release_key"`
	Certificate hexBytes       `json:"certificate"`
	Members     []memberVector `json:"members"`
}

type memberVector struct {
	Role         string   `json:"role"`
	Index        int      `json:"index"`
	Transport    hexBytes `json:"transport"` // private seed
	Verification hexBytes `json:"verification"`
	Share        hexBytes `json:"share"`
}

type envelopeVector struct {
	Ceremony string   `json:"ceremony"`
	Label    hexBytes `json:"label"`
	Key      hexBytes `json:"key"`
	Field    string   `json:"field"`
	FieldKey hexBytes `json:"field_key"`
	Envelope hexBytes `json:"envelope"`
	Digest   hexBytes `json:"digest"`
}

type openingVector struct {
	Ceremony  string     `json:"ceremony"`
	Envelope  int        `json:"envelope"` // position in envelopes
	Request   hexBytes   `json:"request"`
	Leaf      hexBytes   `json:"leaf"`
	Context   hexBytes   `json:"context"`
	Private   hexBytes   `json:"private"`
	Recipient hexBytes   `json:"recipient"`
	Partials  []hexBytes `json:"partials"`
	Combined  hexBytes   `json:"combined"`
}

type refusedVector struct {
	What  string   `json:"what"`
	Why   string   `json:"why"`
	Bytes hexBytes `json:"bytes"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(b []byte) error {
	d, err := hex.AppendDecode(nil, b)
	*h = d
	return err
}

var vectorsFile = filepath.Join("..", "..", "spec", "vectors", "quorum.json")

func readVectors(t testing.TB) *vectors {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	v := new(vectors)
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// ceremony returns a ceremony by name, with its parameters and its key set.
func (v *vectors) ceremony(t testing.TB, name string) (*ceremonyVector, *quorum.Params, *quorum.KeySet) {
	t.Helper()
	for i := range v.Ceremonies {
		if c := &v.Ceremonies[i]; c.Name == name {
			p, err := quorum.ParseParams(c.Params)
			if err != nil {
				t.Fatal(err)
			}
			ks, err := quorum.ParseKeySet(c.KeySet)
			if err != nil {
				t.Fatal(err)
			}
			return c, p, ks
		}
	}
	t.Fatalf("no ceremony %q", name)
	return nil, nil, nil
}

func (v *vectors) release(t testing.TB, o openingVector) quorum.Release {
	t.Helper()
	recipient, err := quorum.ParseRecipient(o.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	return quorum.Release{Request: [16]byte(o.Request), Leaf: [32]byte(o.Leaf), Recipient: recipient, Context: o.Context}
}

func (v *vectors) envelope(t testing.TB, i int) *quorum.Envelope {
	t.Helper()
	e, err := quorum.ParseEnvelope(v.Envelopes[i].Envelope)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestVectorsAreWhatIsMade makes all vectors again from one seed. UPDATE=1
// writes them: do so only if the format changed under a new label, or if a new Go
// release draws its randomness in another order.
func TestVectorsAreWhatIsMade(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 17)
	v := makeVectors(t)
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(vectorsFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("spec/vectors/quorum.json is not what the code makes; UPDATE=1 writes it")
	}
}

func TestVectorsOfHashes(t *testing.T) {
	for _, h := range readVectors(t).Hashes {
		s, p := group.HashToScalar(h.DST, h.Message).Bytes(), group.HashToPoint(h.DST, h.Message).Bytes()
		if !bytes.Equal(s[:], h.Scalar) || !bytes.Equal(p[:], h.Point) {
			t.Errorf("%q of %x: %x and %x", h.DST, h.Message, s, p)
		}
	}
}

func TestVectorsOfProofs(t *testing.T) {
	point := func(b []byte) group.Point {
		p, err := group.ParsePoint(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, v := range readVectors(t).Proofs {
		st := sigma.Statement{Witnesses: len(v.Witnesses)}
		for _, eq := range v.Equations {
			e := sigma.Equation{Y: point(eq.Y)}
			sum := group.Identity()
			for _, term := range eq.Terms {
				w, err := group.ParseScalar(v.Witnesses[term.Witness])
				if err != nil {
					t.Fatal(err)
				}
				base := point(term.Base)
				sum = sum.Add(base.Mul(w))
				e.Terms = append(e.Terms, sigma.Term{Witness: term.Witness, Base: base})
			}
			if !sum.Equal(e.Y) {
				t.Error("the witnesses do not satisfy the statement")
			}
			st.Equations = append(st.Equations, e)
		}
		for bit := range 8 * len(v.Proof) {
			b := bytes.Clone(v.Proof)
			b[bit/8] ^= 1 << (bit % 8)
			if bit%13 != 0 {
				continue
			}
			if p, err := sigma.Parse(b, len(v.Witnesses)); err == nil && sigma.Verify(v.Session, st, p) {
				t.Errorf("bit %d altered, and the proof holds", bit)
			}
		}
		p, err := sigma.Parse(v.Proof, len(v.Witnesses))
		if err != nil || !sigma.Verify(v.Session, st, p) {
			t.Error("the proof does not hold")
		}
		if sigma.Verify(append(v.Session, 0), st, p) {
			t.Error("the proof holds in another session")
		}
	}
}

func TestVectorsOfCeremonies(t *testing.T) {
	all := readVectors(t)
	for _, v := range all.Ceremonies {
		t.Run(v.Name, func(t *testing.T) {
			var previous *quorum.KeySet
			if v.Previous != "" {
				_, _, previous = all.ceremony(t, v.Previous)
			}
			_, p, ks := all.ceremony(t, v.Name)
			messages := make([][]byte, len(v.Messages))
			for i, m := range v.Messages {
				messages[len(messages)-1-i] = m // the order does not matter
			}
			o := judge(t, p, previous, messages)
			if o.Certificate == nil || !bytes.Equal(o.Certificate.Bytes(), v.Certificate) || !bytes.Equal(o.KeySet.Bytes(), v.KeySet) || len(o.Settled) != v.Settled {
				t.Fatalf("outcome = %+v", o)
			}
			if err := quorum.CheckCertificate(o.Certificate, previous); err != nil {
				t.Error(err)
			}
			if d, r := ks.Digest(), ks.ReleaseKey(); !bytes.Equal(d[:], v.Digest) || !bytes.Equal(r[:], v.ReleaseKey) {
				t.Errorf("digest %x, release key %x", d, r)
			}
			for _, m := range v.Members {
				share, err := quorum.ParseShare(m.Share)
				if err != nil || share.Check(ks) != nil {
					t.Fatalf("%s/%d: %v", m.Role, m.Index, err)
				}
				vk, _ := ks.VerificationKey(m.Role, m.Index)
				if !bytes.Equal(vk[:], m.Verification) {
					t.Errorf("%s/%d: verification key %x", m.Role, m.Index, vk)
				}
				if v.Settled == 0 {
					wantSum(t, p, messages, m, share)
				}
			}
		})
	}
}

// wantSum opens what was dealt to a member by hand, and sums it up.
func wantSum(t *testing.T, p *quorum.Params, messages [][]byte, m memberVector, share quorum.Share) {
	t.Helper()
	key, err := quorum.ParseTransportKey(m.Transport)
	if err != nil {
		t.Fatal(err)
	}
	role := 0
	for i, r := range p.Roles {
		if r.Name == m.Role {
			role = i
		}
	}
	sum := group.SmallScalar(0)
	for _, raw := range messages {
		r := canon.NewReader(raw[:len(raw)-64])
		r.Fixed(make([]byte, 33))
		typ := quorum.Type(r.Byte())
		var from [3]byte
		r.Fixed(from[:])
		body := r.Bytes(quorum.MaxMessageSize)
		if typ != quorum.TypeDeal || p.Kind != quorum.KindDealer && int(from[1]) != role {
			continue
		}
		core := body[32:]
		for i, to := range p.Roles {
			if p.Kind != quorum.KindDealer && i != role {
				continue
			}
			head := 32 * to.Threshold
			if p.Kind != quorum.KindReshare {
				head += 64
			}
			if i == role {
				sealed := core[head+(m.Index-1)*quorum.SealedShareSize:][:quorum.SealedShareSize]
				value, ok := quorum.OpenShare(p, quorum.SeatFrom(from), role, m.Index, key, sealed)
				if !ok {
					t.Fatalf("a share of %s/%d does not open", m.Role, m.Index)
				}
				if p.Kind == quorum.KindReshare {
					for j, l := range group.Lagrange(p.Handover[role]) {
						if p.Handover[role][j] == from[2] {
							value = value.Mul(l)
						}
					}
				}
				sum = sum.Add(value)
			}
			core = core[head+len(to.Members)*quorum.SealedShareSize:]
		}
	}
	if !sum.Equal(share.Secret()) {
		t.Errorf("%s/%d: what was dealt does not sum up to the share", m.Role, m.Index)
	}
}

func TestVectorsOfEnvelopesAndOpenings(t *testing.T) {
	v := readVectors(t)
	for i, e := range v.Envelopes {
		env := v.envelope(t, i)
		key, err := quorum.KeyFromBytes(e.Key)
		if err != nil {
			t.Fatal(err)
		}
		d := env.Digest(e.Label)
		if env.Check(e.Label) != nil || !bytes.Equal(d[:], e.Digest) || !bytes.Equal(key.Field(e.Field), e.FieldKey) {
			t.Errorf("envelope %d does not hold, or has another digest or field key", i)
		}
	}
	for i, x := range v.Openings {
		_, _, ks := v.ceremony(t, x.Ceremony)
		e := v.Envelopes[x.Envelope]
		var ps []*quorum.Partial
		for _, b := range x.Partials {
			p, err := quorum.ParsePartial(b)
			if err != nil {
				t.Fatal(err)
			}
			ps = append(ps, p)
		}
		c, err := quorum.Combine(ks, v.release(t, x), v.envelope(t, x.Envelope), e.Label, ps)
		if err != nil || !bytes.Equal(c.Bytes(), x.Combined) {
			t.Fatalf("opening %d: %v", i, err)
		}
		private, err := quorum.ParseRecipientKey(x.Private)
		if err != nil {
			t.Fatal(err)
		}
		key, err := private.Open(v.envelope(t, x.Envelope), e.Label, c)
		if err != nil || !bytes.Equal(key.Bytes(), e.Key) {
			t.Errorf("opening %d: %v", i, err)
		}
	}
}

func TestVectorsOfRefused(t *testing.T) {
	for _, r := range readVectors(t).Refused {
		var err error
		switch r.What {
		case "point":
			_, err = group.ParsePoint(r.Bytes)
		case "scalar":
			_, err = group.ParseScalar(r.Bytes)
		case "envelope":
			_, err = quorum.ParseEnvelope(r.Bytes)
		case "key set":
			_, err = quorum.ParseKeySet(r.Bytes)
		case "partial":
			_, err = quorum.ParsePartial(r.Bytes)
		default:
			t.Fatalf("unknown kind %q", r.What)
		}
		if err == nil {
			t.Errorf("%s is taken: %s", r.What, r.Why)
		}
	}
}
