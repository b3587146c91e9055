package routesfile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestNoPermission reads as nobody does, also where the tests run as root.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(path, []byte(oneChannel), 0); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		// Only this thread is nobody, and ends with the goroutine, because it stays locked.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
			}
		}
		_, err := Load(Source{Paths: []string{path}}, testKinds())
		failed <- err
	}()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "routes.toml: cannot be read: permission denied") {
		t.Errorf("got %v", err)
	}
}
