package routesfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzLoad checks on any input that Load neither panics nor lingers, and that every
// error lies within the file.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.toml", "testdata/odd/*.toml", "testdata/good/*.toml", "testdata/shared/*.toml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, check := range []bool{false, true} {
			start := time.Now()
			_, err := Load(Source{Paths: []string{path}, Check: check, Tests: check}, testKinds())
			if took := time.Since(start); took > 5*time.Second {
				t.Fatalf("took %s", took)
			}
			var errs Errors
			if err != nil && !errors.As(err, &errs) {
				t.Fatalf("not Errors: %v", err)
			}
			lines := bytes.Split(data, []byte("\n"))
			for _, e := range errs {
				if shown := e.Show(); !strings.HasPrefix(shown, path) || !utf8.ValidString(e.Excerpt.Line) {
					t.Fatalf("shown as %q", shown)
				}
				if e.File != path || e.Line < 1 || e.Line > len(lines) || e.Message == "" {
					t.Fatalf("not in the file: %s", e)
				}
				if e.Column < 1 || e.Column > utf8.RuneCount(lines[e.Line-1])+1 {
					t.Fatalf("not in its line: %s", e)
				}
			}
		}
	})
}
