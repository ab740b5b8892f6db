package bonded

import "strings"

// A SubjectID names a natural person in one cell: "sub_cn_…".
type SubjectID struct {
	Cell CellID
	ID   ID
}

// A RecordID names one row of a collection: "rec_cn_…".
type RecordID struct {
	Cell CellID
	ID   ID
}

// A Token stands for one field of one record outside its cell: "tok_cn_…".
type Token struct {
	Cell CellID
	ID   ID
}

// A CaseID names one case at the front door: "case_cn_…".
type CaseID struct {
	Cell CellID
	ID   ID
}

// String returns the text form, such as "sub_cn_7k…".
func (s SubjectID) String() string { return format("sub", s.Cell, s.ID) }

// String returns the text form, such as "rec_cn_7k…".
func (r RecordID) String() string { return format("rec", r.Cell, r.ID) }

// String returns the text form, such as "tok_cn_7k…".
func (t Token) String() string { return format("tok", t.Cell, t.ID) }

// String returns the text form, such as "case_cn_7k…".
func (c CaseID) String() string { return format("case", c.Cell, c.ID) }

// ParseSubjectID reads a subject id. It returns an [Error] with code
// [CodeBadID] for another kind, another spelling or a wrong check character.
func ParseSubjectID(s string) (SubjectID, error) {
	cell, id, err := parse("sub", s)
	return SubjectID{cell, id}, err
}

// ParseRecordID reads a record id; errors as [ParseSubjectID].
func ParseRecordID(s string) (RecordID, error) {
	cell, id, err := parse("rec", s)
	return RecordID{cell, id}, err
}

// ParseToken reads a token; errors as [ParseSubjectID].
func ParseToken(s string) (Token, error) {
	cell, id, err := parse("tok", s)
	return Token{cell, id}, err
}

// ParseCaseID reads a case id; errors as [ParseSubjectID].
func ParseCaseID(s string) (CaseID, error) {
	cell, id, err := parse("case", s)
	return CaseID{cell, id}, err
}

// MarshalText implements [encoding.TextMarshaler].
func (s SubjectID) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText implements [encoding.TextMarshaler].
func (r RecordID) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText implements [encoding.TextMarshaler].
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText implements [encoding.TextMarshaler].
func (c CaseID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *SubjectID) UnmarshalText(b []byte) (err error) { *s, err = ParseSubjectID(string(b)); return }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *RecordID) UnmarshalText(b []byte) (err error) { *r, err = ParseRecordID(string(b)); return }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Token) UnmarshalText(b []byte) (err error) { *t, err = ParseToken(string(b)); return }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *CaseID) UnmarshalText(b []byte) (err error) { *c, err = ParseCaseID(string(b)); return }

// IsZero reports whether s names nobody.
func (s SubjectID) IsZero() bool { return s.ID.IsZero() }

// IsZero reports whether r names nothing.
func (r RecordID) IsZero() bool { return r.ID.IsZero() }

// IsZero reports whether t names nothing.
func (t Token) IsZero() bool { return t.ID.IsZero() }

// IsZero reports whether c names nothing.
func (c CaseID) IsZero() bool { return c.ID.IsZero() }

// The alphabet of the random part is Crockford's base 32 in lower case
// (https://www.crockford.com/base32.html) without its aliases: one value has
// one spelling.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// bodySize is the length of the random part: 26 × 5 = 130 bits, of which the
// first two are zero.
const bodySize = 26

func format(kind string, cell CellID, id ID) string {
	b := make([]byte, 0, len(kind)+len(cell)+bodySize+3)
	b = append(b, kind...)
	b = append(b, '_')
	b = append(b, cell...)
	b = append(b, '_')
	var acc, bits uint
	bits = 2 // the two zero bits in front
	for _, c := range id {
		acc = acc<<8 | uint(c)
		bits += 8
		for bits >= 5 {
			bits -= 5
			b = append(b, crockford[acc>>bits&31])
			acc &= 1<<bits - 1
		}
	}
	return string(append(b, checkCharacter(b)))
}

func parse(kind, s string) (CellID, ID, error) {
	bad := func(why string) (CellID, ID, error) {
		return "", ID{}, &Error{
			Code: CodeBadID, Message: why,
			Hint: "use the id exactly as Bonded returned it: " + kind + "_<cell>_<26 characters><check character>, lower case",
		}
	}
	rest, ok := strings.CutPrefix(s, kind+"_")
	if !ok {
		return bad("not a " + kindNames[kind] + ": it does not begin with " + kind + "_")
	}
	cell, body, ok := strings.Cut(rest, "_")
	if !ok || !CellID(cell).Valid() {
		return bad(kindNames[kind] + " names no cell")
	}
	if len(body) != bodySize+1 {
		return bad(kindNames[kind] + " has the wrong length")
	}
	var id ID
	var acc, bits, n uint
	for i := range bodySize {
		v := strings.IndexByte(crockford, body[i])
		if v < 0 || i == 0 && v > 7 {
			return bad(kindNames[kind] + " has a character that does not belong there")
		}
		acc = acc<<5 | uint(v)
		bits += 5
		if i == 0 {
			bits = 3
		}
		if bits >= 8 {
			bits -= 8
			id[n] = byte(acc >> bits) //nolint:gosec // the low eight bits
			acc &= 1<<bits - 1
			n++
		}
	}
	if body[bodySize] != checkCharacter([]byte(s[:len(s)-1])) {
		return bad(kindNames[kind] + " has a wrong check character: a character was mistyped or two were swapped")
	}
	return CellID(cell), id, nil
}

var kindNames = map[string]string{"sub": "subject id", "rec": "record id", "tok": "token", "case": "case id"}

// checkCharacter computes the ISO 7064 MOD 37,36 check character of the
// letters and digits of b; underscores do not count. It covers kind and cell
// as well, so an id moved to another cell does not pass.
func checkCharacter(b []byte) byte {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	p := 36
	for _, c := range b {
		var v int
		switch {
		case c >= '0' && c <= '9':
			v = int(c - '0')
		case c >= 'a' && c <= 'z':
			v = int(c-'a') + 10
		default:
			continue
		}
		s := (p + v) % 36
		if s == 0 {
			s = 36
		}
		p = s * 2 % 37
	}
	return alphabet[(37-p)%36]
}
