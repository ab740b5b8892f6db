package remote

import "io"

// ReadFrame is readFrame, for fuzzing.
func ReadFrame(r io.Reader) (kind byte, id uint64, payload []byte, err error) { return readFrame(r) }

// AppendFrame is appendFrame.
func AppendFrame(b []byte, kind byte, id uint64, payload []byte) ([]byte, error) {
	return appendFrame(b, kind, id, payload)
}
