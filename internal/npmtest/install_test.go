package npmtest

import (
	"strings"
	"testing"
)

func TestInstallWithoutNpm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := install(); err == nil || !strings.Contains(err.Error(), "apt-get install npm") {
		t.Errorf("without npm: %v, want an error that says what to install", err)
	}
}
