package main

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"signalbox/internal/redistest"
)

const patience = 20 * time.Second

var update = flag.Bool("update", false, "write what is generated anew: make generate")

// TestMain lets the tests start this program as "gobot": the test binary plays it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gobot": main})
}

func gobot(t *testing.T, url string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "gobot", args...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+url, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func TestObeysAndAnswers(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	sub := client.Subscribe(t.Context(), BotStatus)
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	add := func(id, typ, data string) {
		t.Helper()
		entry := &redis.XAddArgs{Stream: TradeCommands, Values: []any{"id", id, "type", typ, "data", data}}
		if err := client.XAdd(t.Context(), entry).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("c-1", "enter", `{"bot":"someone-else","symbol":"BTCUSDT","size":"0.1"}`)
	add("c-2", "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","size":"7"}`) // too large
	add("c-3", "enter", `{"bot":"momentum-1","size":[]}`)                     // no command
	add("c-4", "start", `{"bot":"momentum-1"}`)
	add("c-5", "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02","limit":"97500.00"}`)
	add("c-5", "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02","limit":"97500.00"}`) // the same again
	add("c-6", "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","size":"0.1"}`)                                   // it is in already
	add("c-7", "enter", `{"bot":"momentum-1","symbol":"ETHUSDT","side":"short","size":0.5}`)
	add("c-8", "exit", `{"bot":"momentum-1","symbol":"BTCUSDT"}`)
	add("c-9", "exit", `{"bot":"momentum-1","symbol":"BTCUSDT"}`) // there is nothing any more
	add("c-10", "stop", `{"bot":"momentum-1"}`)
	want := []status{
		{Bot: "momentum-1", State: "started", Position: "0", Command: "c-4"},
		{Bot: "momentum-1", State: "entered", Symbol: "BTCUSDT", Position: "0.02", Command: "c-5"},
		{Bot: "momentum-1", State: "entered", Symbol: "ETHUSDT", Position: "-0.5", Command: "c-7"},
		{Bot: "momentum-1", State: "exited", Symbol: "BTCUSDT", Position: "0", Command: "c-8"},
		{Bot: "momentum-1", State: "stopped", Position: "0", Command: "c-10"},
	}

	logged, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logged.Close() }()
	bot := gobot(t, server.URL(), "run")
	bot.Stderr = logged
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}

	for _, want := range want {
		select {
		case message := <-sub.Channel():
			var got struct {
				ID, Type, Source string
				Data             status
			}
			if err := json.Unmarshal([]byte(message.Payload), &got); err != nil {
				t.Fatal(err)
			}
			if got.ID != want.Command+"-"+want.State || got.Type != want.State || got.Source != "/signalbox/momentum-1" || got.Data != want {
				t.Errorf("answered %s\nwant %+v", message.Payload, want)
			}
		case <-time.After(patience):
			t.Fatalf("no answer to %s", want.Command)
		}
	}

	if err := bot.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := bot.Wait(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(logged.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"size 7 is more than max_size 0.5", `size \"[]\" is no number above 0`, `there is a trade in \"BTCUSDT\" already`,
		`there is no trade in \"BTCUSDT\" to exit`, "handled=6 failed=4",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the bot's log:\n%s", text)
	}
}

func TestHasEveryCommand(t *testing.T) {
	for want, args := range map[string][]string{
		"ok: 2 channels, 1 handler, 1 route": {"check"},
		"max_size  number  1":                {"docs", "trader"},
		"gobot 0.1 ":                         {"version"},
	} {
		out, err := gobot(t, "", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("gobot %s: %v; want %q in\n%s", strings.Join(args, " "), err, want, out)
		}
	}
	out, err := gobot(t, "", "publish", "bot_statu", "started").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `did you mean "bot_status"?`) {
		t.Errorf("publish to a mistyped channel: %v\n%s", err, out)
	}
}

// channels.go is what `gobot generate constants --lang go --package main --out channels.go`
// writes, in this folder.
func TestGeneratedConstantsAreNotStale(t *testing.T) {
	if *update {
		if out, err := gobot(t, "", "generate", "constants", "--lang", "go", "--package", "main", "--out", "channels.go").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	want, err := gobot(t, "", "generate", "constants", "--lang", "go", "--package", "main").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("channels.go"); err != nil || string(got) != string(want) {
		t.Errorf("channels.go is stale (%v): go test ./examples/gobot -run Stale -update", err)
	}
}
