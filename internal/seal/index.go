package seal

import (
	"fmt"
	"io"
	"log/slog"
)

// IndexSize is the length of [IndexKey.Sum] in bytes.
const IndexSize = 32

// An IndexKey is one of the two locks on the values of one indexed field.
// Finding a person by a value takes both: the vault sums the normalised value
// under the inner key, the keyholder sums that under the outer key. Neither
// alone can try a dictionary. Equal values give equal sums, so equality and
// frequency show. The zero IndexKey is not valid.
type IndexKey struct {
	suite Suite
	key   Key
}

// InnerIndexKey returns the vault's lock on one field, derived from the
// vault's index master key. The result is not valid if an argument is not.
func InnerIndexKey(master Key, suite Suite, collection, field string) IndexKey {
	return indexKey("bonded/index/inner/1", master, suite, collection, field)
}

// OuterIndexKey returns the keyholder's lock on one field, derived from the
// keyholder's index master key. The result is not valid if an argument is not.
func OuterIndexKey(master Key, suite Suite, collection, field string) IndexKey {
	return indexKey("bonded/index/outer/1", master, suite, collection, field)
}

func indexKey(label string, master Key, suite Suite, collection, field string) IndexKey {
	b := appendPart(make([]byte, 0, 128), label)
	b = appendPart(b, collection)
	b = appendPart(b, field)
	return IndexKey{suite: suite, key: master.derive(suite, b)}
}

// Valid reports whether ik can be used: it is neither zero nor wiped, and was
// derived from a valid key.
func (ik IndexKey) Valid() bool { return ik.key.Valid() }

// Sum returns the HMAC of data under ik. Callers store the first 16 bytes.
// It panics if ik is not valid, because any answer would make every value
// look alike.
func (ik IndexKey) Sum(data []byte) [IndexSize]byte {
	b := ik.key.usable()
	if b == nil {
		panic("seal: Sum under an index key that is zero or wiped")
	}
	return ik.suite.mac(b, data)
}

// Wipe overwrites the key in every copy of ik.
func (ik IndexKey) Wipe() { ik.key.Wipe() }

// Format keeps keys out of messages, whatever the verb.
func (IndexKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[index key]") }

// LogValue keeps keys out of logs.
func (IndexKey) LogValue() slog.Value { return slog.StringValue("[index key]") }
