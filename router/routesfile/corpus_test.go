package routesfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A case is a .toml file, or a .txtar of several: its files "env", "set", "check" and "tests"
// are the source's fields, a line each, and "paths" what -c names; else all its other
// files are loaded in order. Beside it lies what Load must say, as .want.

func TestGood(t *testing.T) {
	t.Parallel()
	eachCase(t, "testdata/good", func(t *testing.T, src Source, dir string) string {
		result, err := Load(src, testKinds())
		if err != nil {
			t.Fatalf("Load: %v", stripDir(err, dir))
		}
		return summary(result)
	})
}

func TestBad(t *testing.T) {
	t.Parallel()
	count := 0
	eachCase(t, "testdata/bad", func(t *testing.T, src Source, _ string) string {
		_, err := Load(src, testKinds())
		found, ok := errors.AsType[Errors](err)
		if !ok {
			t.Fatalf("Load found no mistake: %v", err)
		}
		return found.Show() + "\n"
	})
	for _, pattern := range []string{"*.toml", "*.txtar"} {
		found, _ := filepath.Glob(filepath.Join("testdata/bad", pattern))
		count += len(found)
	}
	if count < 100 {
		t.Errorf("the corpus has %d bad configurations, want at least 100", count)
	}
}

// TestOdd is what a check says of configurations that work and are hardly meant.
func TestOdd(t *testing.T) {
	t.Parallel()
	eachCase(t, "testdata/odd", func(t *testing.T, src Source, dir string) string {
		src.Check = true
		result, err := Load(src, testKinds())
		if err != nil {
			t.Fatalf("Load: %v", stripDir(err, dir))
		}
		var b strings.Builder
		for _, note := range result.Notes {
			b.WriteString(note.Show() + "\n")
		}
		return b.String()
	})
}

func eachCase(t *testing.T, folder string, run func(*testing.T, Source, string) string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		extension := filepath.Ext(entry.Name())
		if extension != ".toml" && extension != ".txtar" {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		t.Run(strings.TrimSuffix(entry.Name(), extension), func(t *testing.T) {
			t.Parallel()
			src, dir := corpusSource(t, path)
			got := strings.ReplaceAll(run(t, src, dir), dir+string(filepath.Separator), "")
			got = strings.ReplaceAll(got, dir, ".")
			compare(t, strings.TrimSuffix(path, extension)+".want", got)
		})
	}
}

func corpusSource(t *testing.T, path string) (src Source, dir string) {
	t.Helper()
	if filepath.Ext(path) == ".toml" {
		return Source{Paths: []string{path}}, filepath.Dir(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	var order, paths []string
	for part := range strings.SplitSeq("\n"+string(data), "\n-- ") {
		name, text, ok := strings.Cut(part+"\n", " --\n")
		if !ok {
			continue
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		switch name {
		case "env":
			src.Environ = lines
		case "check":
			src.Check = true
		case "tests":
			src.Tests = true
		case "paths":
			paths = lines
		case "set":
			src.Set = environment(lines)
		default:
			files[name] = text
			order = append(order, name)
		}
	}
	dir = writeFiles(t, files)
	if paths == nil {
		paths = order
	}
	for _, name := range paths {
		src.Paths = append(src.Paths, filepath.Join(dir, name))
	}
	return src, dir
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
