package generate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

const patience = 20 * time.Second

// trial is testdata/trial.py with the bot.py of the shipped routes, fed by Redis.
type trial struct {
	t        *testing.T
	dir      string
	server   *redistest.Server
	client   *redis.Client
	python   string
	statuses <-chan *redis.Message

	cmd *exec.Cmd
	log string // stdout and stderr
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	python := redistest.Python(t)
	server := redistest.Start(t)
	tr := &trial{t: t, dir: t.TempDir(), server: server, client: server.Client(), python: python}
	copyFile(t, "testdata/shipped/bot.py", filepath.Join(tr.dir, "bot.py"))
	copyFile(t, "testdata/trial.py", filepath.Join(tr.dir, "trial.py"))
	sub := tr.client.Subscribe(t.Context(), "bot_status")
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.statuses = sub.Channel()
	return tr
}

// start starts the bot, whose stdin is no pipe.
func (tr *trial) start(env ...string) {
	tr.t.Helper()
	tr.log = filepath.Join(tr.t.TempDir(), "log")
	out, err := os.Create(tr.log)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	tr.cmd = exec.CommandContext(tr.t.Context(), tr.python, "-B", "trial.py")
	tr.cmd.Dir, tr.cmd.Stdout, tr.cmd.Stderr = tr.dir, out, out
	tr.cmd.Env = append(append(os.Environ(), "BOT=b1", "REDIS_URL="+tr.server.URL(), "PYTHONUNBUFFERED=1"), env...)
	if err := tr.cmd.Start(); err != nil {
		tr.t.Fatal(err)
	}
	cmd := tr.cmd
	tr.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if tr.t.Failed() {
			tr.t.Logf("the bot's output:\n%s", tr.output())
		}
	})
}

func (tr *trial) output() string {
	text, err := os.ReadFile(tr.log)
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(text)
}

// end signals the bot, and fails unless it then ends well.
func (tr *trial) end(sig os.Signal) {
	tr.t.Helper()
	if err := tr.cmd.Process.Signal(sig); err != nil {
		tr.t.Fatal(err)
	}
	if err := tr.cmd.Wait(); err != nil || !strings.HasSuffix(tr.output(), "\nended\n") {
		tr.t.Errorf("after %v: %v", sig, err)
	}
}

func (tr *trial) add(values ...any) {
	tr.t.Helper()
	if err := tr.client.XAdd(tr.t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: values}).Err(); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *trial) command(id, data string) {
	tr.t.Helper()
	tr.add("id", id, "type", "enter", "data", data)
}

const (
	aParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	aState  = "congo=t61rcWkgMzE"
)

// tracedCommand is a command that is part of a trace.
func (tr *trial) tracedCommand(id string) {
	tr.t.Helper()
	tr.add("payload", fmt.Sprintf(`{"id":%q,"type":"enter","data":{},"traceparent":%q,"tracestate":%q}`, id, aParent, aState))
}

// continues checks that the answer to a command continues its trace, and that the answer to
// the next one, which has none, does not.
func (tr *trial) continues(traced, untraced string) {
	tr.t.Helper()
	if got := tr.answered(traced); got.TraceParent != aParent || got.TraceState != aState || got.Data.Seen["traceparent"] != aParent || got.Data.Seen["tracestate"] != aState {
		tr.t.Errorf("published %+v", got)
	}
	if got := tr.answered(untraced); got.TraceParent != "" || got.TraceState != "" || got.Data.Seen["traceparent"] != "" {
		tr.t.Errorf("published %+v", got)
	}
}

// answer is what the bot publishes.
type answer struct {
	ID, Type, Source, Time, TraceParent, TraceState string

	Data struct {
		Command, Bot string
		Tries        int
		Seen         map[string]any
		Prices       map[string]float64
	}
}

func (tr *trial) answered(id string) answer {
	tr.t.Helper()
	select {
	case message := <-tr.statuses:
		var got answer
		if err := json.Unmarshal([]byte(message.Payload), &got); err != nil {
			tr.t.Fatal(err)
		}
		if got.Data.Command != id {
			tr.t.Fatalf("answered %s, want an answer to %s", message.Payload, id)
		}
		return got
	case <-time.After(patience):
		tr.t.Fatalf("no answer to %s; the bot's output:\n%s", id, tr.output())
		return answer{}
	}
}

func (tr *trial) eventually(what string, is func() bool) {
	tr.t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			tr.t.Fatalf("not after %v: %s", patience, what)
		}
	}
}

func (tr *trial) pending() int64 {
	pending := tr.client.XPending(tr.t.Context(), "trade_commands", "b1").Val()
	if pending == nil {
		return -1
	}
	return pending.Count
}

