package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The configurations that the design shows pass check and test.
func TestSharedConfigurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../router/routesfile/testdata/shared")); err != nil {
		t.Fatal(err)
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
}

func routerIn(t *testing.T, dir string, args []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "router", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
