package deploy

import (
	"os/exec"
	"syscall"
)

// detach keeps the terminal's Ctrl-C from the child, so that we end children
// in order, and ends the child if we die without ending it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
