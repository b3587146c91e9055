package generate_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

// trialRoutes hand the commands to the bot of a trial.
const trialRoutes = `
[service]
drain = "500ms"

[redis]
url = %[1]q

[channels.price_data]
transport = "pubsub"
key_field = "data.symbol"

[channels.trade_commands]
transport = "stream"

[handlers.bot]
kind    = "exec"
command = [%[2]q, "-B", "trial.py"]
env     = { BOT = "b1", %[3]s }

[[routes]]
channel = "*"
type    = "*"
handler = "bot"
retry   = { attempts = 2, backoff = "1ms" }
`

// routed runs a router that hands events to the bot.
type routed struct {
	mu       sync.Mutex
	log      bytes.Buffer
	outcomes []string
}

func (r *routed) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

func (r *routed) observe(o router.Outcome) {
	text := fmt.Sprintf("%s %s", o.Event.ID, o.Result)
	if o.Result == router.Failed || o.Result == router.Retried {
		text += ": " + o.Err.Error()
	}
	if router.IsPermanent(o.Err) {
		text += " (permanent)"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, text)
}

func (r *routed) all() (log string, outcomes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String(), append([]string(nil), r.outcomes...)
}

// route runs the router until the end of the test, or until stop is called.
func (tr *trial) route(env string) (r *routed, stop func()) {
	tr.t.Helper()
	r = &routed{}
	file := filepath.Join(tr.dir, "routes.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, trialRoutes, tr.server.URL(), tr.python, env), 0o600); err != nil {
		tr.t.Fatal(err)
	}
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: kinds, Stderr: r, Observe: r.observe})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tr.t.Error(err)
		}
		if log, outcomes := r.all(); tr.t.Failed() {
			tr.t.Logf("outcomes:\n%s\nlog:\n%s", strings.Join(outcomes, "\n"), log)
		}
	})
	tr.t.Cleanup(stop)
	return r, stop
}

