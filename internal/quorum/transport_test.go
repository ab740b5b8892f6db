package quorum_test

import (
	"bytes"
	"testing"

	"bonded/internal/quorum"
)

// Whoever seals a transport key for rest wipes the bytes, and goes on using it.
func TestTransportKeyOutlivesItsBytes(t *testing.T) {
	k, err := quorum.NewTransportKey()
	if err != nil {
		t.Fatal(err)
	}
	first := k.Bytes()
	kept := bytes.Clone(first)
	clear(first)
	if !bytes.Equal(k.Bytes(), kept) {
		t.Error("the key lost its bytes")
	}
}
