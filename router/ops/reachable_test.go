package ops

import (
	"net"
	"testing"
)

// The log names an address that this machine can open.
func TestReachable(t *testing.T) {
	for at, want := range map[string]string{
		"0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080", "127.0.0.1:1": "127.0.0.1:1", "[::1]:8080": "[::1]:8080", "192.0.2.7:80": "192.0.2.7:80",
	} {
		addr, err := net.ResolveTCPAddr("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(addr); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}