func TestBotReadsRedis(t *testing.T) {
	tr := newTrial(t)
	tr.command("c-0", `{}`) // before the bot was there
	tr.start()
	got := tr.answered("c-0")
	if got.ID != "re c-0" || got.Type != "entered" || got.Source != "/bots/b1" || got.Data.Bot != "b1" {
		t.Errorf("published %+v", got)
	}
	if at, err := time.Parse(time.RFC3339, got.Time); err != nil || time.Since(at).Abs() > patience || !strings.HasSuffix(got.Time, "Z") {
		t.Errorf("published at %s: %v", got.Time, err)
	}

	// Each form that an entry may have, what is no event, and what is for others.
	tr.add("payload", "hello")
	tr.add("payload", `["type"]`)
	tr.add("payload", `{"data":1}`)
	tr.add("id", "c-00", "type", "enter", "data", "no JSON")
	tr.add("payload", `{"type":"enter","time":1e400}`)
	tr.add("payload", strings.Repeat("[", 100_000))
	tr.add("payload", "\xff\xfe")
	tr.add("id", "c-1", "type", "start", "data", `{}`)                              // no function is for it
	tr.add("id", "c-2", "type", "enter", "data", `{}`, "signalbox_group", "router") // a dead letter, tried again for a group
	tr.add("message", `{"id":3,"type":"enter","source":"/desk","data":{}}`)
	seen := tr.answered("3").Data.Seen
	for field, want := range map[string]any{"type": "enter", "source": "/desk", "channel": "trade_commands", "name": "trade_commands", "key": ""} {
		if seen[field] != want {
			t.Errorf("%s is %v, want %v", field, seen[field], want)
		}
	}
	tr.add("_watermill_message_uuid", "u", "metadata", "\x80", "payload", `{"type":"enter","id":"c-4","time":"2026-11-22T02:30:24.5Z","data":{}}`)
	if seen := tr.answered("c-4").Data.Seen; seen["time"] != "2026-11-22T02:30:24.5Z" {
		t.Errorf("time is %v", seen["time"])
	}

	// What is published while an event is in hand continues its trace, and only then.
	tr.tracedCommand("c-t")
	tr.command("c-u", `{}`)
	tr.continues("c-t", "c-u")

	// A failed event is over; one that has to wait holds up the others.
	tr.command("c-5", `{"do":"break"}`)
	tr.command("c-6", `{"do":"refuse"}`)
	tr.command("c-7", `{"do":"wait"}`)
	tr.command("c-8", `{}`)
	if got := tr.answered("c-7"); got.Data.Tries != 3 {
		t.Errorf("c-7 was tried %d times, want 3", got.Data.Tries)
	}
	tr.answered("c-8")

	// A command sees each price that came before it.
	for _, tick := range []string{"hello", `{"type":"tick","data":[]}`, `{"type":"tick","data":{"symbol":"BTC","price":1.5}}`} {
		tr.client.Publish(t.Context(), "price_data", tick)
	}
	tr.command("c-9", `{}`)
	if got := tr.answered("c-9"); got.Data.Prices["BTC"] != 1.5 {
		t.Errorf("prices are %v", got.Data.Prices)
	}
	tr.eventually("all is acknowledged", func() bool { return tr.pending() == 0 })
	tr.end(syscall.SIGTERM)
	for _, want := range []string{
		"INFO events come from Redis: price_data, trade_commands", "enter c-5 failed, and is not tried again", "RuntimeError: it broke",
		"enter c-00 failed", "AttributeError: 'str' object has no attribute 'get'", "enter c-6 failed, and is not tried again: no such symbol\n", "Unavailable: the exchange is closed; again in 0.1 s", "the exchange is closed; again in 0.2 s",
		"a message on price_data is ignored: ", "a message on trade_commands is ignored: ",
	} {
		if !strings.Contains(tr.output(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}

// What a bot had in hand when it was killed comes again, before anything new; what it has
// in hand when it is asked to end, it does.
func TestBotEnds(t *testing.T) {
	tr := newTrial(t)
	tr.start()
	tr.command("c-1", `{"do":"hang"}`)
	tr.command("c-2", `{}`)
	tr.eventually("c-1 is in hand", func() bool { return exists(filepath.Join(tr.dir, "c-1")) })
	_ = tr.cmd.Process.Kill()
	_ = tr.cmd.Wait()
	if err := os.WriteFile(filepath.Join(tr.dir, "trial.py"), []byte(strings.Replace(readFile(t, "testdata/trial.py"), `== "hang"`, `== "hang" and "for" in event.data`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	tr.start()
	tr.answered("c-1")
	tr.answered("c-2")
	tr.command("c-3", `{"do":"hang","for":0.5}`)
	tr.command("c-4", `{}`)
	tr.eventually("c-3 is in hand", func() bool { return exists(filepath.Join(tr.dir, "c-3")) })
	tr.end(syscall.SIGINT)
	tr.answered("c-3")
	tr.start()
	tr.answered("c-4")
	tr.eventually("all is acknowledged", func() bool { return tr.pending() == 0 })
	tr.end(syscall.SIGTERM)
}

// A Redis that is away is waited for, also when it comes back empty.
func TestBotOutlivesRedis(t *testing.T) {
	tr := newTrial(t)
	tr.start()
	tr.command("c-1", `{}`)
	tr.answered("c-1")
	tr.server.Kill()
	tr.eventually("the bot has noticed", func() bool { return strings.Contains(tr.output(), "again in 0.2 s") })
	tr.server.Restart()
	tr.eventually("the bot is back, and so are we", func() bool {
		n, err := tr.client.PubSubNumSub(t.Context(), "price_data", "bot_status").Result()
		return err == nil && n["price_data"] == 1 && n["bot_status"] == 1
	})
	tr.command("c-2", `{}`)
	tr.answered("c-2")

	if err := tr.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	tr.command("c-3", `{}`)
	tr.answered("c-3")
	tr.end(syscall.SIGTERM)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
