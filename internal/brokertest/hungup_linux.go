package brokertest

import (
	"net"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other end has closed the connection, also while data that it
// sent before waits to be read.
func hungUp(socket net.Conn) bool {
	tcp, ok := socket.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents != 0
	})
	return gone || err != nil
}
