package verify

import "strings"

// LatestURL returns the address of the newest checkpoint of origin that the
// witness has cosigned: GET /latest below its URL, Bonded's addition to C2SP
// tlog-witness (spec/witness.md). Status 200 comes with the checkpoint for
// [PolicyWitness.OpenLatest], 204 means that it has cosigned none yet.
func (w PolicyWitness) LatestURL(origin string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(w.URL, "/") + "/latest?origin=")
	for i := range len(origin) {
		c := origin[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// OpenLatest opens what the witness answered: a checkpoint of the log of
// logVkey, cosigned by this witness. It fails as [OpenCheckpoint] does. One
// witness is no quorum: use it to learn of a newer size, never to trust a
// tree.
func (w PolicyWitness) OpenLatest(raw []byte, logVkey string) (*Checkpoint, error) {
	key, err := ParseCosignatureVkey(w.Vkey)
	if err != nil {
		return nil, Unknown(FailKey, err, "the witness's public key cannot be used")
	}
	return OpenCheckpoint(raw, logVkey, &WitnessPolicy{
		witnesses: []policyWitness{{name: "w", vkey: w.Vkey, key: key}}, quorum: "w",
	})
}

// Covered reports whether answers from the witnesses with these names are
// enough to know of every checkpoint that a quorum ever cosigned: they meet the
// quorum themselves, and those who are silent do not.
func (p *WitnessPolicy) Covered(answered ...string) bool {
	var silent []string
	for _, w := range p.witnesses {
		known := false
		for _, a := range answered {
			known = known || a == w.name
		}
		if !known {
			silent = append(silent, w.name)
		}
	}
	return p.Satisfied(answered...) && !p.Satisfied(silent...)
}
