//go:build unix

package node

// OpenDirectory and Get show the directory file of a party to tests.
var OpenDirectory = openDirectory

// Get is get.
func (f *directoryFile) Get() (version uint64, err error) {
	d, _, err := f.get()
	return d.Version, err
}
