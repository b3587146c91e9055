//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package handlers

import (
	"errors"
	"os"
	"syscall"
)

// errLocked says that somebody else has the lock.
const errLocked = syscall.EWOULDBLOCK

// tryLock takes the lock of an open file, which it loses when it is closed, also by the
// end of the process. The lock belongs to the opening and not to the process, so it keeps
// two handlers of one process apart as well.
func tryLock(file *os.File) error { return flock(file, syscall.LOCK_EX|syscall.LOCK_NB) }

func unlock(file *os.File) error { return flock(file, syscall.LOCK_UN) }

func flock(file *os.File, how int) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			failed = syscall.Flock(int(fd), how)
			if !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}
