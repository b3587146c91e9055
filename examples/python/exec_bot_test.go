package python

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"signalbox/handlers"
	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/cli"
)

// TestMain lets the tests start the router as "router": the test binary plays it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"router": func() {
		kinds := router.NewRegistry()
		handlers.Register(kinds)
		os.Exit(cli.Main(kinds, "test"))
	}})
}

// The bot obeys each command once and in order, also those that come while it is dead,
// follows prices, and has gone when the router has.
func TestExecBot(t *testing.T) {
	python := redistest.Python(t)
	server := redistest.Start(t)
	client := server.Client()
	statuses := subscribe(t, client, "bot_status")
	const n = 30
	command := func(i int) {
		t.Helper()
		kind := []string{"start", "enter", "exit", "stop"}[i%4]
		values := []any{"id", fmt.Sprint("c-", i), "type", kind, "data", `{"bot":"b1","symbol":"BTCUSDT"}`}
		if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	obeyed := func(i int) event {
		t.Helper()
		got := receive(t, statuses)
		kind := []string{"started", "entered", "exited", "stopped"}[i%4]
		if got.Type != kind || got.Data["command"] != fmt.Sprint("c-", i) || got.Data["bot"] != "b1" {
			t.Fatalf("got %+v, want %s for c-%d", got, kind, i)
		}
		return got
	}
	stranger := []any{"type", "enter", "data", `{"bot":"someone-else"}`}
	if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: stranger}).Err(); err != nil {
		t.Fatal(err)
	}

	bot, log := startRouter(t, server.URL(), python)
	for i := range n / 2 {
		command(i)
	}
	for i := range n / 2 {
		obeyed(i)
	}
	// Killed between an answer and its verdict, it would get that command again.
	for begin := time.Now(); client.XPending(t.Context(), "trade_commands", "b1").Val().Count != 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("commands stay pending")
		}
	}
	pid := awaitLine(t, log, "program started", 1)["pid"].(float64)
	if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for i := n / 2; i < n; i++ {
		command(i)
	}
	for i := n / 2; i < n; i++ {
		obeyed(i)
	}
	pid = awaitLine(t, log, "program started", 2)["pid"].(float64)

	for begin, priced := time.Now(), false; !priced; { // a tick has no answer: a command after it has
		if time.Since(begin) > patience {
			t.Fatal("the bot sees no prices")
		}
		client.Publish(t.Context(), "price_data", `{"type":"tick","data":{"symbol":"BTCUSDT","price":97000}}`)
		probe := []any{"type", "exit", "id", fmt.Sprint("probe-", time.Now().UnixNano()), "data", `{"bot":"b1","symbol":"BTCUSDT"}`}
		client.XAdd(t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: probe})
		got := receive(t, statuses)
		if id, _ := got.Data["command"].(string); !strings.HasPrefix(id, "probe-") {
			t.Fatalf("obeyed twice: %+v", got)
		}
		priced = got.Data["price"] == 97000.0
	}

	if err := bot.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := bot.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if err := syscall.Kill(-int(pid), 0); err == nil {
		t.Error("the bot is left behind")
	}
	if pending := client.XPending(t.Context(), "trade_commands", "b1").Val(); pending == nil || pending.Count != 0 {
		t.Errorf("left pending: %+v", pending)
	}
}

// The program that docs/handlers.md shows works.
func TestDocumentedProgram(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("no python3")
	}
	page, err := os.ReadFile("../../docs/handlers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## exec\n")
	_, code, _ := strings.Cut(section, "```python\n")
	code, _, found := strings.Cut(code, "```\n")
	file := filepath.Join(t.TempDir(), "bot.py")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil || !found {
		t.Fatal(err, found)
	}
	var log strings.Builder
	handler, err := handlers.Exec().New(
		router.Env{Log: slog.New(slog.NewTextHandler(&log, nil))},
		handlers.ExecOptions{Command: []string{python, file}, Mode: "lines", Processes: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 3 {
		if err := handler.Handle(ctx, &router.Event{ID: fmt.Sprint(i), Type: "enter"}); err != nil {
			t.Error(err)
		}
	}
	if err := handler.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), `line="obeying enter"`); n != 3 {
		t.Errorf("%d lines of output, want 3:\n%s", n, log.String())
	}
}

// startRouter runs the routes of exec_bot.toml, with a Python that has redis-py.
func startRouter(t *testing.T, url, python string) (*exec.Cmd, string) {
	t.Helper()
	at, err := exec.LookPath(python)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := filepath.Abs("exec_bot.toml")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "router", "run", "-c", routes)
	cmd.Dir = t.TempDir() // the bot is found all the same
	cmd.Env = append(os.Environ(), "BOT=b1", "REDIS_URL="+url, "SIGNALBOX_LOG__FORMAT=json", "PATH="+filepath.Dir(at)+":"+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
		if text, _ := os.ReadFile(log); t.Failed() {
			t.Logf("the router's log:\n%s", text)
		}
	})
	return cmd, log
}

// awaitLine waits for the nth line of a log with a message.
func awaitLine(t *testing.T, log, message string, n int) map[string]any {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(log)
		seen := 0
		for line := range strings.Lines(string(text)) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) != nil || fields["msg"] != message {
				continue
			}
			if seen++; seen == n {
				return fields
			}
		}
	}
	t.Fatalf("the log lacks line %d of %q", n, message)
	return nil
}

// The router is built by the same stage in both images, so that it is built once.
func TestDockerfilesShareTheBuild(t *testing.T) {
	stage := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, stage, _ := strings.Cut(string(text), "FROM ${GO_IMAGE} AS build\n")
		stage, _, _ = strings.Cut(stage, "\nFROM ")
		var lines []string
		for line := range strings.Lines(stage) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	ours, roots := stage("Dockerfile"), stage("../../Dockerfile")
	if ours != roots || !strings.Contains(ours, "scripts/build") {
		t.Errorf("the stages differ:\n%s\n\n%s", ours, roots)
	}
}