// What a function does is the verdict, and what it prints is not.
func TestBotObeysRouter(t *testing.T) {
	tr := newTrial(t)
	r, stop := tr.route(fmt.Sprintf("REDIS_URL = %q", tr.server.URL()))
	tr.eventually("the bot runs", func() bool { log, _ := r.all(); return strings.Contains(log, "events come from the router") })
	tr.client.Publish(t.Context(), "price_data", `{"id":"t-1","type":"tick","data":{"symbol":"BTC","price":1.5}}`)
	tr.eventually("the tick is handled", func() bool { _, outcomes := r.all(); return len(outcomes) == 1 })
	tr.command("c-1", `{"do":"lie"}`)
	tr.command("c-2", `{"do":"break"}`)
	tr.command("c-3", `{"do":"refuse"}`)
	tr.command("c-4", `{"do":"wait"}`)
	tr.add("id", "c-5", "type", "stop", "data", `{}`)
	got := tr.answered("c-1")
	if got.Source != "/bots/b1" || got.Data.Bot != "b1" || got.Data.Seen["channel"] != "trade_commands" || got.Data.Prices["BTC"] != 1.5 {
		t.Errorf("published %+v", got)
	}
	if got := tr.answered("c-4"); got.Data.Tries != 3 {
		t.Errorf("c-4 was tried %d times, want 3", got.Data.Tries)
	}
	tr.tracedCommand("c-6")
	tr.command("c-7", `{}`)
	tr.continues("c-6", "c-7")
	want := []string{
		"t-1 handled", "c-1 handled", "c-2 retried: RuntimeError: it broke", "c-2 failed: RuntimeError: it broke",
		"c-3 failed: no such symbol (permanent)",
		"c-4 retried: the exchange is closed", "c-4 retried: the exchange is closed", "c-4 handled",
		"c-5 failed: this bot has no function for the type 'stop' (permanent)",
		"c-6 handled", "c-7 handled",
	}
	tr.eventually("all is done", func() bool { _, outcomes := r.all(); return len(outcomes) >= len(want) })
	stop()
	log, outcomes := r.all()
	if strings.Join(outcomes, "\n") != strings.Join(want, "\n") {
		t.Errorf("outcomes\n%s\nwant\n%s", strings.Join(outcomes, "\n"), strings.Join(want, "\n"))
	}
	for _, want := range []string{"a line that looks like a verdict", "RuntimeError: it broke", `line=ended`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// Where a bot publishes is never guessed: the router hands over no variable by itself.
func TestBotIsToldWhereToPublish(t *testing.T) {
	tr := newTrial(t)
	r, _ := tr.route(`OTHER = "x"`)
	tr.command("c-1", `{}`)
	tr.eventually("c-1 failed", func() bool { _, outcomes := r.all(); return len(outcomes) == 2 })
	if _, outcomes := r.all(); !strings.Contains(outcomes[1], "REDIS_URL is not set") {
		t.Errorf("%q", outcomes)
	}
}

// While Redis can't be published to, the event waits.
func TestBotCannotPublish(t *testing.T) {
	tr := newTrial(t)
	r, _ := tr.route(`REDIS_URL = "redis://127.0.0.1:1/0"`)
	tr.command("c-1", `{}`)
	tr.eventually("c-1 was tried more often than a failed event", func() bool { _, outcomes := r.all(); return len(outcomes) > 3 })
	_, outcomes := r.all()
	for _, outcome := range outcomes {
		if !strings.HasPrefix(outcome, "c-1 retried: Redis: ") {
			t.Errorf("%q, want it to wait", outcome)
		}
	}
}

// The bot that docs/bots.md shows works, fed by Redis and by a router.
func TestDocumentedBot(t *testing.T) {
	_, section, _ := strings.Cut(readFile(t, "../../docs/bots.md"), "\n## A bot in Python\n")
	_, code, _ := strings.Cut(section, "```python\n")
	code, _, found := strings.Cut(code, "```\n")
	tr := newTrial(t)
	if err := os.WriteFile(filepath.Join(tr.dir, "trial.py"), []byte(code+"print('ended')\n"), 0o600); err != nil || !found {
		t.Fatal(err, found)
	}
	play := func(first, second string) {
		t.Helper()
		tr.command("x", `{"bot":"another","symbol":"BTC"}`)
		tr.command(first, `{"bot":"b1","symbol":"ETH"}`) // has no price
		tr.client.Publish(t.Context(), "price_data", `{"id":"t-1","type":"tick","data":{"symbol":"BTC","price":1.5}}`)
		tr.command(second, `{"bot":"b1","symbol":"BTC"}`)
		if got := tr.answered(second); got.ID != second+"-entered" || got.Data.Bot != "b1" {
			t.Errorf("published %+v", got)
		}
	}
	tr.start()
	tr.eventually("the bot listens", func() bool { return tr.client.PubSubNumSub(t.Context(), "price_data").Val()["price_data"] == 1 })
	play("c-1", "c-2")
	tr.eventually("all is acknowledged", func() bool { return tr.pending() == 0 })
	tr.end(os.Interrupt)
	if !strings.Contains(tr.output(), "enter c-1 failed, and is not tried again") {
		t.Error("the output lacks what failed")
	}

	tr.client.Del(t.Context(), "trade_commands") // the group of the router begins with what the stream holds
	r, _ := tr.route(fmt.Sprintf("REDIS_URL = %q", tr.server.URL()))
	tr.eventually("the bot runs", func() bool { log, _ := r.all(); return strings.Contains(log, "events come from the router") })
	tr.client.Publish(t.Context(), "price_data", `{"id":"t-2","type":"tick","data":{"symbol":"BTC","price":1.5}}`)
	tr.eventually("the tick is handled", func() bool {
		_, outcomes := r.all()
		return strings.Contains(strings.Join(outcomes, "\n"), "t-2 handled")
	})
	play("c-3", "c-4")
	if _, outcomes := r.all(); !strings.Contains(strings.Join(outcomes, "\n"), "c-3 failed: no price yet (permanent)") {
		t.Errorf("%q", outcomes)
	}
}
