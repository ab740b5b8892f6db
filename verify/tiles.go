package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileWidth is the number of hashes in a full tile and of entries in a full
// bundle (c2sp.org/tlog-tiles, "Merkle Tree").
const TileWidth = 256

// MaxEntrySize is the largest entry a bundle can hold, in bytes: its length is
// a uint16.
const MaxEntrySize = 1<<16 - 1

// emptyRoot is the RFC 6962 hash of a tree without entries.
var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// CheckpointPath is the path of the checkpoint below a log's prefix.
const CheckpointPath = "checkpoint"

// TilePath returns the path of a hash tile below a log's prefix. Width 0 and
// [TileWidth] name the full tile.
func TilePath(level int, index int64, width int) string {
	return "tile/" + strconv.Itoa(level) + "/" + tileIndex(index) + partialSuffix(width)
}

// BundlePath returns the path of an entry bundle below a log's prefix. Width 0
// and [TileWidth] name the full bundle.
func BundlePath(index int64, width int) string {
	return "tile/entries/" + tileIndex(index) + partialSuffix(width)
}

func partialSuffix(width int) string {
	if width == 0 || width == TileWidth {
		return ""
	}
	return ".p/" + strconv.Itoa(width)
}

// tileIndex encodes an index as zero-padded groups of three digits, all but
// the last with an x.
func tileIndex(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// A LogResource is one file of the tlog-tiles layout.
type LogResource struct {
	Checkpoint bool  // the checkpoint; the other fields are zero
	Entries    bool  // an entry bundle, else a hash tile
	Level      int   // of a hash tile, 0 to 63
	Index      int64 // of the tile or bundle
	Width      int   // hashes or entries in it, 1 to [TileWidth]
}

// ParseLogPath reads a path below a log's prefix. It returns false for
// anything but the one right spelling of a resource, so that servers can serve
// nothing else.
func ParseLogPath(path string) (LogResource, bool) {
	if path == CheckpointPath {
		return LogResource{Checkpoint: true}, true
	}
	r := LogResource{Width: TileWidth}
	kind, rest, ok := strings.Cut(strings.TrimPrefix(path, "tile/"), "/")
	if !ok || !strings.HasPrefix(path, "tile/") {
		return LogResource{}, false
	}
	level, ok := parseDecimal(kind)
	if r.Entries = kind == "entries"; !r.Entries && (!ok || level > 63) {
		return LogResource{}, false
	}
	r.Level = int(level)
	rest, w, partial := strings.Cut(rest, ".p/")
	if partial {
		width, ok := parseDecimal(w)
		if !ok || width < 1 || width >= TileWidth {
			return LogResource{}, false
		}
		r.Width = int(width)
	}
	for g := range strings.SplitSeq(rest, "/") {
		d, err := strconv.ParseUint(strings.TrimPrefix(g, "x"), 10, 16)
		if err != nil || r.Index > maxTreeSize {
			return LogResource{}, false
		}
		r.Index = r.Index*1000 + int64(d)
	}
	return r, rest == tileIndex(r.Index)
}

// Within reports whether a tree of size has settled the resource: it will
// never hold anything else. The checkpoint never settles.
func (r LogResource) Within(size int64) bool {
	if r.Checkpoint {
		return false
	}
	// The tile's last hash covers entries up to end*256^level.
	end := r.Index*TileWidth + int64(r.Width)
	return r.Level < 8 && end <= size>>(8*r.Level)
}

// A compactTree computes tiles and the root of a growing tree from its leaf
// hashes, in memory of one tile a level.
type compactTree struct {
	size   int64
	levels [][]tlog.Hash // hashes of the tile at the right edge of each level, fewer than TileWidth
	full   func(level int, index int64, hashes []tlog.Hash) error
}

// add appends one leaf hash and hands on each tile that it fills.
func (t *compactTree) add(h tlog.Hash) error {
	t.size++
	span := int64(1)
	for l := 0; ; l++ {
		if l == len(t.levels) {
			t.levels = append(t.levels, make([]tlog.Hash, 0, TileWidth))
		}
		t.levels[l] = append(t.levels[l], h)
		span *= TileWidth
		if len(t.levels[l]) < TileWidth {
			return nil
		}
		if err := t.full(l, t.size/span-1, t.levels[l]); err != nil {
			return err
		}
		h = perfectHash(t.levels[l])
		t.levels[l] = t.levels[l][:0]
	}
}

// root returns the RFC 6962 root of the tree so far.
func (t *compactTree) root() tlog.Hash {
	var roots []tlog.Hash // of perfect subtrees, from left to right
	for _, rest := range slices.Backward(t.levels) {
		for w := TileWidth / 2; w > 0; w /= 2 {
			if len(rest)&w != 0 {
				roots = append(roots, perfectHash(rest[:w]))
				rest = rest[w:]
			}
		}
	}
	if len(roots) == 0 {
		return emptyRoot
	}
	h := roots[len(roots)-1]
	for i := len(roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(roots[i], h)
	}
	return h
}

// perfectHash returns the root over a power of two of subtree roots.
func perfectHash(hs []tlog.Hash) tlog.Hash {
	var room [TileWidth]tlog.Hash
	buf := append(room[:0], hs...)
	for n := len(buf); n > 1; n /= 2 {
		for i := range n / 2 {
			buf[i] = nodeHash(&buf[2*i], &buf[2*i+1])
		}
	}
	return buf[0]
}

// ParseBundle splits an entry bundle into its entries, which share memory with
// data (c2sp.org/tlog-tiles, "Log entries").
func ParseBundle(data []byte) ([][]byte, error) {
	var out [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, Fail(FailMalformed, "entry bundle ends inside entry %d", len(out))
		}
		n := int(binary.BigEndian.Uint16(data))
		out = append(out, data[2:2+n:2+n])
		data = data[2+n:]
		if len(out) > TileWidth {
			return nil, Fail(FailMalformed, "entry bundle holds more than %d entries", TileWidth)
		}
	}
	return out, nil
}
