package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/routesfile"
)

// runProgram runs a program until the test ends, and returns it when it is ready.
func runProgram(t *testing.T, opts Options) *program {
	t.Helper()
	if opts.Stderr == nil {
		opts.Stderr = t.Output()
	}
	log := &readyLog{Writer: opts.Stderr, ready: make(chan struct{})}
	opts.Stderr, opts.Stdout = log, t.Output()
	p, err := open(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, opts.Observe) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-log.ready:
	case <-time.After(patience):
		t.Fatal("the router is not ready")
	}
	return p
}

// refused is the text of an error that is whose who asked.
func refused(t *testing.T, err error) string {
	t.Helper()
	if _, ok := errors.AsType[*ops.RequestError](err); !ok {
		t.Fatalf("error %v, want one of the request", err)
	}
	return err.Error()
}

// The program that runs replays a letter to the route that gave up, and removes it.
func TestOpsReplay(t *testing.T) {
	server := redistest.Start(t)
	bot := &ledger{verdicts: []error{router.Permanent(errors.New("closed"))}}
	audit := &ledger{}
	p := runProgram(t, deadOptions(t, server.URL(), "bot", bot, audit))
	add(t, server, `{"id":"o-1","type":"enter"}`)
	bot.await(t, "o-1", router.Failed, 1)
	eventually(t, "the audit is handled", func() bool { return len(audit.done()) == 1 })

	letters, total, err := p.opsDead(t.Context(), "orders", 10)
	if err != nil || total != 1 || len(letters) != 1 {
		t.Fatalf("%d letters %+v, %v", total, letters, err)
	}
	l := letters[0]
	if l.Stream != "orders.dead" || l.Type != "enter" || l.Event != "o-1" || l.Route != "enter" || l.Handler != "ledger" ||
		l.Reason != "permanent" || l.Error != "closed" || l.Attempts != 1 || l.At.IsZero() || l.Message != `{"id":"o-1","type":"enter"}` || l.Cut {
		t.Errorf("letter %+v", l)
	}
	said, err := p.opsReplay(t.Context(), "orders", []string{l.ID})
	if err != nil || said != "1 dead letter of orders replayed" {
		t.Fatalf("says %q, %v", said, err)
	}
	eventually(t, "it is handled", func() bool { return len(bot.done()) == 2 })
	if n := length(t, server, "orders.dead"); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	add(t, server, `{"id":"o-2","type":"enter"}`) // when it is handled, so is what came before
	eventually(t, "the next is audited", func() bool { return len(audit.done()) == 2 })
	if got := audit.done(); !slices.Equal(got, []string{"o-1", "o-2"}) {
		t.Errorf("the other route got %v", got)
	}
	if _, err := p.opsReplay(t.Context(), "orders", []string{l.ID}); !strings.Contains(refused(t, err), "has no dead letter") {
		t.Error(err)
	}
}

// What the command would ask about is refused.
func TestOpsReplayRefuses(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}))
	keep(t, server, "orders.dead", "1-0")
	keep(t, server, "orders.dead", "2-0", "replays", "3")
	keep(t, server, "orders.dead", "3-0", "group", "gone")
	keep(t, server, "orders.dead", "4-0", "group", "")
	for name, tt := range map[string]struct {
		channel string
		ids     []string
		want    string
	}{
		"no ids":          {"orders", nil, "name the dead letters to replay by their ids"},
		"no id":           {"orders", []string{"x"}, `"x" is no id of a dead letter`},
		"no letter":       {"orders", []string{"9-0"}, `channel "orders" has no dead letter "9-0"`},
		"no channel":      {"order", []string{"1-0"}, `channel "order" is not declared; did you mean "orders"?`},
		"too often":       {"orders", []string{"2-0"}, `1 dead letter came back from 3 replays or more; --again replays them too (an option of "router dead replay")`},
		"nobody reads it": {"orders", []string{"3-0", "1-0"}, `no group "gone" reads "orders"`},
		"no group":        {"orders", []string{"4-0"}, "came by Pub/Sub"},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := p.opsReplay(t.Context(), tt.channel, tt.ids)
			if got := refused(t, err); !strings.Contains(got, tt.want) || said != "" {
				t.Errorf("says %q, %q; want %q", said, got, tt.want)
			}
		})
	}
	said, err := p.opsReplay(t.Context(), "orders", []string{"1-0", "2-0"})
	if err != nil || !strings.HasPrefix(said, "1 dead letter of orders replayed; left: 1 dead letter came back") {
		t.Errorf("says %q, %v", said, err)
	}
	if n := length(t, server, "orders.dead"); n != 3 {
		t.Errorf("%d letters are left, want three", n)
	}
}

