package promtest

import (
	"os/exec"
	"syscall"
)

// dieWithTest makes the kernel kill the server when the test binary dies, however.
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
