package handlers_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

// fileOptions are those of a path, with what change changes.
func fileOptions(path string, change func(*handlers.FileOptions)) handlers.FileOptions {
	options := handlers.File().Defaults
	options.Path = path
	if change != nil {
		change(&options)
	}
	return options
}

// newFile is a handler of kind file that ends with the test.
func newFile(t *testing.T, options handlers.FileOptions) router.BatchHandler {
	t.Helper()
	handler, err := handlers.File().New(router.Env{}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := handler.(interface{ Close() error }).Close(); err != nil {
			t.Error(err)
		}
	})
	return handler.(router.BatchHandler)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFileLines(t *testing.T) {
	for line, want := range map[string]string{
		"message": `{"type":"a","n":2.500,"s":"<x>  \"","big":12345678901234567890}` + "\n" + `{"type":"b","id":"7","time":"2026-11-21T23:30:00.5Z","data":{"symbol":"BTC"}}` + "\n",
		"event": `{"channel":"in","name":"in","id":"ID","type":"a","time":"TIME","msg":{"type":"a","n":2.500,"s":"<x>  \"","big":12345678901234567890}}` + "\n" +
			`{"channel":"in","name":"in","id":"7","type":"b","time":"2026-11-21T23:30:00.5Z","key":"BTC","msg":{"type":"b","id":"7","time":"2026-11-21T23:30:00.5Z","data":{"symbol":"BTC"}}}` + "\n",
	} {
		path := filepath.Join(t.TempDir(), "all.jsonl")
		box, _ := start(t, oneRoute(spec(handlers.File(), fileOptions(path, func(o *handlers.FileOptions) { o.Line = line }))))
		box.Send("in",
			" {\t\"type\":\"a\",\r\n \"n\" : 2.500 , \"s\":\"<x>  \\\"\", \"big\":12345678901234567890}\n",
			`{"type":"b","id":"7","time":"2026-11-21T23:30:00.5Z","data":{"symbol":"BTC"}}`)
		for _, event := range box.Handled("file")[:1] {
			want = strings.Replace(want, `"ID"`, fmt.Sprintf("%q", event.ID), 1)
			want = strings.Replace(want, `"TIME"`, fmt.Sprintf("%q", event.Time.UTC().Format(time.RFC3339Nano)), 1)
		}
		if got := read(t, path); got != want {
			t.Errorf("%s:\n%swant\n%s", line, got, want)
		}
	}
}

// Each event goes to the day it belongs to, also when it is late.
func TestFileGoesByTheEventsDay(t *testing.T) {
	dir := t.TempDir()
	box, _ := start(t, oneRoute(spec(handlers.File(), fileOptions(filepath.Join(dir, "{channel}-{date}.jsonl"), nil))))
	box.Send("in",
		`{"type":"a","time":"2026-11-22T00:00:00Z"}`,
		`{"type":"late","time":"2026-11-21T23:59:59.999Z"}`,
		`{"type":"zone","time":"2026-11-22T01:30:00+02:00"}`,
		`{"type":"b","time":"2026-11-22T00:00:01Z"}`,
	)
	for file, want := range map[string][]string{"in-2026-11-21.jsonl": {"late", "zone"}, "in-2026-11-22.jsonl": {"a", "b"}} {
		text := read(t, filepath.Join(dir, file))
		at := -1
		for _, typ := range want {
			next := strings.Index(text, fmt.Sprintf(`"type":%q`, typ))
			if next <= at {
				t.Errorf("%s lacks %q, or in its place: %s", file, typ, text)
			}
			at = next
		}
		if n := strings.Count(text, "\n"); n != len(want) {
			t.Errorf("%s has %d lines: %s", file, n, text)
		}
	}
}

// Whatever a key is, its event is done, in a file of its own below the folder.
func TestFileTakesAnyKey(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "data")
	handler := newFile(t, fileOptions(filepath.Join(folder, "{key}", "{key}.jsonl"), nil))
	keys := []string{
		"", "_", ".", "..", "../../etc/passwd", "/etc/passwd", "a\x00b", "a\nb", "a\\b", strings.Repeat("n", 300), strings.Repeat("n", 301),
		strings.Repeat("é", 150), "\xff\xfe", "CON", "-rf", "~", "~root", "$(reboot)", "*", "a b", "a%2Fb", "a/b", "BTC", "x.gz", "x~20261121T000000.000Z",
	}
	var events []*router.Event
	for n, key := range keys {
		events = append(events, &router.Event{Key: key, Msg: fmt.Appendf(nil, `{"n":%d}`, n)})
	}
	if verdicts := handler.HandleBatch(t.Context(), events); verdicts != nil {
		t.Fatal(errors.Join(verdicts...))
	}
	files, lines := 0, 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
			lines += strings.Count(read(t, path), "\n")
			if rel, _ := filepath.Rel(folder, path); strings.Count(rel, "/") != 1 || !filepath.IsLocal(rel) {
				t.Errorf("a file is at %q", path)
			}
		}
		return err
	})
	if err != nil || files != len(keys) || lines != len(keys) {
		t.Errorf("%d files, %d lines of %d keys; %v", files, lines, len(keys), err)
	}
}

