package generate_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/router/generate"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := generate.Write(nil, path(name), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, path(name)); got != text {
			t.Errorf("%s has %q, want %q", name, got, text)
		}
	}
	write("bot.py", "one")
	if err := os.Chmod(path("bot.py"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	old, err := os.Open(path("bot.py"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	write("bot.py", "two")
	var seen [3]byte
	if _, err := old.Read(seen[:]); err != nil || string(seen[:]) != "one" {
		t.Errorf("who had the old file open reads %q: %v", seen, err)
	}
	if info, err := os.Stat(path("bot.py")); err != nil || info.Mode() != 0o755 {
		t.Errorf("the mode has changed: %v %v", info.Mode(), err)
	}
	if err := os.Symlink("bot.py", path("link.py")); err != nil {
		t.Fatal(err)
	}
	write("link.py", "three")
	if got := readFile(t, path("bot.py")); got != "three" {
		t.Errorf("a link was replaced, and not what it leads to: %q", got)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v %v", entries, err)
	}

	var out bytes.Buffer
	if err := generate.Write(&out, "", []byte("text")); err != nil || out.String() != "text" {
		t.Errorf("wrote %q: %v", out.String(), err)
	}
	for name, want := range map[string]string{
		"nowhere/bot.py": "there is no folder " + path("nowhere") + "; make it first",
		"bot.py/bot.py":  "not a directory",
		".":              "it is no regular file; name another one",
	} {
		if err := generate.Write(nil, path(name), nil); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "write ") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
