package routertest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Golden fails the test when got is not what the file testdata/NAME says. It writes the
// file instead when UPDATE_GOLDEN=1 is in the environment, or when the test's own package
// has a flag -update and it is set; it defines no flag itself.
func Golden(tb testing.TB, name, got string) {
	tb.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // like the rest of the sources
			tb.Fatalf("routertest: %v", err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // likewise
			tb.Fatalf("routertest: %v", err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("routertest: %v; UPDATE_GOLDEN=1 go test writes it", err)
	}
	want := strings.ReplaceAll(string(data), "\r\n", "\n") // git on Windows
	if got == want {
		return
	}
	line := 1
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for line <= min(len(gotLines), len(wantLines)) && gotLines[line-1] == wantLines[line-1] {
		line++
	}
	tb.Errorf("%s:%d differs; UPDATE_GOLDEN=1 go test writes it anew\n--- got\n%s\n--- want\n%s", path, line, got, want)
}

func updating() bool {
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		return true
	}
	return os.Getenv("UPDATE_GOLDEN") == "1"
}