// A letter that could not be removed would be replayed again, so it is not sent either.
func TestOpsReplayThatMayNotRemove(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}))
	keep(t, server, "orders.dead", "1-0")
	limit(t, server, "-xdel")
	_, err := p.opsReplay(t.Context(), "orders", []string{"1-0"})
	if err == nil || !strings.Contains(err.Error(), `signalbox-operator, and may replay by "router dead replay"`) {
		t.Error(err)
	}
	if n := length(t, server, "orders"); n != 0 {
		t.Errorf("%d were sent", n)
	}
}

// The newest of several streams come first; what others have in them does not count, as
// far as it is looked at.
func TestOpsDead(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}))
	keep(t, server, "orders.dead", "8-0", "last_time", "nonsense")
	keep(t, server, "orders.dead", "9-0")
	keep(t, server, "trouble", "10-0")
	keep(t, server, "trouble", "11-0", "channel", "elsewhere")
	keep(t, server, "orders.dead", "10-1", "payload", strings.Repeat("ä", 9<<10), "reason", "malformed", "type", "", "id", "")
	for n, want := range map[int][]string{0: nil, 1: {"10-1"}, 3: {"10-1", "10-0", "9-0"}, 200: {"10-1", "10-0", "9-0", "8-0"}} {
		letters, total, err := p.opsDead(t.Context(), "orders", n)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range letters {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("n = %d: %v, want %v", n, got, want)
		}
		if least := 4; total < least || n > 0 && total != least || total > least+1 {
			t.Errorf("n = %d: %d letters in all", n, total)
		}
		if n > 0 && (!letters[0].Cut || letters[0].Message != strings.Repeat("ä", 8<<10)) {
			t.Errorf("a long message has %d bytes, cut %v", len(letters[0].Message), letters[0].Cut)
		}
	}
	if _, _, err := p.opsDead(t.Context(), "troubl", 1); !strings.Contains(refused(t, err), `did you mean "trouble"?`) {
		t.Error(err)
	}
}

// Many letters come in pages, the newest first.
func TestOpsDeadOfMany(t *testing.T) {
	server := redistest.Start(t)
	const many = 1000
	keepMany(t, server, many)
	p := runProgram(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}))
	letters, total, err := p.opsDead(t.Context(), "orders", 200)
	if err != nil || total != many || len(letters) != 200 {
		t.Fatalf("%d of %d letters, %v", len(letters), total, err)
	}
	for i, l := range letters {
		if want := fmt.Sprintf("o-%d", many-1-i); l.Event != want {
			t.Fatalf("letter %d is of %s, want %s", i, l.Event, want)
		}
	}
}

const opsRoutes = `
[service]
name = "bot"

[redis]
url = "%s"

[channels.orders]
transport = "stream"
types = ["enter", "exit"]

[channels.prices]
transport = "pubsub"
dead_letter = true

[channels.all]
transport = "pubsub"
pattern = "p*"

[channels.unread]
transport = "stream"

[[routes]]
channel = "orders"
type    = "enter"
handler = "ledger"
timeout = "1s"
when    = 'event.data.key == "${file:%s}"'

[[routes]]
name     = "apart"
channel  = "orders"
type     = "exit"
handler  = "ledger"
isolated = true
max_age  = "5s"

[[routes]]
channel = ["prices", "all"]
type    = "*"
handler = "ledger"
`

