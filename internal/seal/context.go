package seal

import (
	"encoding/binary"
	"errors"

	"bonded"
)

// A Context says where a sealed value belongs. It is authenticated, not
// stored: the opener must already know it, so a row copied elsewhere is dead.
type Context struct {
	Cell       bonded.CellID // the cell that stores the value
	Subject    bonded.ID     // the person it is about
	Record     bonded.ID     // the row it is in
	Collection string        // the collection of the row, such as "users"
	Field      string        // the field, such as "passport_no"
	Version    bonded.ID     // the version id under which the field was written
}

var errContext = errors.New("context is incomplete: cell, subject, collection, record, field and version must all be named")

// complete reports whether every part is there and well formed. Sealing asks
// for it; opening need not, because nothing was sealed otherwise.
func (c *Context) complete() bool {
	return c.Cell.Valid() && !c.Subject.IsZero() && !c.Record.IsZero() && !c.Version.IsZero() &&
		bonded.ValidName(c.Collection) && bonded.ValidName(c.Field)
}

// appendTo appends the additional data of a value sealed with suite in c.
func (c *Context) appendTo(b []byte, suite Suite) []byte {
	b = appendPart(b, "bonded/seal/1")
	b = appendPart(b, []byte{byte(suite)})
	b = appendPart(b, c.Cell)
	b = appendPart(b, c.Subject[:])
	b = appendPart(b, c.Collection)
	b = appendPart(b, c.Record[:])
	b = appendPart(b, c.Field)
	return appendPart(b, c.Version[:])
}

// appendPart appends the length of part, 8 bytes big-endian, and part. A
// sequence of such parts has one reading only: no two lists of parts give the
// same bytes.
func appendPart[P ~string | ~[]byte](b []byte, part P) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
	return append(b, part...)
}

// uint32Part returns n as the 4 bytes big-endian that become a part.
func uint32Part(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
