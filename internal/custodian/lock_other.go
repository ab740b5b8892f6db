//go:build !unix

package custodian

import "bonded"

// lock refuses: without a lock between processes a share could be lost.
func (f *Folder) lock() (func(), error) {
	return nil, bonded.Errorf(bonded.CodeUnsupported, "a custodian's folder needs a Unix system")
}