func opsOptions(t *testing.T, url string, l *ledger) Options {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, opsRoutes, url, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: l.kinds(), Observe: l.observe}
}

// What is published is checked before, and afterwards it is told who got it.
func TestOpsPublish(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{}
	p := runProgram(t, opsOptions(t, server.URL(), l))
	for name, tt := range map[string]struct{ channel, typ, data, want string }{
		"stream": {"orders", "enter", `{"key":"hunter2"}`, `1 message added to "orders" as `},
		"pubsub": {"prices", "tick", `[1]`, `1 message sent to 2 subscribers of "prices"`}, // by its name and by the pattern
		"empty":  {"prices", "tick", ``, `1 message sent to 2 subscribers of "prices"`},
	} {
		said, err := p.opsPublish(t.Context(), tt.channel, tt.typ, []byte(tt.data))
		if err != nil || !strings.HasPrefix(said, tt.want) {
			t.Errorf("%s: says %q, %v", name, said, err)
		}
	}
	eventually(t, "all are handled", func() bool { return len(l.done()) >= 5 })
	for name, tt := range map[string]struct{ channel, typ, data, want string }{
		"no channel": {"price", "tick", `{}`, `channel "price" is not declared; did you mean "prices"?`},
		"a pattern":  {"all", "tick", `{}`, `channel "all" is the pattern "p*"`},
		"no type":    {"prices", "", `{}`, `the event has no type`},
		"wrong type": {"orders", "entre", `{}`, `did you mean "enter"?`},
		"no JSON":    {"orders", "enter", `{"key":`, `data: `},
	} {
		said, err := p.opsPublish(t.Context(), tt.channel, tt.typ, []byte(tt.data))
		if got := refused(t, err); !strings.Contains(got, tt.want) || said != "" {
			t.Errorf("%s: says %q, %q; want %q", name, said, got, tt.want)
		}
	}
}

// A message that was sent is not an error because nobody knows who reads it.
func TestOpsPublishOfWhatNobodyMayLookAt(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, opsOptions(t, server.URL(), &ledger{}))
	limit(t, server, "-xinfo|groups")
	said, err := p.opsPublish(t.Context(), "orders", "enter", []byte(`{}`))
	if err != nil || !strings.HasPrefix(said, `the message was added, but who reads "orders" is unknown: NOPERM`) {
		t.Errorf("says %q, %v", said, err)
	}
}

// Nobody knows whether a Redis that hangs has got a message: who is told so looks first.
func TestOpsPublishToARedisThatHangs(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, opsOptions(t, server.URL(), &ledger{}))
	server.Pause()
	defer server.Resume()
	if _, err := p.opsPublish(t.Context(), "orders", "enter", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "it may have arrived all the same") {
		t.Errorf("says %v", err)
	}
}

// A type that a stranger chose fills no log.
func TestOpsPublishLogsShortTypes(t *testing.T) {
	server := redistest.Start(t)
	log := &journal{wrote: make(chan struct{})}
	opts := opsOptions(t, server.URL(), &ledger{})
	opts.Stderr = log
	p := runProgram(t, opts)
	before := len(log.String())
	if _, err := p.opsPublish(t.Context(), "prices", strings.Repeat("x", 100_000), nil); err != nil {
		t.Fatal(err)
	}
	if got := log.String()[before:]; len(got) > 2_000 || !strings.Contains(got, "event published from the page") {
		t.Errorf("log: %d bytes", len(got))
	}
}

// A Redis that hangs takes no longer than whoever asks has time.
func TestReadyOfARedisThatHangs(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, opsOptions(t, server.URL(), &ledger{}))
	server.Pause()
	defer server.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	reasons := p.ready(ctx)
	if took := time.Since(begin); len(reasons) != 1 || reasons[0].What != "redis" || took > 900*time.Millisecond {
		t.Errorf("%+v after %v", reasons, took)
	}
}

