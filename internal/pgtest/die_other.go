//go:build !linux

package pgtest

import "os/exec"

// dieWithParent can only rely on Close here.
func dieWithParent(*exec.Cmd) {}
