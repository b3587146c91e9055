package handlers_test

import "syscall"

func mountTiny(dir string) (unmount func(), err error) {
	err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }, err
}
