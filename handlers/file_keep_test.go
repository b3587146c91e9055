package handlers

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// flushes stands for fsync: it notes what for, and fails when it is told to.
type flushes struct {
	mu    sync.Mutex
	names []string
	fail  error
}

func (f *flushes) flush(file *os.File) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, filepath.Base(file.Name()))
	return f.fail
}

// take returns what was flushed since the last time.
func (f *flushes) take(fail error) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := f.names
	f.names, f.fail = nil, fail
	return names
}

func TestFileFsync(t *testing.T) {
	t.Parallel()
	for fsync, want := range map[string]struct{ first, second, later, rotated, end []string }{
		// A new name is flushed with its folders, up to the root, ".".
		"always": {first: []string{"all.jsonl", "sub", "."}, second: []string{"all.jsonl"}, rotated: []string{"all.jsonl", "sub", ".", "all.jsonl", "sub", "."}},
		"1s":     {later: []string{"all.jsonl", "sub", "."}, rotated: []string{"all.jsonl", "sub", "."}, end: []string{"all.jsonl", "sub", "."}},
		"never":  {},
	} {
		t.Run(fsync, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "logs")
				f := &flushes{}
				h, _ := newTestFiler(t, filepath.Join(dir, "{type}", "all.jsonl"), func(o *FileOptions) { o.Fsync, o.Rotate = fsync, 1<<10 })
				h.set.flush = f.flush
				event := func(more int) *router.Event {
					e := numbered(0, more)
					e.Type = "sub"
					return e
				}
				check := func(when string, want []string) {
					t.Helper()
					if got := f.take(nil); !slices.Equal(got, want) {
						t.Errorf("%s: flushed %q, want %q", when, got, want)
					}
				}
				mustHandle(t, h, event(0))
				check("after the first event", want.first)
				mustHandle(t, h, event(0))
				check("after the second", want.second)
				time.Sleep(time.Second)
				synctest.Wait()
				check("a second later", want.later)
				time.Sleep(time.Second)
				synctest.Wait()
				check("when nothing was written", nil)
				mustHandle(t, h, event(1000))
				check("when it was rotated", want.rotated)
				if err := h.Close(); err != nil {
					t.Error(err)
				}
				check("at the end", want.end)
			})
		})
	}
}

// With always, what the disk did not confirm is not done, and not twice in the file when
// it comes again.
func TestFileFsyncFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := &flushes{}
	h, _ := newTestFiler(t, filepath.Join(dir, "all.jsonl"), func(o *FileOptions) { o.Fsync = "always" })
	h.set.flush = f.flush
	mustHandle(t, h, numbered(0, 0))
	f.take(&os.PathError{Op: "sync", Path: "all.jsonl", Err: syscall.EIO})
	for range 3 {
		err := h.Handle(t.Context(), numbered(1, 0))
		if _, away := router.IsUnavailable(err); !away || !strings.HasSuffix(err.Error(), "fsync: input/output error") {
			t.Errorf("verdict %v", err)
		}
	}
	f.take(nil)
	mustHandle(t, h, numbered(1, 0), numbered(2, 0))
	checkNumbers(t, allLines(readAll(t, dir)), 3)
}

// With an interval the events are done already: it is said once that they may be lost.
func TestFileFsyncFailsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &flushes{fail: syscall.EIO}
		h, logged := newTestFiler(t, filepath.Join(t.TempDir(), "all.jsonl"), nil)
		h.set.flush = f.flush
		mustHandle(t, h, numbered(0, 0))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if tries := len(f.take(nil)); tries < 9 {
			t.Errorf("%d tries in 10 seconds", tries)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		said := logged.String()
		if strings.Count(said, "fsync fails") != 1 || strings.Count(said, "fsync works again") != 1 || strings.Count(said, "\n") != 2 {
			t.Errorf("logged\n%s", said)
		}
		f.take(syscall.EIO)
		mustHandle(t, h, numbered(0, 0))
		if err := h.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestFileIsClosedWhenIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h, _ := newTestFiler(t, filepath.Join(dir, "{key}.jsonl"), nil)
		quiet, busy := numbered(0, 0), numbered(1, 0)
		quiet.Key, busy.Key = "quiet", "busy"
		mustHandle(t, h, quiet, busy)
		for range 4 {
			time.Sleep(idleAfter / 2)
			mustHandle(t, h, busy)
		}
		synctest.Wait()
		open := h.set.open()
		if len(open) != 1 || open[0].name != "busy.jsonl" {
			t.Errorf("%d files are open", len(open))
		}
	})
}

// A day ends while the router runs: its file is compressed when it is settled, and what
// is late after that, too.
func TestFileOfADayThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h, _ := newTestFiler(t, filepath.Join(dir, "{date}.jsonl"), func(o *FileOptions) { o.Gzip = true })
		day := time.Now().UTC().Truncate(24 * time.Hour) // the bubble's
		write := func(n int, of time.Time) {
			t.Helper()
			event := numbered(n, 0)
			event.Time = of
			mustHandle(t, h, event)
			// The disk has another clock than the bubble.
			if err := os.Chtimes(filepath.Join(dir, dayOf(of)+".jsonl"), time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		until := func(at time.Duration) {
			time.Sleep(time.Until(day.Add(at)))
			synctest.Wait()
		}
		names := func() (names []string) {
			for name := range readAll(t, dir) {
				names = append(names, name[:len("2000-01-01")]+filepath.Ext(name))
			}
			slices.Sort(names)
			return names
		}
		until(23*time.Hour + 55*time.Minute)
		write(0, time.Now())
		until(24*time.Hour + 2*time.Minute)
		write(1, time.Now())
		if got := names(); !slices.Equal(got, []string{"2000-01-01.jsonl", "2000-01-02.jsonl"}) {
			t.Errorf("after midnight: %q", got)
		}
		until(25 * time.Hour)
		if got := names(); !slices.Equal(got, []string{"2000-01-01.gz", "2000-01-02.jsonl"}) {
			t.Errorf("an hour after midnight: %q", got)
		}
		write(2, day.Add(time.Hour)) // very late
		until(26 * time.Hour)
		if got := names(); !slices.Equal(got, []string{"2000-01-01.gz", "2000-01-01.gz", "2000-01-02.jsonl"}) {
			t.Errorf("after a late event: %q", got)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		checkNumbers(t, allLines(readAll(t, dir)), 3)
	})
}
