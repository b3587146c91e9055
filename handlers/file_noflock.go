//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package handlers

import (
	"errors"
	"os"
)

// errLocked says that somebody else has the lock.
var errLocked = errors.New("locked") //nolint:gochecknoglobals // a constant, but for the type

// tryLock does nothing on this system: a file may have one writer.
func tryLock(*os.File) error { return nil }

func unlock(*os.File) error { return nil }
