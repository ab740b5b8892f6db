package frontdoor

import (
	"io"

	"bonded"
	"bonded/internal/seal"
)

const PackageChunk = packageChunk

func SealPackage(w io.Writer, key seal.Key, id bonded.ID) io.WriteCloser {
	return &packageSealer{w: w, key: key, id: id}
}

func OpenPackage(r io.ReadCloser, key seal.Key, id bonded.ID) io.Reader {
	return newPackageOpener(r, key, id)
}
