package handlers

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/router"
)

// newTestFiler is a handler that is closed with the test, and what it logs.
func newTestFiler(t *testing.T, path string, change func(*FileOptions)) (*filer, *LockedBuffer) {
	t.Helper()
	options := defaultFileOptions()
	options.Path = path
	if change != nil {
		change(&options)
	}
	if err := options.Validate(); err != nil {
		t.Fatal(err)
	}
	logged := &LockedBuffer{}
	h := newFiler(slog.New(slog.NewTextHandler(logged, nil)), options)
	t.Cleanup(func() { _ = h.Close() })
	return h, logged
}

// numbered is an event whose message is {"n":n} and, if more is not 0, so many bytes longer.
func numbered(n, more int) *router.Event {
	pad := ""
	if more > 0 {
		pad = `,"pad":"` + strings.Repeat("x", more) + `"`
	}
	return &router.Event{
		ID: fmt.Sprint(n), Type: "t", Channel: "in", Name: "in", Time: fileDay,
		Msg: fmt.Appendf(nil, `{"n":%d%s}`, n, pad),
	}
}

func mustHandle(t *testing.T, h *filer, events ...*router.Event) {
	t.Helper()
	if verdicts := h.HandleBatch(t.Context(), events); verdicts != nil {
		t.Fatal(errors.Join(verdicts...))
	}
}

// readAll is the lines of all files below dir, compressed or not, sorted by file.
func readAll(t testing.TB, dir string) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, gzipEnd) {
			packed, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if text, err = io.ReadAll(packed); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		name, err := filepath.Rel(dir, path)
		if len(text) > 0 {
			body, whole := strings.CutSuffix(string(text), "\n")
			if !whole {
				t.Errorf("%s ends without the end of a line", name)
			}
			files[name] = strings.Split(body, "\n")
		} else {
			files[name] = nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func allLines(files map[string][]string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		lines = append(lines, files[name]...)
	}
	return lines
}

func TestFileRepairs(t *testing.T) {
	t.Parallel()
	line := `{"n":7}` + "\n"
	big := `{"pad":"` + strings.Repeat("x", 200<<10)
	for _, test := range []struct{ name, before, want, says string }{
		{"nothing to repair", `{"a":1}` + "\n", `{"a":1}` + "\n" + line, ""},
		{"empty", "", line, ""},
		{"torn line", `{"a":1}` + "\n" + `{"b":"tor`, `{"a":1}` + "\n" + line, "bytes=9"},
		{"torn first line", `{`, line, "bytes=1"},
		{"torn line longer than a block", `{"a":1}` + "\n" + big, `{"a":1}` + "\n" + line, fmt.Sprintf("bytes=%d", len(big))},
		{"zeros after a power cut", `{"a":1}` + "\n" + `{"b` + "\x00\x00\x00\x00", `{"a":1}` + "\n" + line, "bytes=7"},
		{"only zeros", `{"a":1}` + "\n\x00\x00", `{"a":1}` + "\n" + line, "bytes=2"},
		{"only the end of the line is missing", `{"a":1}`, `{"a":1}` + "\n" + line, "added"},
		{"somebody else's text", "# no event\nnor this", "# no event\nnor this\n" + line, "added"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "all.jsonl")
			if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			h, logged := newTestFiler(t, path, nil)
			mustHandle(t, h, numbered(7, 0))
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("%.100q, want %.100q", got, test.want)
			}
			if says := logged.String(); !strings.Contains(says, test.says) || test.says == "" && says != "" {
				t.Errorf("logged %q, want %q", says, test.says)
			}
		})
	}
}

