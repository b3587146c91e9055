package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"signalbox/router"
)

// fileVerdict is what becomes of events that could not be appended to a file. What is
// wrong with this one name is permanent, so that the events of other files go on;
// anything else is wrong with the place, and the events wait until somebody has mended it.
// Escapes is what an os.Root says of a name that leads out of it.
func fileVerdict(at string, err, escapes error) error {
	err = cause(err)
	remedy := ""
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("append to %q: %w", at, err)
	case errors.Is(err, errNoFile), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return router.Permanent(fmt.Errorf("append to %q: something else than a file has this name, or than a folder the name of its folder; move it away: %w", at, err))
	case escapes != nil && errors.Is(err, escapes), errors.Is(err, syscall.ELOOP):
		return router.Permanent(fmt.Errorf("append to %q: a symbolic link leads out of the folder, or nowhere; remove it: %w", at, err))
	case errors.Is(err, syscall.ENAMETOOLONG):
		return router.Permanent(fmt.Errorf("append to %q: the name is too long for this file system: %w", at, err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "; make room"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		remedy = "; let this user write there"
	}
	return router.Unavailable(fmt.Errorf("append to %q: %w%s", at, err, remedy), 0)
}

// cause is an error of the system without the name of the file, which our errors say better.
func cause(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	if of, ok := errors.AsType[*os.LinkError](err); ok {
		return of.Err
	}
	if of, ok := errors.AsType[*os.SyscallError](err); ok {
		return of.Err
	}
	return err
}
