//go:build unix

package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of an add-checkpoint request (c2sp.org/tlog-witness: at most 63
// consistency proof lines).
const (
	maxProofLines   = 63
	maxRequestBytes = 64 + maxProofLines*45 + 1 + verify.MaxCheckpointSize
)

// A request is a parsed add-checkpoint body.
type request struct {
	old        int64
	proof      []tlog.Hash
	checkpoint []byte
}

var errMalformed = errors.New("malformed request")

// parseRequest reads an add-checkpoint body: the old size line, up to 63 lines
// of proof, an empty line, the checkpoint. Each value has one spelling.
func parseRequest(body []byte) (*request, error) {
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return nil, errMalformed
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok || len(lines)-1 > maxProofLines {
		return nil, errMalformed
	}
	old, err := strconv.ParseInt(size, 10, 64)
	if err != nil || old < 0 || strconv.FormatInt(old, 10) != size {
		return nil, errMalformed
	}
	r := &request{old: old, checkpoint: checkpoint}
	for _, l := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(h) != tlog.HashSize || strings.Contains(l, "\r") {
			return nil, errMalformed
		}
		r.proof = append(r.proof, tlog.Hash(h))
	}
	return r, nil
}