// A process that dies in the middle of a line doesn't spoil those of a router that has
// the file open.
func TestFileRepairsWhatAnotherLeaves(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "all.jsonl")
	h, _ := newTestFiler(t, path, nil)
	mustHandle(t, h, numbered(1, 0))
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.WriteString(`{"n":99,"torn`); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	mustHandle(t, h, numbered(2, 0))
	if got := allLines(readAll(t, filepath.Dir(path))); !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`}) {
		t.Errorf("%q", got)
	}
}

// Whoever tidies up outside of us gets a new file: nothing goes into one without a name.
func TestFileFollowsItsName(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"file renamed":     func(path string) error { return os.Rename(path, path+".1") },
		"file deleted":     os.Remove,
		"file emptied":     func(path string) error { return os.Truncate(path, 0) },
		"folder deleted":   func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"all of it gone":   func(path string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(path))) },
		"replaced by hand": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "logs", "sub", "all.jsonl")
			h, _ := newTestFiler(t, strings.Replace(path, "sub/all", "{type}/all", 1), nil)
			event := func(n int) *router.Event {
				e := numbered(n, 0)
				e.Type = "sub"
				return e
			}
			mustHandle(t, h, event(1))
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			mustHandle(t, h, event(2))
			got, err := os.ReadFile(path)
			if err != nil || string(got) != `{"n":2}`+"\n" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Several handlers rotate one file under load, as routers do that share a folder and as
// one does while it reloads. Every line is there once and whole.
func TestFileRotatesUnderLoad(t *testing.T) {
	t.Parallel()
	for name, gzipped := range map[string]bool{"plain": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const writers, batches, batch, limit = 4, 40, 25, 4 << 10
			dir := t.TempDir()
			var group sync.WaitGroup
			for w := range writers {
				h, _ := newTestFiler(t, filepath.Join(dir, "{channel}.jsonl"), func(o *FileOptions) {
					o.Rotate, o.Gzip, o.Fsync = limit, gzipped, "never"
				})
				group.Go(func() {
					for b := range batches {
						events := make([]*router.Event, batch)
						for i := range events {
							events[i] = numbered((w*batches+b)*batch+i, 10*i)
						}
						if verdicts := h.HandleBatch(t.Context(), events); verdicts != nil {
							t.Error(errors.Join(verdicts...))
						}
					}
					if gzipped {
						h.set.sweep(t.Context()) // what the queue had no room for
					}
					if err := h.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			files := readAll(t, dir)
			checkNumbers(t, allLines(files), writers*batches*batch)
			packed := 0
			for name, lines := range files {
				if size := len(strings.Join(lines, "\n")) + 1; size > limit {
					t.Errorf("%s has %d bytes, more than %d", name, size, limit)
				}
				if strings.HasSuffix(name, gzipEnd) {
					packed++
				}
				if strings.HasSuffix(name, unfinishedEnd) {
					t.Errorf("%s is left", name)
				}
			}
			if len(files) < 100 || gzipped != (packed > 0) {
				t.Errorf("%d files, %d of them compressed", len(files), packed)
			}
		})
	}
}

// checkNumbers checks that lines are the numbered events from 0 to n, each once.
func checkNumbers(t testing.TB, lines []string, n int) {
	t.Helper()
	seen := make([]int, n)
	for _, line := range lines {
		var got int
		if _, err := fmt.Sscanf(line, `{"n":%d`, &got); err != nil || got >= n || !strings.HasSuffix(line, "}") {
			t.Fatalf("a line is %.80q", line)
		}
		seen[got]++
	}
	missing, double := 0, 0
	for _, times := range seen {
		switch {
		case times == 0:
			missing++
		case times > 1:
			double++
		}
	}
	if missing+double > 0 {
		t.Errorf("of %d events %d are missing and %d are there more than once", n, missing, double)
	}
}

func TestFileKeepsALineThatIsTooLongWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, _ := newTestFiler(t, filepath.Join(dir, "all.jsonl"), func(o *FileOptions) { o.Rotate = 1 << 10 })
	mustHandle(t, h, numbered(0, 10), numbered(1, 5000), numbered(2, 10))
	var counts []int
	for _, lines := range readAll(t, dir) {
		counts = append(counts, len(lines))
	}
	if !slices.Equal(counts, []int{1, 1, 1}) {
		t.Errorf("files of %v lines, want three of one", counts)
	}
}

func TestFileHoldsFewOpen(t *testing.T) {
	t.Parallel()
	const limit = 5
	dir := t.TempDir()
	h, _ := newTestFiler(t, filepath.Join(dir, "{key}.jsonl"), func(o *FileOptions) { o.OpenFiles = limit })
	var events []*router.Event
	for n := range 200 {
		event := numbered(n, 0)
		event.Key = fmt.Sprint(n % 50)
		events = append(events, event)
	}
	mustHandle(t, h, events...)
	if open := len(h.set.open()); open > limit {
		t.Errorf("%d files are open, more than %d", open, limit)
	}
	if links := openBelow(t, dir); links > limit+1 { // and the folder
		t.Errorf("%d descriptors are open", links)
	}
	h.set.closeIdle(time.Now().Add(-idleAfter))
	if open := len(h.set.open()); open == 0 {
		t.Error("files in use were closed")
	}
	h.set.closeIdle(time.Now().Add(time.Second))
	if open := len(h.set.open()); open != 0 {
		t.Errorf("%d idle files are open", open)
	}
	files := readAll(t, dir)
	checkNumbers(t, allLines(files), 200)
	if len(files) != 50 {
		t.Errorf("%d files, want 50", len(files))
	}
}

// openBelow counts this process's descriptors of what is below dir.
func openBelow(t *testing.T, dir string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Skip("this system doesn't list descriptors")
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// A paused process that holds the lock doesn't stop us for ever: the attempt's time ends.
func TestFileWaitsForALock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "all.jsonl")
	other, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := tryLock(other); err != nil {
		t.Fatal(err)
	}
	h, _ := newTestFiler(t, path, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = h.Handle(ctx, numbered(0, 0))
	if _, away := router.IsUnavailable(err); !away || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is locked: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, stop)
	err = h.Handle(stopped, numbered(0, 0))
	if _, away := router.IsUnavailable(err); away || router.IsPermanent(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("at a shutdown: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = unlock(other) })
	mustHandle(t, h, numbered(0, 0))
	checkNumbers(t, allLines(readAll(t, filepath.Dir(path))), 1)
}

// A file that was renamed is compressed under its lock: nobody waits for that.
func TestFileDoesNotWaitForARenamedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "all.jsonl")
	h, _ := newTestFiler(t, path, nil)
	mustHandle(t, h, numbered(0, 0))
	other, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := errors.Join(tryLock(other), os.Rename(path, path+".1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := h.Handle(ctx, numbered(1, 0)); err != nil {
		t.Error(err)
	}
	checkNumbers(t, allLines(readAll(t, filepath.Dir(path))), 2)
}

func TestFileVerdicts(t *testing.T) {
	t.Parallel()
	outside := errors.New("outside")
	for _, test := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, `unavailable: append to "/a/x": no space left on device; make room`},
		{syscall.EDQUOT, `unavailable: append to "/a/x": disk quota exceeded; make room`},
		{&os.PathError{Op: "openat", Path: "x", Err: syscall.EACCES}, `unavailable: append to "/a/x": permission denied; let this user write there`},
		{syscall.EPERM, `unavailable: append to "/a/x": operation not permitted; let this user write there`},
		{&os.LinkError{Op: "rename", Err: syscall.EROFS}, `unavailable: append to "/a/x": read-only file system; let this user write there`},
		{syscall.EIO, `unavailable: append to "/a/x": input/output error`},
		{syscall.EMFILE, `unavailable: append to "/a/x": too many open files`},
		{&os.PathError{Op: "openat", Path: "x", Err: syscall.EISDIR}, `permanent: append to "/a/x": something else than a file has this name, or than a folder the name of its folder; move it away: is a directory`},
		{syscall.ENOTDIR, `permanent: append to "/a/x": something else than a file has this name, or than a folder the name of its folder; move it away: not a directory`},
		{&os.PathError{Op: "openat", Path: "x", Err: outside}, `permanent: append to "/a/x": a symbolic link leads out of the folder, or nowhere; remove it: outside`},
		{syscall.ENAMETOOLONG, `permanent: append to "/a/x": the name is too long for this file system: file name too long`},
		{context.Canceled, `failed: append to "/a/x": context canceled`},
	} {
		err := fileVerdict("/a/x", test.err, outside)
		sort := "failed"
		if _, away := router.IsUnavailable(err); away {
			sort = "unavailable"
		}
		if router.IsPermanent(err) {
			sort = "permanent"
		}
		if got := sort + ": " + err.Error(); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// On a file system that numbers a file anew each time, events wait, and the router
// doesn't spin.
func TestFileThatIsNeverTheSame(t *testing.T) {
	t.Parallel()
	h, _ := newTestFiler(t, filepath.Join(t.TempDir(), "all.jsonl"), nil)
	h.set.same = func(_, _ os.FileInfo) bool { return false }
	err := h.Handle(t.Context(), numbered(0, 0))
	if _, away := router.IsUnavailable(err); !away || !errors.Is(err, errReplaced) {
		t.Errorf("verdict %v", err)
	}
}
