package python

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

const patience = 20 * time.Second

func TestFirstMessage(t *testing.T) {
	server := redistest.Start(t)
	url, client := server.URL(), server.Client()
	ticks := subscribe(t, client, "price_data")

	out, err := script(t, url, "first_message.py").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "1 got the tick\nthe command is kept as ") {
		t.Errorf("first_message.py: %v\n%s", err, out)
	}
	if tick := receive(t, ticks); tick.Type != "tick" || tick.Data["symbol"] != "BTCUSDT" {
		t.Errorf("got %+v on price_data", tick)
	}
	if entries := client.XRange(t.Context(), "trade_commands", "-", "+").Val(); len(entries) != 1 || entries[0].Values["type"] != "enter" {
		t.Errorf("got %v in trade_commands", entries)
	}
}

func TestPublisher(t *testing.T) {
	server := redistest.Start(t)
	url, client := server.URL(), server.Client()

	ticks := subscribe(t, client, "quotes")
	run(t, url, "publisher.py", "--transport", "pubsub", "--channel", "quotes", "--count", "3", "--rate", "0")
	for range 3 {
		if tick := receive(t, ticks); tick.Type != "tick" || tick.Data["price"] == nil {
			t.Errorf("got %+v on quotes", tick)
		}
	}

	run(t, url, "publisher.py", "--transport", "stream", "--count", "50", "--rate", "0")
	entries := client.XRange(t.Context(), "trade_commands", "-", "+").Val()
	if len(entries) != 50 {
		t.Fatalf("got %d commands, want 50", len(entries))
	}
	for i, want := range []string{"start", "enter", "exit", "stop"} {
		fields := entries[i].Values
		data, _ := fields["data"].(string)
		if fields["type"] != want || fields["id"] == "" || !json.Valid([]byte(data)) {
			t.Errorf("command %d: got %v, want a %s", i, fields, want)
		}
	}

	run(t, url, "publisher.py", "--count", "16", "--rate", "0")
	if n := client.XLen(t.Context(), "trade_commands").Val(); n != 52 {
		t.Errorf("got %d commands after 16 messages of both kinds, want 52", n)
	}
}

// The bot that a router feeds in TestExecBot, fed by Redis itself.
func TestBot(t *testing.T) {
	server := redistest.Start(t)
	url, client := server.URL(), server.Client()
	ctx := t.Context()
	statuses := subscribe(t, client, "bot_status")

	// Commands in each form that a stream may hold: by hand, by Signalbox, not for us, broken.
	add := func(values ...any) {
		t.Helper()
		if err := client.XAdd(ctx, &redis.XAddArgs{Stream: "trade_commands", Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("type", "start", "id", "c-0", "data", `{"bot":"b1"}`, "signalbox_group", "router") // a dead letter of others
	add("type", "start", "id", "c-1", "data", `{"bot":"b1"}`)
	add("type", "start", "id", "c-2", "data", `{"bot":"someone-else"}`)
	add("type", "start", "data", "hello")
	add("data", "{}")

	bot := script(t, url, "exec_bot.py")
	bot.Env = append(bot.Env, "BOT=b1")
	stdout, err := bot.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	bot.Stderr = os.Stderr
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, statuses); got.Type != "started" || got.Data["command"] != "c-1" {
		t.Errorf("got %+v, want started for c-1", got)
	}

	client.Publish(ctx, "price_data", "hello")
	client.Publish(ctx, "price_data", `{"type":"tick","data":{"symbol":"BTCUSDT","price":97000}}`)
	add("_watermill_message_uuid", "u", "metadata", "", "payload",
		`{"type":"enter","id":"c-3","data":{"bot":"b1","symbol":"BTCUSDT"}}`)
	if got := receive(t, statuses); got.Type != "entered" || got.Data["command"] != "c-3" {
		t.Errorf("got %+v, want entered for c-3", got)
	}
	// The bot looks at prices before each read, so the next command surely sees the tick.
	add("type", "exit", "id", "c-4", "data", `{"bot":"b1","symbol":"BTCUSDT"}`)
	if got := receive(t, statuses); got.Type != "exited" || got.Data["price"] != 97000.0 {
		t.Errorf("got %+v, want exited at 97000", got)
	}

	if err := bot.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for scan := bufio.NewScanner(stdout); scan.Scan(); {
		lines = append(lines, scan.Text())
	}
	if err := bot.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if len(lines) == 0 || lines[len(lines)-1] != "b1 ends" {
		t.Errorf("printed %q", lines)
	}
	if pending := client.XPending(ctx, "trade_commands", "b1").Val(); pending == nil || pending.Count != 0 {
		t.Errorf("left pending: %+v", pending)
	}
}

type event struct {
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

func subscribe(t *testing.T, client *redis.Client, channel string) <-chan *redis.Message {
	t.Helper()
	sub := client.Subscribe(t.Context(), channel)
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sub.Channel()
}

func receive(t *testing.T, messages <-chan *redis.Message) event {
	t.Helper()
	select {
	case message := <-messages:
		var e event
		if err := json.Unmarshal([]byte(message.Payload), &e); err != nil {
			t.Fatalf("%q: %v", message.Payload, err)
		}
		return e
	case <-time.After(patience):
		t.Fatal("no message")
		return event{}
	}
}

func run(t *testing.T, url, name string, args ...string) {
	t.Helper()
	if out, err := script(t, url, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// script makes a command with the first Python that has redis-py.
func script(t *testing.T, url, name string, args ...string) *exec.Cmd {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import redis").Run() == nil {
			cmd := exec.CommandContext(t.Context(), python, append([]string{name}, args...)...)
			cmd.Env = append(os.Environ(), "REDIS_URL="+url, "PYTHONDONTWRITEBYTECODE=1")
			return cmd
		}
	}
	const missing = "no python3 with redis-py: apt-get install python3-redis, or pip install -r examples/python/requirements.txt"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return nil
}
