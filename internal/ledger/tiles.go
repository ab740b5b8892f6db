//go:build unix

package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// A folder reads a log's files and nothing outside of it.
type folder struct{ root *os.Root }

// tree returns a reader of hashes of the tree of size and root, which checks
// each tile it reads against that root. It implements [tlog.TileReader].
func (f folder) tree(size int64, root tlog.Hash) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, f)
}

// Height implements [tlog.TileReader].
func (f folder) Height() int { return 8 }

// SaveTiles implements [tlog.TileReader]; the files are already here.
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements [tlog.TileReader].
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := f.partialOrFull(verify.TilePath(t.L, t.N, t.W), verify.TilePath(t.L, t.N, 0))
		if err != nil {
			return nil, err
		}
		n := t.W * tlog.HashSize
		if len(b) < n {
			return nil, fmt.Errorf("%s is too short", verify.TilePath(t.L, t.N, t.W))
		}
		out[i] = b[:n]
	}
	return out, nil
}

// bundle returns the entries of a bundle for a tree of size.
func (f folder) bundle(index, size int64) ([][]byte, error) {
	width := int(min(size-index*verify.TileWidth, verify.TileWidth))
	b, err := f.partialOrFull(verify.BundlePath(index, width), verify.BundlePath(index, 0))
	if err != nil {
		return nil, err
	}
	return verify.ParseBundle(b)
}

// partialOrFull reads a partial file or, once that is collected as garbage,
// the full one.
func (f folder) partialOrFull(path, full string) ([]byte, error) {
	b, err := f.root.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path != full {
		b, err = f.root.ReadFile(full)
	}
	return b, err
}

// treeState returns the size and root of the integrated tree, published or
// not. The file is Tessera's own (state folder version 1).
func (f folder) treeState() (int64, tlog.Hash, error) {
	var s struct {
		Size int64  `json:"size"`
		Root []byte `json:"root"`
	}
	b, err := f.root.ReadFile(".state/treeState")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, tlog.Hash{}, nil
	}
	if err != nil {
		return 0, tlog.Hash{}, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("read tree state: %w", err)
	}
	if s.Size < 0 || len(s.Root) != tlog.HashSize {
		return 0, tlog.Hash{}, errors.New("read tree state: not a tree head")
	}
	return s.Size, tlog.Hash(s.Root), nil
}
