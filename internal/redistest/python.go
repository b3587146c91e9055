package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// Python returns a Python interpreter that has redis-py. Without one the test is
// skipped, or fails when CI=true.
func Python(tb testing.TB) string {
	tb.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(tb.Context(), python, "-c", "import redis").Run() == nil {
			return python
		}
	}
	const remedy = "no python3 with redis-py: apt-get install python3-redis"
	if os.Getenv("CI") == "true" {
		tb.Fatal(remedy)
	}
	tb.Skip(remedy)
	return ""
}
