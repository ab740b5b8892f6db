package frontdoor

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"bonded"
	"bonded/internal/seal"
)

// packageChunk is how much of a package is sealed at once.
const packageChunk = 256 << 10

// A package is sealed to its officer where it holds values, but names whom it
// is about, in the request: so all of it is sealed while the vault keeps it.
// Its chunks have one length but for the last, which is from one byte to that
// length. Each is bound to its case, its place and whether it is the last: a
// file cut short, put together from others or with chunks out of place does
// not open.

func packageLabel(id bonded.ID, i uint64, last bool) string {
	return fmt.Sprintf("case/%s/package/%d/%t", id.Hex(), i, last)
}

// A packageSealer seals what is written to it. Close writes the last chunk; it
// does not close w.
type packageSealer struct {
	w   io.Writer
	key seal.Key
	id  bonded.ID
	buf []byte // at most one chunk
	i   uint64
}

func (p *packageSealer) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		// A full chunk waits until it is known that more follows.
		if len(p.buf) == packageChunk {
			if err := p.flush(false); err != nil {
				return n - len(b), err
			}
		}
		take := min(len(b), packageChunk-len(p.buf))
		p.buf, b = append(p.buf, b[:take]...), b[take:]
	}
	return n, nil
}

func (p *packageSealer) Close() error { return p.flush(true) }

func (p *packageSealer) flush(last bool) error {
	sealed, err := seal.SealSecret(p.key, packageLabel(p.id, p.i, last), p.buf)
	if err != nil {
		return err
	}
	p.i++
	p.buf = p.buf[:0]
	_, err = p.w.Write(sealed)
	return err
}

// A packageOpener reads what a packageSealer wrote. It gives out nothing of a
// chunk that does not open: the error then has code altered.
type packageOpener struct {
	r      *bufio.Reader
	file   io.Closer
	key    seal.Key
	id     bonded.ID
	i      uint64
	sealed []byte
	rest   []byte
	done   bool
}

func newPackageOpener(f io.ReadCloser, key seal.Key, id bonded.ID) *packageOpener {
	return &packageOpener{r: bufio.NewReader(f), file: f, key: key, id: id, sealed: make([]byte, packageChunk+seal.Overhead)}
}

func (p *packageOpener) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.done {
			return 0, io.EOF
		}
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *packageOpener) next() error {
	n, err := io.ReadFull(p.r, p.sealed)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.done = true
	case errors.Is(err, io.EOF):
		return altered("package", err) // the last chunk is missing
	case err != nil:
		return fmt.Errorf("read package: %w", err)
	default:
		_, err := p.r.Peek(1)
		p.done = errors.Is(err, io.EOF)
	}
	if p.rest, err = seal.OpenSecret(p.key, packageLabel(p.id, p.i, p.done), p.sealed[:n]); err != nil {
		return altered("package", err)
	}
	p.i++
	return nil
}

func (p *packageOpener) Close() error { return p.file.Close() }
