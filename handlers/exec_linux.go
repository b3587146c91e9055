package handlers

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithRouter lets the kernel kill a program when the thread that started it ends, and
// so with the router, however that dies.
func dieWithRouter(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// unread is how many bytes of a pipe nobody has read, also when nobody can any more.
func unread(pipe *os.File) int {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	if conn.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }) != nil || err != nil {
		return 0
	}
	return n
}
