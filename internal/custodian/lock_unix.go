//go:build unix

package custodian

import (
	"os"
	"path/filepath"
	"syscall"

	"bonded"
)

// lock keeps other processes out of the folder, and reads what they may have
// changed: a page, a worker and a command can be open at the same time. Call
// what it returns to let go. The caller must not hold mu.
func (f *Folder) lock() (func(), error) {
	f.mu.Lock()
	file, err := os.OpenFile(filepath.Join(f.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		f.mu.Unlock()
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the custodian's folder cannot be locked")
	}
	unlock := func() {
		_ = file.Close() // lets go of the lock
		f.mu.Unlock()
	}
	if err := f.load(); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
