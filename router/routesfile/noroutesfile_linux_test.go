package routesfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is no routes file is refused at once, whatever it is.
func TestNoRoutesFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	garbage := strings.Repeat("\x00\xff[[\"", 10<<20/5)
	for _, err := range []error{
		os.WriteFile(in("huge.toml"), []byte(garbage), 0o600),
		syscall.Mkfifo(in("pipe.toml"), 0o600),
		os.Symlink("loop.toml", in("loop.toml")),
		os.Symlink("gone.toml", in("dangling.toml")),
		os.Mkdir(in("folder.toml"), 0o700),
		os.WriteFile(in("file.toml"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"huge.toml":         "cannot be read: it is larger than 1024 KiB",
		"pipe.toml":         "cannot be read: it is no regular file",
		"loop.toml":         "cannot be read: too many levels of symbolic links",
		"dangling.toml":     "there is no such file or folder; check the path",
		"folder.toml":       "this folder has no .toml file to load",
		"file.toml/routes":  "cannot be read: not a directory",
		"nul\x00.toml":      "cannot be read: invalid argument",
		"no/such/file.toml": "there is no such file or folder",
	} {
		start := time.Now()
		_, err := Load(Source{Paths: []string{in(name)}, Check: true}, testKinds())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
		if took := time.Since(start); took > patience {
			t.Errorf("%q took %v", name, took)
		}
	}
}
