//go:build unix

package handlers

import (
	"os"
	"os/exec"
	"syscall"
)

const (
	sigTerm = syscall.SIGTERM
	sigKill = syscall.SIGKILL
)

// ownGroup gives a command a process group of its own: signals reach all that it starts,
// and a Ctrl-C in the router's terminal doesn't.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithRouter(cmd.SysProcAttr)
}

// signalGroup signals all processes of the group that leader leads; none is no error.
func signalGroup(leader *os.Process, sig syscall.Signal) { _ = syscall.Kill(-leader.Pid, sig) }
