package cli

import (
	"path/filepath"
	"runtime/debug"
	"strings"
)

// invocation is how the user calls this program, for hints that can be typed as they
// are: "router", "bin/router", or "go run ./cmd/router", whose binary is soon gone.
func invocation(arg0 string) string {
	if !strings.Contains(filepath.ToSlash(arg0), "/go-build") {
		return arg0
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.HasPrefix(info.Path, info.Main.Path+"/") {
		return filepath.Base(arg0)
	}
	return "go run ." + strings.TrimPrefix(info.Path, info.Main.Path)
}
