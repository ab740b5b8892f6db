package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"bonded"
	"bonded/internal/wire"
)

const (
	headerSize = 4 + 1 + 8
	afterLen   = headerSize - 4
)

// errFrame is why a connection is closed on a frame that no peer of ours
// writes.
var errFrame = errors.New("malformed frame")

// appendFrame appends one frame to b.
func appendFrame(b []byte, kind byte, id uint64, payload []byte) ([]byte, error) {
	if len(payload) > wire.MaxFrame {
		return b, bonded.Errorf(bonded.CodeTooLarge, "message of %d bytes is over the limit of %d", len(payload), wire.MaxFrame)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(afterLen+len(payload))) //nolint:gosec // bounded above
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, id)
	return append(b, payload...), nil
}

// readFrame reads one frame. It reads no payload beyond [wire.MaxFrame].
func readFrame(r io.Reader) (kind byte, id uint64, payload []byte, err error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < afterLen || n > afterLen+wire.MaxFrame {
		return 0, 0, nil, fmt.Errorf("%w: length %d", errFrame, n)
	}
	payload = make([]byte, n-afterLen)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, 0, nil, err
	}
	return h[4], binary.BigEndian.Uint64(h[5:]), payload, nil
}
