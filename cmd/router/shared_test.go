package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The configurations that the design shows pass check and test, but for two keys that are
// not there yet.
func TestSharedConfigurations(t *testing.T) {
	t.Parallel()
	const shared = "../../router/routesfile/testdata/shared"
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(shared)); err != nil {
		t.Fatal(err)
	}
	later := regexp.MustCompile(`(?m)^(stale_after|hours) .*\n`)
	files, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, string(later.ReplaceAll(text, nil)))
	}
	for _, c := range []struct{ files, tests string }{
		{"audit.toml", ""},
		{"feeds.toml", ""},
		{"iot.toml", ""},
		{"shop.toml", "ok: 2 tests, every route (3) exercised"},
		{"trader-channels.toml trader-bot.toml", "ok: 1 test"},
		{"trader-channels.toml trader-saver.toml", ""},
	} {
		var args []string
		for file := range strings.FieldsSeq(c.files) {
			args = append(args, "-c", file)
		}
		if out, err := routerIn(t, dir, append([]string{"check"}, args...)); err != nil || !strings.Contains(out, "\nok: ") {
			t.Errorf("check %s: %v\n%s", c.files, err, out)
		}
		if c.tests == "" {
			continue
		}
		if out, err := routerIn(t, dir, append([]string{"test"}, args...)); err != nil || !strings.Contains(out, c.tests) {
			t.Errorf("test %s: %v\n%s", c.files, err, out)
		}
	}
	// A key that is there now has to leave the pattern above.
	if out, _ := routerIn(t, shared, []string{"check", "-c", "trader-channels.toml"}); !strings.Contains(out, `"stale_after"`) || !strings.Contains(out, `"hours"`) {
		t.Errorf("stale_after and hours are known:\n%s", out)
	}
}

func routerIn(t *testing.T, dir string, args []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "router", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
