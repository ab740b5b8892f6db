//go:build unix

package node

import (
	"net/http"
	"os"
	"path/filepath"

	"bonded/internal/locale"
	"bonded/internal/officers"
)

// officersPages returns the pages of the requesters. Their program stands in
// the folder that the configuration names, or beside this one.
func (n *vaultNode) officersPages() (http.Handler, error) {
	dir := n.conf.FrontDoor.Officers
	if dir != "" {
		dir = resolve(n.dir, dir)
	} else {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		dir = filepath.Dir(self)
	}
	program, err := officers.ReadProgram(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	words, err := locale.Shipped()
	if err != nil {
		return nil, err
	}
	return officers.New(officers.Config{Cell: n.conf.Cell, Rules: n.door.rules, Locale: words, Program: program})
}
