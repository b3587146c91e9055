//go:build !unix

package handlers

import (
	"os"
	"os/exec"
)

// There are no signals here: both kill.
const (
	sigTerm = iota
	sigKill
)

// ownGroup can only ask for what there is: no process groups.
func ownGroup(cmd *exec.Cmd) { dieWithRouter(cmd.SysProcAttr) }

// signalGroup ends the process; what it has started stays.
func signalGroup(leader *os.Process, _ int) { _ = leader.Kill() }
