package quorum

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// MaxMessageSize is the most bytes of a message of a ceremony.
const MaxMessageSize = 512 << 10

// A Type says what a message of a ceremony is.
type Type byte

// Types of message, in the order of the rounds.
const (
	TypeCommit    Type = 1 // round 1: the hash of a deal
	TypeDeal      Type = 2 // round 2: commitments, proof of possession, sealed shares
	TypeComplaint Type = 3 // round 3: the share of one dealer does not open or does not fit
	TypeAnswer    Type = 4 // round 4: the share in question, in clear
	TypeConfirm   Type = 5 // round 3 or 5: the transcript and the key set that comes of it
)

// String returns "commit", "deal", "complaint", "answer" or "confirm".
func (t Type) String() string {
	names := [...]string{TypeCommit: "commit", TypeDeal: "deal", TypeComplaint: "complaint", TypeAnswer: "answer", TypeConfirm: "confirm"}
	if t < TypeCommit || t > TypeConfirm {
		return "unknown"
	}
	return names[t]
}

// parts a person plays in a ceremony.
const (
	partMember = 1 // will hold a share; in a DKG also deals
	partOld    = 2 // holds a share of the previous key set and deals it on
	partDealer = 3 // the one dealer of KindDealer
)

// A seat is one party of a ceremony.
type seat struct{ part, role, index uint8 }

func (s seat) bytes() []byte { return []byte{s.part, s.role, s.index} }

func (s seat) compare(t seat) int {
	for _, d := range [...]int{int(s.part) - int(t.part), int(s.role) - int(t.role), int(s.index) - int(t.index)} {
		if d != 0 {
			return d
		}
	}
	return 0
}

// A message is one signed post. Its signature is checked before its body is
// looked at, so that a body nobody should have signed counts against its signer.
type message struct {
	typ  Type
	from seat
	body []byte
	raw  []byte   // with the signature
	hash [32]byte // of what is signed: signatures have several spellings, this has one

	// decoded body
	about seat     // complaint: the dealer; answer: the member that complained
	first [32]byte // commit: hash of the deal; deal: digest of all commits; confirm: transcript
	keys  [32]byte // confirm: digest of the key set
	deal  []part   // deal: one for each role dealt to
	core  []byte   // deal: the bytes that the commit is the hash of
	why   byte     // complaint
	share group.Scalar
}

// A part is what one dealer deals to one role.
type part struct {
	role   uint8
	points commitments
	proof  sigma.Proof // of possession; none when resharing
	sealed [][]byte    // for the member at each position
}

const signatureSize = ed25519.SignatureSize

var errNotHere = fmt.Errorf("message is of another ceremony or of nobody in it, or its signature does not hold")

// signMessage writes a message. signer is Ed25519: the same body gives the same
// message again.
func signMessage(signer crypto.Signer, ceremony [32]byte, typ Type, from seat, body []byte) ([]byte, error) {
	w := canon.Writer{B: make([]byte, 0, len(body)+128)}
	w.Byte(1)
	w.Fixed(ceremony[:])
	w.Byte(byte(typ))
	w.Fixed(from.bytes())
	w.Bytes(body)
	sig, err := signer.Sign(nil, signedBytes(w.B), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", typ, err)
	}
	w.Fixed(sig)
	return w.B, nil
}

func signedBytes(unsigned []byte) []byte {
	hash := sha256.Sum256(unsigned)
	return canon.LP([]byte("bonded/quorum/message/1"), hash[:])
}

// parseMessage reads the frame of a message and checks its signature. The body
// is not decoded yet.
func (b *board) parseMessage(raw []byte) (*message, error) {
	if len(raw) > MaxMessageSize || len(raw) < signatureSize {
		return nil, malformed("message")
	}
	unsigned, sig := raw[:len(raw)-signatureSize], raw[len(raw)-signatureSize:]
	r := canon.NewReader(unsigned)
	version := r.Byte()
	var ceremony [32]byte
	r.Fixed(ceremony[:])
	m := &message{typ: Type(r.Byte()), from: seat{r.Byte(), r.Byte(), r.Byte()}}
	m.body = r.Bytes(MaxMessageSize)
	if r.Done() != nil || version != 1 {
		return nil, malformed("message")
	}
	key := b.approval(m.from)
	if ceremony != b.ceremony || key == nil || !ed25519.Verify(key, signedBytes(unsigned), sig) {
		return nil, bonded.Wrap(bonded.CodeInvalid, errNotHere, "message does not belong to this ceremony")
	}
	m.raw = raw
	m.hash = sha256.Sum256(unsigned)
	return m, nil
}