// Of each stream that has routes, the groups of this service are told.
func TestOpsStreams(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{}
	p := runProgram(t, opsOptions(t, server.URL(), l))
	if err := server.Client().XGroupCreateMkStream(t.Context(), "orders", "foreign", "0").Err(); err != nil {
		t.Fatal(err)
	}
	keep(t, server, "orders.dead", "*")
	add(t, server, `{"id":"o-1","type":"exit"}`)
	l.await(t, "o-1", router.Handled, 1)
	var streams []ops.Stream
	eventually(t, "nothing is pending", func() bool {
		var err error
		if streams, err = p.opsStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(streams) == 2 && streams[0].Pending+streams[1].Pending == 0
	})
	want := []ops.Stream{
		{Channel: "orders", Group: "bot", Length: 1, Dead: 1},
		{Channel: "orders", Group: "bot.apart", Route: "apart", Length: 1, Dead: 1},
	}
	if !slices.Equal(streams, want) {
		t.Errorf("streams %+v, want %+v", streams, want)
	}
	if _, total, err := p.opsDead(t.Context(), "prices", 0); err != nil || total != 0 {
		t.Errorf("%d dead letters of prices, %v", total, err)
	}
}

// What Redis refuses is told, and hides nothing else.
func TestOpsStreamsThatCannotBeRead(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, opsOptions(t, server.URL(), &ledger{}))
	if err := server.Client().Set(t.Context(), "orders.dead", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	streams, err := p.opsStreams(t.Context())
	if err == nil || !strings.Contains(err.Error(), `dead letters of channel "orders": XLEN "orders.dead"`) || len(streams) != 2 || streams[0].Dead != -1 {
		t.Errorf("streams %+v, %v", streams, err)
	}
	if _, _, err := p.opsDead(t.Context(), "orders", 1); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Error(err)
	}
	server.Kill()
	if streams, err := p.opsStreams(t.Context()); err == nil || len(streams) != 0 {
		t.Errorf("without Redis: streams %+v, %v", streams, err)
	}
}

// Conditions are told as they are written, and isolation by itself.
func TestShownRoutes(t *testing.T) {
	opts := opsOptions(t, "redis://127.0.0.1:1", &ledger{})
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, shown := range shownRoutes(loaded) {
		got = append(got, fmt.Sprintf("%s|%v|%s", loaded.Config.Routes[i].Name, strings.Contains(shown.When, "${file:"), shown.Policy))
		if strings.Contains(shown.When, "hunter2") {
			t.Errorf("the secret is told: %s", shown.When)
		}
	}
	want := []string{"ledger|true|", "apart|false|max_age 5s", "ledger|false|", "ledger|false|"}
	if !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
}

// Reloads change the configuration under those who ask; the race detector looks on.
func TestOpsDuringReloads(t *testing.T) {
	server := redistest.Start(t)
	opts := opsOptions(t, server.URL(), &ledger{})
	reload := make(chan struct{})
	opts.Reload = reload
	p := runProgram(t, opts)
	for range 10 {
		reload <- struct{}{}
		if _, err := p.opsStreams(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := p.opsPublish(t.Context(), "prices", "tick", nil); err != nil {
			t.Error(err)
		}
		if _, _, err := p.opsDead(t.Context(), "orders", 1); err != nil {
			t.Error(err)
		}
	}
}

// A Redis that hangs is told as that, and in time.
func TestReadyWhileRedisHangs(t *testing.T) {
	server := redistest.Start(t)
	p := runProgram(t, opsOptions(t, server.URL(), &ledger{}))
	server.Pause()
	defer server.Resume()
	const within = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	begin := time.Now()
	reasons := p.ready(ctx)
	if len(reasons) != 1 || reasons[0].What != "redis" || !strings.Contains(reasons[0].Text, "does not answer: ") {
		t.Errorf("reasons %v", reasons)
	}
	if took := time.Since(begin); took > 3*within {
		t.Errorf("it took %v, and had %v", took, within)
	}
}

// What Redis or a proxy says may hold a password.
func TestAskedHidesLogins(t *testing.T) {
	if err := asked(errors.New("dial redis://bot:hunter2@db:6379: refused")); strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
	if asked(nil) != nil {
		t.Error("nothing is an error")
	}
}
