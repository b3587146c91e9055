package handlers

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// gzipFiler is a handler that compresses when the test says so, at a time of its choice.
func gzipFiler(t *testing.T, path string, now *time.Time) *fileSet {
	t.Helper()
	options := defaultFileOptions()
	options.Path, options.Gzip = path, true
	if err := options.Validate(); err != nil {
		t.Fatal(err)
	}
	set := newFileSet(slog.New(slog.DiscardHandler), options)
	set.now = func() time.Time { return *now }
	t.Cleanup(func() { _ = set.close() })
	return set
}

// put writes a file of one line, last changed at a time.
func put(t *testing.T, path, text string, changed time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
}

func TestFileOfAPastDayIsCompressed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 11, 22, 0, 5, 0, 0, time.UTC)
	set := gzipFiler(t, filepath.Join(dir, "{date}", "{key}.jsonl"), &now)
	put(t, filepath.Join(dir, "2026-11-20/a.jsonl"), `{"n":1}`+"\n", now.Add(-24*time.Hour))
	put(t, filepath.Join(dir, "2026-11-21/a.jsonl"), `{"n":2}`+"\n", now.Add(-6*time.Minute)) // some may be late
	put(t, filepath.Join(dir, "2026-11-22/a.jsonl"), `{"n":3}`+"\n", now.Add(-time.Hour))     // today's
	put(t, filepath.Join(dir, "2026-11-20/b.jsonl"), "", now.Add(-24*time.Hour))              // nothing to keep
	put(t, filepath.Join(dir, "2026-11-20/deep/a.jsonl"), "{}\n", now.Add(-24*time.Hour))     // not ours
	put(t, filepath.Join(dir, "2026-11-20/notes.txt"), "{}\n", now.Add(-24*time.Hour))        // not ours
	// Left by a process that died while it compressed, and by one that died after that.
	put(t, filepath.Join(dir, "2026-11-19/a~20261119T230000.000Z.jsonl"), `{"n":4}`+"\n", now.Add(-48*time.Hour))
	put(t, filepath.Join(dir, "2026-11-19/a~20261119T230000.000Z.jsonl.gz.tmp"), "half of it", now.Add(-48*time.Hour))
	put(t, filepath.Join(dir, "2026-11-19/b~20261119T230000.000Z.jsonl"), `{"n":5}`+"\n", now.Add(-48*time.Hour))
	put(t, filepath.Join(dir, "2026-11-19/b~20261119T230000.000Z.jsonl.gz"), "\x1f\x8b", now.Add(-48*time.Hour))

	if again := set.sweep(t.Context()); !again {
		t.Error("nothing is left to do, but yesterday's file is not settled")
	}
	want := map[string][]string{
		"2026-11-19/a~20261119T230000.000Z.jsonl.gz": {`{"n":4}`},
		"2026-11-19/b~20261119T230000.000Z.jsonl.gz": {`{"n":5}`},
		"2026-11-20/a~20261122T000500.000Z.jsonl":    {`{"n":1}`}, // in the queue
		"2026-11-20/b.jsonl":                         nil,
		"2026-11-20/deep/a.jsonl":                    {"{}"},
		"2026-11-20/notes.txt":                       {"{}"},
		"2026-11-21/a.jsonl":                         {`{"n":2}`},
		"2026-11-22/a.jsonl":                         {`{"n":3}`},
	}
	checkFiles(t, dir, want)

	now = now.Add(settle)
	set.compressed(t.Context(), <-set.parts)
	if again := set.sweep(t.Context()); again {
		t.Error("something is left to do")
	}
	set.compressed(t.Context(), <-set.parts)
	for _, key := range []string{"2026-11-20/a~20261122T000500.000Z.jsonl", "2026-11-21/a.jsonl"} {
		delete(want, key)
	}
	want["2026-11-20/a~20261122T000500.000Z.jsonl.gz"] = []string{`{"n":1}`}
	want["2026-11-21/a~20261122T001500.000Z.jsonl.gz"] = []string{`{"n":2}`}
	checkFiles(t, dir, want)

	// An event that comes after that has a file and, when it is settled, a part of its own.
	file, err := set.acquire("2026-11-21/a.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.append(t.Context(), &chunk{text: []byte("{\"n\":6}\n"), ends: []int{8}}); err != nil {
		t.Fatal(err)
	}
	set.release(file)
	if !set.late.Load() {
		t.Error("nobody looks after the file of a late event")
	}
	now = time.Now().Add(settle).UTC()
	set.sweep(t.Context())
	set.compressed(t.Context(), <-set.parts)
	want[set.path.part("2026-11-21/a.jsonl", now)+".gz"] = []string{`{"n":6}`}
	late := readAll(t, dir)
	delete(late, "2026-11-22/a.jsonl") // perhaps a past day by now
	delete(want, "2026-11-22/a.jsonl")
	maps.DeleteFunc(late, func(name string, _ []string) bool { return strings.HasPrefix(name, "2026-11-22/") })
	if !maps.EqualFunc(late, want, slices.Equal) {
		t.Errorf("files\n%v\nwant\n%v", late, want)
	}
}

func checkFiles(t *testing.T, dir string, want map[string][]string) {
	t.Helper()
	if got := readAll(t, dir); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("files\n%v\nwant\n%v", got, want)
	}
}

func TestFileThatIsCompressedKeepsItsTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 11, 22, 0, 5, 0, 0, time.UTC)
	set := gzipFiler(t, filepath.Join(dir, "{date}.jsonl"), &now)
	part := "2026-11-21~20261122T000000.000Z.jsonl"
	put(t, filepath.Join(dir, part), `{"n":1}`+"\n", now.Add(-time.Hour))
	if !set.compressed(t.Context(), part) {
		t.Error("not compressed")
	}
	info, err := os.Stat(filepath.Join(dir, part+gzipEnd))
	if err != nil || !info.ModTime().Equal(now.Add(-time.Hour)) {
		t.Errorf("%v, %v", info, err)
	}
}

// A shutdown ends the compression of a large file at once, and leaves the file as it was.
func TestFileStopsToCompress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	set := gzipFiler(t, filepath.Join(dir, "{date}.jsonl"), &now)
	part := "2026-11-21~20261122T000000.000Z.jsonl"
	put(t, filepath.Join(dir, part), `{"n":1}`+"\n", now)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if set.compressed(ctx, part) {
		t.Error("compressed after the end")
	}
	checkFiles(t, dir, map[string][]string{part: {`{"n":1}`}})

	// The next start does it, without an event.
	h, _ := newTestFiler(t, filepath.Join(dir, "{date}.jsonl"), func(o *FileOptions) { o.Gzip = true })
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, part))
		return os.IsNotExist(err)
	})
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	checkFiles(t, dir, map[string][]string{part + gzipEnd: {`{"n":1}`}})
}

// One of two routers compresses a part; the other leaves it alone.
func TestFileIsCompressedByOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	set := gzipFiler(t, filepath.Join(dir, "{date}.jsonl"), &now)
	part := "2026-11-21~20261122T000000.000Z.jsonl"
	put(t, filepath.Join(dir, part), `{"n":1}`+"\n", now)
	other, err := os.OpenFile(filepath.Join(dir, part), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := tryLock(other); err != nil {
		t.Fatal(err)
	}
	if set.compressed(t.Context(), part) {
		t.Error("two compress one file")
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, it is gone
		if !set.compressed(t.Context(), part) {
			t.Error("not compressed")
		}
	}
	checkFiles(t, dir, map[string][]string{part + gzipEnd: {`{"n":1}`}})
}

// eventually waits for what another goroutine or process does.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("it never came")
		}
	}
}