// decodeBody reports whether the body is what a party in this seat may say.
// Given the parameters of the ceremony every body has one length.
func (b *board) decodeBody(m *message) bool {
	r := canon.NewReader(m.body)
	switch m.typ {
	case TypeCommit:
		r.Fixed(m.first[:])
		return r.Done() == nil && b.deals(m.from)
	case TypeDeal:
		r.Fixed(m.first[:])
		if r.Bad() || !b.deals(m.from) {
			return false
		}
		m.core = m.body[len(m.first):]
		var ok bool
		m.deal, ok = b.parseDeal(m.from, m.core)
		return ok
	case TypeComplaint:
		m.about = seat{r.Byte(), r.Byte(), r.Byte()}
		m.why = r.Byte()
		return r.Done() == nil && m.from.part == partMember && b.deals(m.about) && m.about != m.from &&
			b.dealsTo(m.about, m.from.role) && (m.why == whyClosed || m.why == whyUnfit)
	case TypeAnswer:
		m.about = seat{r.Byte(), r.Byte(), r.Byte()}
		var share [group.Size]byte
		r.Fixed(share[:])
		s, err := group.ParseScalar(share[:])
		m.share = s
		return r.Done() == nil && err == nil && b.deals(m.from) && m.about.part == partMember && b.approval(m.about) != nil &&
			m.about != m.from && b.dealsTo(m.from, m.about.role)
	case TypeConfirm:
		r.Fixed(m.first[:])
		r.Fixed(m.keys[:])
		return r.Done() == nil && b.confirms(m.from)
	}
	return false
}

// reasons of a complaint
const (
	whyClosed = 1 // the sealed share does not open
	whyUnfit  = 2 // it opens to a share that does not fit the commitments
)

// parseDeal reads the parts of a deal: for each role dealt to, the commitments,
// the proof of possession unless resharing, and a sealed share for each member.
func (b *board) parseDeal(from seat, core []byte) ([]part, bool) {
	var parts []part
	for i, role := range b.p.Roles {
		if !b.dealsTo(from, uint8(i)) { //nolint:gosec // at most MaxRoles
			continue
		}
		pt := part{role: uint8(i)} //nolint:gosec // at most MaxRoles
		take := func(n int) []byte {
			if len(core) < n {
				core = nil
				return nil
			}
			t := core[:n]
			core = core[n:]
			return t
		}
		var ok bool
		if pt.points, ok = parseCommitments(take(role.Threshold*group.Size), role.Threshold); !ok {
			return nil, false
		}
		if b.p.Kind != KindReshare {
			proof, err := sigma.Parse(take(sigma.Size(1)), 1)
			if err != nil {
				return nil, false
			}
			pt.proof = proof
		}
		for range role.Members {
			sealed := take(sealedShareSize)
			if sealed == nil {
				return nil, false
			}
			pt.sealed = append(pt.sealed, sealed)
		}
		parts = append(parts, pt)
	}
	return parts, len(core) == 0
}

// dealHash is what a dealer commits to in round 1.
func dealHash(ceremony [32]byte, from seat, core []byte) [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/quorum/deal/1"), ceremony[:], from.bytes(), core))
}

// possession is the session and the statement of a dealer's proof that it
// knows the constant of what it deals to a role (Ristenpart and Yilek, The
// Power of Proofs-of-Possession, EUROCRYPT 2007).
func possession(ceremony [32]byte, from seat, role uint8, key group.Point) ([]byte, sigma.Statement) {
	session := canon.LP([]byte("bonded/quorum/possession/1"), ceremony[:], from.bytes(), []byte{role})
	return session, sigma.Statement{Witnesses: 1, Equations: []sigma.Equation{
		{Y: key, Terms: []sigma.Term{{Witness: 0, Base: group.Generator()}}},
	}}
}
