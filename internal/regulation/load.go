package regulation

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"bonded/internal/yamlstrict"
	"bonded/packs"
)

// Shipped returns the packs built into this program.
func Shipped() ([]Pack, error) { return Load(packs.Files) }

// Load reads every pack of a folder, "<id>/<version>.yaml" each, in order of
// id and version. A pack that is wrong is a [*bonded.Error] with code
// [bonded.CodeConfig] whose Field names file, line and column.
func Load(fsys fs.FS) ([]Pack, error) {
	var all []Pack
	names, err := fs.Glob(fsys, "*/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list packs: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read pack: %w", err)
		}
		p, err := Parse(name, text)
		if err != nil {
			return nil, err
		}
		if want := p.ID + "/" + p.Version + ".yaml"; name != want {
			return nil, wrong(name+":1:1", "a pack is filed under its id and version", "rename it to "+path.Join(path.Dir(path.Dir(name)), want))
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Pack) int {
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		if newer(a.Version, b.Version) {
			return 1
		}
		return -1
	})
	return all, nil
}

// Parse reads one pack. Name is the file's name, for errors.
func Parse(name string, text []byte) (Pack, error) {
	var p Pack
	if err := yamlstrict.Decode(name, text, &p); err != nil {
		return Pack{}, err
	}
	if len(p.Covers) == 0 {
		p.Covers = append(p.Covers, p.Jurisdiction)
	}
	return p, nil
}
