package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routertest"
)

// apart runs a test again as a process that may mount what it likes and that nobody sees
// (uid 0), or that may do no more than others (another uid). It reports true in there.
func apart(t *testing.T, uid int) bool {
	t.Helper()
	if os.Getenv("FILE_TEST_APART") == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "FILE_TEST_APART="+t.Name())
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	runtime.LockOSThread() // the kernel kills it with the thread that started it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		const remedy = "user namespaces are needed (sysctl kernel.unprivileged_userns_clone=1, or root)"
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", remedy, err)
		}
		t.Skipf("%s: %v", remedy, err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out.String())
	}
	return false
}

// smallDisk is a file system of its own.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill takes all room of a disk but for some, and returns what gives it back.
func fill(t *testing.T, dir string, but int) (makeRoom func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	page := make([]byte, 4096)
	pages := 0
	for ; err == nil; pages++ {
		_, err = file.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Truncate(int64((pages-1)*4096 - but)); err != nil {
		t.Fatal(err)
	}
	return func() { _ = os.Remove(filler) }
}

func TestFileOnAFullDisk(t *testing.T) {
	t.Parallel()
	if !apart(t, 0) {
		return
	}
	dir := smallDisk(t, "size=256k")
	makeRoom := fill(t, dir, 8192)
	h, _ := newTestFiler(t, filepath.Join(dir, "logs", "all.jsonl"), func(o *FileOptions) { o.Fsync = "always" })
	var events []*router.Event
	for n := range 100 {
		events = append(events, numbered(n, 300))
	}
	verdicts := h.HandleBatch(t.Context(), events)
	if verdicts == nil {
		t.Fatal("the disk isn't full")
	}
	done := slices.IndexFunc(verdicts, func(err error) bool { return err != nil })
	if done < 10 || done > 30 {
		t.Errorf("%d events of 300 bytes fit into 8 KiB", done)
	}
	for _, verdict := range verdicts[done:] {
		if _, away := router.IsUnavailable(verdict); !away || !strings.HasSuffix(verdict.Error(), "logs/all.jsonl\": no space left on device; make room") {
			t.Fatalf("verdict %v", verdict)
		}
	}
	checkNumbers(t, allLines(readAll(t, filepath.Join(dir, "logs"))), done)
	if err := h.Handle(t.Context(), numbered(0, 5000)); err == nil {
		t.Error("there is room for 5,000 bytes")
	}
	checkNumbers(t, allLines(readAll(t, filepath.Join(dir, "logs"))), done)
	makeRoom()
	mustHandle(t, h, events[done:]...)
	checkNumbers(t, allLines(readAll(t, filepath.Join(dir, "logs"))), len(events))
}

// On a disk that is full for a while, a router's events wait and use no attempt.
func TestFileDiskFullForAWhile(t *testing.T) {
	t.Parallel()
	if !apart(t, 0) {
		return
	}
	const events = 2000
	dir := smallDisk(t, "size=1m")
	makeRoom := fill(t, dir, 64<<10)
	full := &fullOnce{makeRoom: makeRoom}
	options := defaultFileOptions()
	options.Path, options.Rotate, options.Gzip = filepath.Join(dir, "logs", "{key}-{date}.jsonl"), 16<<10, true
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "in", Fields: router.Fields{Key: "key"}}},
		Handlers: []router.HandlerSpec{{Name: "file", New: func(env router.Env) (router.Handler, error) {
			handler, err := File().New(env, options)
			full.filer, _ = handler.(*filer)
			return full, err
		}}},
		Routes: []router.Route{{Channel: "in", Types: []string{"*"}, Handler: "file", Policy: router.Policy{
			Retry: router.Retry{Attempts: 1, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond},
		}}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for n := range events {
		box.Send("in", fmt.Sprintf(`{"n":%d,"type":"t","key":"k%d","pad":"%s"}`, n, n%3, strings.Repeat("x", 100)))
	}
	waited := 0
	for _, outcome := range box.Outcomes() {
		switch outcome.Result {
		case router.Handled:
		case router.Retried:
			waited++
		default:
			t.Errorf("outcome %v: %v", outcome.Result, outcome.Err)
		}
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	if waited == 0 {
		t.Error("the disk was never full")
	}
	checkNumbers(t, allLines(readAll(t, filepath.Join(dir, "logs"))), events)
}

// fullOnce makes room when the disk has been full a few times.
type fullOnce struct {
	*filer
	mu       sync.Mutex
	times    int
	makeRoom func()
}

func (f *fullOnce) HandleBatch(ctx context.Context, events []*router.Event) []error {
	verdicts := f.filer.HandleBatch(ctx, events)
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(errors.Join(verdicts...), syscall.ENOSPC) {
		if f.times++; f.times == 5 {
			f.makeRoom()
		}
	}
	return verdicts
}

func TestFileOnAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	if !apart(t, 0) {
		return
	}
	dir := smallDisk(t, "size=256k")
	h, _ := newTestFiler(t, filepath.Join(dir, "logs", "all.jsonl"), nil)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	err := h.Handle(t.Context(), numbered(0, 0))
	if _, away := router.IsUnavailable(err); !away || !strings.HasSuffix(err.Error(), "read-only file system; let this user write there") {
		t.Errorf("verdict %v", err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	mustHandle(t, h, numbered(0, 0))
	checkNumbers(t, allLines(readAll(t, dir)), 1)
}

func TestFileWithoutPermission(t *testing.T) {
	t.Parallel()
	if !apart(t, 1000) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "logs", "all.jsonl")
	h, _ := newTestFiler(t, path, nil)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err := h.Handle(t.Context(), numbered(0, 0))
	if _, away := router.IsUnavailable(err); !away || err.Error() != fmt.Sprintf("append to %q: permission denied; let this user write there", path) {
		t.Errorf("verdict %v", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustHandle(t, h, numbered(0, 0))
	checkNumbers(t, allLines(readAll(t, dir)), 1)
}

// A process that may open few files closes those it doesn't use just now.
func TestFileRunsOutOfDescriptors(t *testing.T) {
	t.Parallel()
	if !apart(t, 0) {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 40, Max: 40}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h, _ := newTestFiler(t, filepath.Join(dir, "{key}.jsonl"), nil)
	for n := range 200 {
		event := numbered(n, 0)
		event.Key = fmt.Sprint(n)
		mustHandle(t, h, event)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	checkNumbers(t, allLines(readAll(t, dir)), 200)
}
