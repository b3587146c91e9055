package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// journal is a log that can be waited for.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // closed and replaced at every line
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.wrote)
	j.wrote = make(chan struct{})
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// await waits until the log has a text so many times.
func (j *journal) await(t *testing.T, text string, times int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		j.mu.Lock()
		wrote, found := j.wrote, strings.Count(j.text.String(), text)
		j.mu.Unlock()
		if found >= times {
			return
		}
		select {
		case <-wrote:
		case <-deadline:
			t.Fatalf("the log has %q %d times, want %d:\n%s", text, found, times, j)
		}
	}
}

// box is a program that runs until the test ends.
type box struct {
	file   string // its configuration
	log    *journal
	reload chan struct{}
	stop   func() // and wait
}

// runBox runs a configuration and returns when it is ready.
func runBox(t *testing.T, text string, kinds *router.Registry) *box {
	t.Helper()
	b := &box{file: filepath.Join(t.TempDir(), "routes.toml"), log: &journal{wrote: make(chan struct{})}, reload: make(chan struct{})}
	b.write(t, text)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	opts := Options{Source: routesfile.Source{Paths: []string{b.file}}, Kinds: kinds, Stdout: t.Output(), Stderr: b.log, Reload: b.reload}
	go func() { ended <- Run(ctx, opts) }()
	b.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v\n%s", err, b.log)
		}
	})
	t.Cleanup(b.stop)
	b.log.await(t, "msg=ready", 1)
	return b
}

func (b *box) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(b.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
