package pgtest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the server when this process dies, however.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
