package remote_test

import (
	"bytes"
	"testing"

	"bonded/internal/remote"
)

func FuzzReadFrame(f *testing.F) {
	seed, err := remote.AppendFrame(nil, 2, 7, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4 && b[0] != 0 {
			return // reading on would only wait for megabytes
		}
		r := bytes.NewReader(b)
		kind, id, payload, err := remote.ReadFrame(r)
		if err != nil {
			return
		}
		again, err := remote.AppendFrame(nil, kind, id, payload)
		if err != nil || !bytes.Equal(again, b[:len(b)-r.Len()]) {
			t.Errorf("frame is written otherwise: %x, %v", again, err)
		}
	})
}
