package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/router/source"
	"signalbox/router/transport"
)

func TestRedacted(t *testing.T) {
	for in, want := range map[string]string{
		"redis://127.0.0.1:6379/0":        "redis://127.0.0.1:6379/0",
		"rediss://me:secret@redis:6379/2": "rediss://me:xxxxx@redis:6379/2",
		"redis://:secret@redis":           "redis://:xxxxx@redis",
		"unix:///run/redis.sock":          "unix:///run/redis.sock",
		"redis://:sec%ret@redis":          "(unreadable URL)",
	} {
		if got := redacted(in); got != want {
			t.Errorf("redacted(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	var out strings.Builder
	p := &program{log: newLogger(&out, routesfile.Log{Level: "info", Format: "json"}, slog.LevelInfo), loaded: &routesfile.Result{Config: router.Config{
		Channels: []router.Channel{{Name: "a", Transport: router.PubSub}, {Name: "b", Transport: router.Stream}},
	}}}
	p.losses.add(transport.Loss{Reason: transport.LossOverflow, Events: 3})
	p.losses.add(transport.Loss{Reason: transport.LossGap, Blind: 1500 * time.Millisecond})
	p.losses.add(transport.Loss{Reason: transport.LossGap, Blind: time.Second})
	p.summarize(router.Stats{
		Channels: map[string]router.ChannelStats{
			"a": {Received: 10, Unmatched: 1, Rejected: map[router.Cause]uint64{router.CauseEmpty: 2, router.CauseNaN: 1}},
			"b": {Received: 5},
		},
		Routes: []router.RouteStats{{Channel: "a", Handled: 7, Failed: 1, Unfinished: 4}, {Channel: "b", Handled: 4, Duplicates: 3, Unmarked: 1, Unfinished: 2}},
	}, []source.Stats{{Published: 5, Dropped: 2}, {Published: 3, Missing: 1}}, 2*time.Second)
	want := `"after":2000000000,"received":15,"handled":11,"failed":1,"unmatched":1,"rejected":3,"lost":7,"duplicates":3,"unmarked":1,"unfinished":2,"published":8,"unpublished":2,"left_out":1,"longest_gap":1500000000}`
	if !strings.HasSuffix(strings.TrimSpace(out.String()), want) {
		t.Errorf("got  %swant …%s", out.String(), want)
	}
}

func TestWiring(t *testing.T) {
	cfg := router.Config{
		Channels: []router.Channel{
			{Name: "commands", Transport: router.Stream, Types: []string{"start", "stop", "enter"}},
			{Name: "prices", Transport: router.PubSub},
			{Name: "unused", Transport: router.PubSub},
		},
		Routes: []router.Route{
			{Channel: "prices", Types: []string{"order.*", "!order.old"}, Handler: "log"},
			{Channel: "commands", Types: []string{"*", "!enter"}, Handler: "log"},
			{Channel: "commands", Types: []string{"stop", "start"}, Handler: "save"},
			{Channel: "commands", Types: []string{"*"}, Handler: "bot"},
			{Channel: "commands", Types: []string{"*"}, Name: "slow", Handler: "slow", Isolated: true},
			{Channel: "commands", Types: []string{"*", "signalbox.gap"}, Handler: "alarm"},
		},
	}
	var got []string
	for _, line := range wiring(cfg) {
		got = append(got, line.channel.Name+": "+line.String())
	}
	want := "prices: order.* !order.old → log\ncommands: start stop → log save, * → bot, * signalbox.gap → alarm\ncommands: * → slow"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestShownPolicy(t *testing.T) {
	for want, policy := range map[string]router.Policy{
		"":                        {Timeout: time.Second, Workers: 1},
		"max_age 5s · dedupe 10m": {MaxAge: 5 * time.Second, Dedupe: router.DedupePolicy{Window: 10 * time.Minute, By: router.DedupeByID}},
		"dedupe 1h by key":        {Dedupe: router.DedupePolicy{Window: time.Hour, By: router.DedupeByKey}},
		"3 attempts · 64 workers": {Retry: router.Retry{Attempts: 3}, Workers: 64},
	} {
		if got := shownPolicy(router.Route{Policy: policy}); got != want {
			t.Errorf("%+v is shown as %q, want %q", policy, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct{ id, data, want string }{
		{"c-1", `{"bot":"m","size":0.02,"deep":{"x":1},"list":[1],"none":null,"on":true}`, "c-1 m 0.02 true"},
		{"01a20115-7152-7eea-b066-095c10360d6f", `{"symbol":"BTC\u001b[2J"}`, `BTC\x1b[2J`},
		{"1-0", `"text"`, "1-0 text"},
		{"1-0", `{}`, "1-0"},
	} {
		if got := describe(&router.Event{ID: test.id, Data: []byte(test.data)}); got != test.want {
			t.Errorf("%s %s is described as %q, want %q", test.id, test.data, got, test.want)
		}
	}
}

func TestEmbeddedAgesKeys(t *testing.T) {
	e, err := startEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	client := redis.NewClient(&redis.Options{Addr: e.Addr(), DisableIdentity: true})
	defer func() { _ = client.Close() }()
	client.Set(t.Context(), "soon", "gone", 300*time.Millisecond)
	if client.Exists(t.Context(), "soon").Val() != 1 {
		t.Fatal("the key is gone before its time")
	}
	for deadline := time.Now().Add(10 * time.Second); client.Exists(t.Context(), "soon").Val() == 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the key does not expire")
		}
	}
}

func TestEmbeddedTakesAnotherPort(t *testing.T) {
	first, err := startEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := startEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Port() == first.Port() || second.Port() == embeddedPort {
		t.Errorf("both on port %s", second.Port())
	}
	if !strings.Contains(second.elsewhere(), "6380 is taken") {
		t.Errorf("says %q", second.elsewhere())
	}
}

// A read that never ends must not hold up the end of publish.
func TestPublishEndsWhileStandardInputWaits(t *testing.T) {
	e, err := startEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, stop := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer func() { _ = in.Close() }() // ends the goroutine that reads
	s := sender{what: PublishOptions{From: in}}
	ended := make(chan error, 1)
	go func() { ended <- s.sendAll(ctx) }()
	if _, err := typed.Write([]byte("\n")); err != nil { // it reads
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("waits for standard input")
	}
}

func TestSilenceIsNoRefusal(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for _, url := range []string{"redis://" + silent.Addr().String(), "rediss://" + silent.Addr().String(), "unix:///nowhere", "redis://127.0.0.1:1"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			p := &program{loaded: &routesfile.Result{}, log: slog.New(slog.DiscardHandler)}
			p.loaded.Settings.Redis.URL = url
			var err error
			if p.redis, err = openRedis(p.loaded, nil, p.log); err != nil {
				t.Fatal(err)
			}
			defer p.close()
			if err := p.notRefused(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
