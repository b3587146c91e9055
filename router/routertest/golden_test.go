package routertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	cfg := routes(
		router.Route{Handler: "bot", Types: []string{"enter"}, Policy: router.Policy{MaxAge: 5 * time.Second, Retry: router.Retry{Attempts: 2, Backoff: time.Second}}},
		router.Route{Handler: "copy", Types: []string{"enter"}, Isolated: true},
		router.Route{Handler: "alarm", Types: []string{"signalbox.dead"}},
	)
	cfg.Channels = append(cfg.Channels, router.Channel{Name: "out", Transport: router.Stream})
	cfg.Handlers = []router.HandlerSpec{{Name: "copy", New: func(env router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(ctx context.Context, event *router.Event) error {
			return errors.Join(env.Publisher.Forward(ctx, "out", []*router.Event{event})...)
		}), nil
	}}}
	box := StartWith(t, cfg, Options{Now: noon, Answers: map[string][]error{"bot": {errNo}}})
	box.Send("in", `{"type":"enter","id":"a"}`, `{"type":"enter","id":"b","time":"2026-01-05T11:00:00Z"}`, `{"type":"exit"}`, `{`)
	Golden(t, "journal.golden", box.Journal())
}

// fails is a testing.TB that remembers how it failed.
type fails struct {
	testing.TB
	errors []string
}

func (f *fails) Helper() {}

func (f *fails) Errorf(format string, _ ...any) { f.errors = append(f.errors, format) }

func (f *fails) Fatalf(format string, _ ...any) {
	f.errors = append(f.errors, format)
	panic(f)
}

func TestGolden(t *testing.T) {
	t.Chdir(t.TempDir())
	try := func(name, got string) (failed string) {
		f := &fails{TB: t}
		defer func() { failed = strings.Join(f.errors, "") }()
		defer func() { _ = recover() }()
		Golden(f, name, got)
		return ""
	}
	if got := try("deep/a", "1\n2\n"); !strings.Contains(got, "UPDATE_GOLDEN=1 go test writes it") {
		t.Errorf("without a file: %q", got)
	}
	t.Setenv("UPDATE_GOLDEN", "1")
	if got := try("deep/a", "1\n2\n"); got != "" {
		t.Errorf("writing: %q", got)
	}
	t.Setenv("UPDATE_GOLDEN", "")
	if got := try("deep/a", "1\n2\n"); got != "" {
		t.Errorf("the same: %q", got)
	}
	if got := try("deep/a", "1\n3\n"); !strings.Contains(got, "differs") {
		t.Errorf("another: %q", got)
	}
	if err := os.WriteFile(filepath.Join("testdata", "deep", "a"), []byte("1\r\n2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := try("deep/a", "1\n2\n"); got != "" {
		t.Errorf("with line ends of Windows: %q", got)
	}
}
