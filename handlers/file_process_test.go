package handlers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"signalbox/router"
)

// TestFileWriter is no test of its own: others start it as a process, which appends
// events and says which are done.
func TestFileWriter(t *testing.T) {
	dir := os.Getenv("FILE_WRITER_DIR")
	if dir == "" {
		t.Skip("only for the tests that start it")
	}
	number := func(name string) int {
		n, err := strconv.Atoi(os.Getenv("FILE_WRITER_" + name))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	from, to, pad, batch := number("FROM"), number("TO"), number("PAD"), number("BATCH")
	h, _ := newTestFiler(t, filepath.Join(dir, "{channel}.jsonl"), func(o *FileOptions) {
		o.Rotate, o.Fsync = router.Size(number("ROTATE")), "never"
	})
	for n := from; n < to; n += batch {
		var events []*router.Event
		for i := n; i < min(n+batch, to); i++ {
			events = append(events, numbered(i, pad))
		}
		if verdicts := h.HandleBatch(t.Context(), events); verdicts != nil {
			t.Fatal(errors.Join(verdicts...))
		}
		fmt.Println("done", n+len(events))
	}
}

func fileWriter(t *testing.T, dir string, from, to, pad, batch, rotate int) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFileWriter$", "-test.v")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "FILE_WRITER_DIR="+dir,
		fmt.Sprint("FILE_WRITER_FROM=", from), fmt.Sprint("FILE_WRITER_TO=", to), fmt.Sprint("FILE_WRITER_PAD=", pad),
		fmt.Sprint("FILE_WRITER_BATCH=", batch), fmt.Sprint("FILE_WRITER_ROTATE=", rotate))
	return cmd
}

// Two processes append to one file at the same time, and rotate it.
func TestFileOfTwoProcesses(t *testing.T) {
	t.Parallel()
	const each = 10_000
	for name, rotate := range map[string]int{"one file": 0, "rotated": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var writers []*exec.Cmd
			for w := range 2 {
				writer := fileWriter(t, dir, w*each, (w+1)*each, 30, 7, rotate)
				if err := writer.Start(); err != nil {
					t.Fatal(err)
				}
				writers = append(writers, writer)
			}
			for _, writer := range writers {
				if err := writer.Wait(); err != nil {
					t.Error(err)
				}
			}
			files := readAll(t, dir)
			checkNumbers(t, allLines(files), 2*each)
			if rotated := len(files) > 1; rotated != (rotate > 0) {
				t.Errorf("%d files", len(files))
			}
		})
	}
}

// A process that is killed while it writes leaves nothing that a start after it doesn't
// mend, and what it said is done is there.
func TestFileOfAKilledProcess(t *testing.T) {
	t.Parallel()
	const rounds, pad, batch = 4, 3 << 20, 2
	dir := t.TempDir()
	path := filepath.Join(dir, "in.jsonl")
	done, torn := 0, 0
	for range rounds {
		writer := fileWriter(t, dir, done, 1<<20, pad, batch, 0)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		killed := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "done "); ok {
				if done, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
				if !killed {
					killed = true
					before := fileSize(t, path)
					eventually(t, func() bool { return fileSize(t, path) > before }) // it writes
					_ = writer.Process.Kill()
				}
			}
		}
		_ = writer.Wait()
		if last := readFrom(t, path, fileSize(t, path)-1); last != "\n" {
			torn++
		}
	}
	t.Logf("killed %d times, %d times in the middle of a line", rounds, torn)

	h, _ := newTestFiler(t, filepath.Join(dir, "{channel}.jsonl"), nil)
	mustHandle(t, h, numbered(done, 0))
	there := make([]bool, done+batch)
	for _, line := range allLines(readAll(t, dir)) {
		var n int
		if _, err := fmt.Sscanf(line, `{"n":%d`, &n); err != nil || !strings.HasSuffix(line, "}") {
			t.Fatalf("a line is %.40q…, %d bytes", line, len(line))
		}
		there[n] = true // twice is right: a stream delivers again what nobody said is done
	}
	for n, is := range there[:done+1] {
		if !is {
			t.Errorf("event %d of %d is missing", n, done)
		}
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func readFrom(t *testing.T, path string, at int64) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(file, at, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