// What others put in a file's way fails the events of that file, and of no other; and
// nothing is written outside.
func TestFileInTheWay(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	folder := filepath.Join(dir, "data")
	for _, err := range []error{
		os.WriteFile(secret, []byte("untouched"), 0o600),
		os.MkdirAll(filepath.Join(folder, "taken", "x.jsonl"), 0o700),
		os.MkdirAll(filepath.Join(folder, "links"), 0o700),
		os.MkdirAll(filepath.Join(folder, "pipe"), 0o700),
		os.Symlink(secret, filepath.Join(folder, "links", "x.jsonl")),
		os.Symlink(dir, filepath.Join(folder, "out")),
		os.Symlink("../..", filepath.Join(folder, "up")),
		os.Symlink("loop", filepath.Join(folder, "loop")),
		os.WriteFile(filepath.Join(folder, "plain"), nil, 0o600),
		syscall.Mkfifo(filepath.Join(folder, "pipe", "x.jsonl"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	handler := newFile(t, fileOptions(filepath.Join(folder, "{key}", "x.jsonl"), nil))
	keys := []string{"taken", "fine", "links", "out", "up", "loop", "plain", "pipe"}
	var events []*router.Event
	for _, key := range keys {
		events = append(events, &router.Event{Key: key, Msg: []byte(`{}`)})
	}
	verdicts := handler.HandleBatch(t.Context(), events)
	if verdicts == nil {
		t.Fatal("all are done")
	}
	for i, verdict := range verdicts {
		if fine := keys[i] == "fine"; fine != (verdict == nil) || !fine && !router.IsPermanent(verdict) {
			t.Errorf("%s: %v", keys[i], verdict)
		}
		if alone := handler.Handle(t.Context(), events[i]); fmt.Sprint(alone) != fmt.Sprint(verdict) {
			t.Errorf("%s: alone %v, in a batch %v", keys[i], alone, verdict)
		}
	}
	if got := read(t, secret); got != "untouched" {
		t.Errorf("the file outside is %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "x.jsonl")); !os.IsNotExist(err) {
		t.Errorf("a file was made outside: %v", err)
	}
	if got := read(t, filepath.Join(folder, "fine", "x.jsonl")); got != "{}\n{}\n" {
		t.Errorf("fine has %q", got)
	}
}

func TestFileFailsOnlyWhatIsNoJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "all.jsonl")
	for _, line := range []string{"message", "event"} {
		handler := newFile(t, fileOptions(path, func(o *handlers.FileOptions) { o.Line = line }))
		bad := &router.Event{Msg: []byte("{\"a\":\nlevel=ERROR msg=forged")}
		verdicts := handler.HandleBatch(t.Context(), []*router.Event{{Msg: []byte(`{"n":1}`)}, bad, {}, {Msg: []byte(`{"n":2}`)}})
		if len(verdicts) != 4 || verdicts[0] != nil || verdicts[3] != nil || !router.IsPermanent(verdicts[1]) || !router.IsPermanent(verdicts[2]) && line == "message" {
			t.Errorf("%s: verdicts %v", line, verdicts)
		} else if strings.Contains(verdicts[1].Error(), "\n") {
			t.Errorf("a payload writes a line of its own: %v", verdicts[1])
		}
	}
	for text := range strings.Lines(read(t, path)) {
		if !strings.HasSuffix(text, "}\n") {
			t.Errorf("a line is %q", text)
		}
	}
}

func TestFileStartsAtItsConfiguration(t *testing.T) {
	dir := t.TempDir()
	options := fileOptions("logs/{channel}.jsonl", nil)
	options.Locate(dir)
	handler := newFile(t, options)
	if err := handler.Handle(t.Context(), &router.Event{Channel: "in", Msg: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "logs", "in.jsonl")); got != "{}\n" {
		t.Errorf("%q", got)
	}
	info, err := os.Stat(filepath.Join(dir, "logs", "in.jsonl"))
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("everybody may read %v, %v", info.Mode(), err)
	}
}

func TestFileIsClosed(t *testing.T) {
	options := fileOptions(filepath.Join(t.TempDir(), "all.jsonl"), func(o *handlers.FileOptions) { o.Fsync = "10ms" })
	handler, err := handlers.File().New(router.Env{}, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := handler.Handle(t.Context(), &router.Event{Msg: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if err := handler.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
	err = handler.Handle(t.Context(), &router.Event{Msg: []byte(`{}`)})
	if _, away := router.IsUnavailable(err); !away {
		t.Errorf("after Close: %v", err)
	}
	if _, err := handlers.File().New(router.Env{}, handlers.FileOptions{}); err == nil {
		t.Error("New makes a handler without a path")
	}
}

func ExampleFile() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	options := handlers.File().Defaults
	options.Path = dir + "/{channel}-{date}.jsonl"
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "orders"}, {Name: "payments"}},
		Handlers: []router.HandlerSpec{spec(handlers.File(), options)},
		Routes: []router.Route{
			{Channel: "orders", Types: []string{"*"}, Handler: "file"},
			{Channel: "payments", Types: []string{"*"}, Handler: "file"},
		},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	box.Send("orders", `{"type": "order.created", "time": "2026-11-21T23:30:00Z", "data": {"order": "A7"}}`)
	box.Send("payments", `{"type": "paid", "time": "2026-11-22T00:00:01Z"}`)
	if err := box.Close(); err != nil {
		fmt.Println(err)
	}
	for _, name := range []string{"orders-2026-11-21.jsonl", "payments-2026-11-22.jsonl"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		fmt.Println(name, err)
		fmt.Print(string(text))
	}
	// Output:
	// orders-2026-11-21.jsonl <nil>
	// {"type":"order.created","time":"2026-11-21T23:30:00Z","data":{"order":"A7"}}
	// payments-2026-11-22.jsonl <nil>
	// {"type":"paid","time":"2026-11-22T00:00:01Z"}
}
