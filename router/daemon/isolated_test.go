package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router"
)

// counter is a handler that counts, and takes its time.
type counter struct {
	n    atomic.Int64
	each time.Duration
}

func (c *counter) Handle(ctx context.Context, _ *router.Event) error {
	if c.each > 0 {
		select {
		case <-time.After(c.each):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.n.Add(1)
	return nil
}

func (c *counter) kind(name string) router.Kind[struct{}] {
	return router.Kind[struct{}]{Name: name, New: func(router.Env, struct{}) (router.Handler, error) { return c, nil }}
}

// A handler that sleeps a second stands beside one that has to keep 10,000 events a
// second. Sharing a subscription, the fast one would wait for the slow one as soon as
// in_flight events do, and get 100 events and then one a second.
func TestIsolatedRouteHoldsUpNobody(t *testing.T) {
	const promised = 10_000
	for _, tc := range []struct{ name, transport, isolated string }{
		{"pubsub, the slow one", `transport = "pubsub"`, "slow"},
		{"pubsub, the fast one", `transport = "pubsub"`, "fast"},
		{"stream, the slow one", `transport = "stream"`, "slow"},
		{"stream, the fast one", `transport = "stream"`, "fast"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := redistest.Start(t)
			fast, slow := &counter{}, &counter{each: time.Second}
			text := fmt.Sprintf("[service]\ndrain = \"100ms\"\n[redis]\nurl = %q\n[channels.in]\n%s\nin_flight = 100\n", server.URL(), tc.transport)
			for _, name := range []string{"fast", "slow"} {
				text += fmt.Sprintf("[[routes]]\nchannel = \"in\"\ntype = \"*\"\nhandler = %q\nisolated = %t\n", name, name == tc.isolated)
			}
			runBox(t, text, router.NewRegistry(fast.kind("fast"), slow.kind("slow")))

			begin := time.Now()
			// One span that is fast enough will do: the machine may have other work.
			sent, rates := 0, []int{}
			for len(rates) == 0 || slices.Max(rates) < promised {
				if len(rates) == 5 {
					t.Fatalf("never %d events a second beside a slow route: %d", promised, rates)
				}
				rates = append(rates, rateOver(2*time.Second, fast, func() {
					if sent-int(fast.n.Load()) < 20_000 { // more, and the queue of Pub/Sub overflows
						send(t, server.Client(), tc.transport, 500)
						sent += 500
					} else {
						time.Sleep(time.Millisecond)
					}
				}))
			}
			eventually(t, "the fast route has all", func() bool { return fast.n.Load() == int64(sent) })
			took := time.Since(begin)
			t.Logf("%d events/s, sending them included; the slow one did %d", rates, slow.n.Load())
			if most := int64(took/time.Second) + 1; slow.n.Load() > most {
				t.Errorf("the slow handler did %d in %v", slow.n.Load(), took)
			}
		})
	}
}

// rateOver is how many events a second are handled while something is done again and again.
func rateOver(span time.Duration, c *counter, do func()) int {
	begin, before := time.Now(), c.n.Load()
	for time.Since(begin) < span {
		do()
	}
	return int(float64(c.n.Load()-before) / time.Since(begin).Seconds())
}

// send publishes events in pipelines.
func send(t *testing.T, client *redis.Client, transport string, n int) {
	t.Helper()
	for sent := 0; sent < n; sent += 500 {
		_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for range 500 {
				if transport == `transport = "stream"` {
					p.XAdd(t.Context(), &redis.XAddArgs{Stream: "in", Values: []string{"data", `{"type":"a"}`}})
				} else {
					p.Publish(t.Context(), "in", `{"type":"a"}`)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A slow route is isolated after a restart: what it had not finished by then is handled
// all the same, although the plain group acknowledges it without this route.
func TestIsolatingKeepsWhatIsPending(t *testing.T) {
	server := redistest.Start(t)
	text := "[service]\nname = \"box\"\ndrain = \"100ms\"\n[redis]\nurl = %q\n[channels.in]\ntransport = \"stream\"\n" +
		"[[routes]]\nchannel = \"in\"\ntype = \"*\"\nhandler = \"fast\"\n[[routes]]\nchannel = \"in\"\ntype = \"*\"\nhandler = \"slow\"\nisolated = %t\n"
	const events = 10
	first, slow := &counter{}, &counter{each: time.Hour}
	b := runBox(t, fmt.Sprintf(text, server.URL(), false), router.NewRegistry(first.kind("fast"), slow.kind("slow")))
	for range events {
		if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: "in", Values: []string{"data", `{"type":"a"}`}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the fast route has all", func() bool { return first.n.Load() == events })
	b.stop()
	if p, err := server.Client().XPending(t.Context(), "in", "box").Result(); err != nil || p.Count != events {
		t.Fatalf("%+v pending, %v", p, err)
	}
	fast, mended := &counter{}, &counter{}
	runBox(t, fmt.Sprintf(text, server.URL(), true), router.NewRegistry(fast.kind("fast"), mended.kind("slow")))
	eventually(t, "the plain group has nothing pending", func() bool {
		p, err := server.Client().XPending(t.Context(), "in", "box").Result()
		return err == nil && p.Count == 0
	})
	time.Sleep(500 * time.Millisecond)
	if n := mended.n.Load(); n != events {
		t.Errorf("the slow route has handled %d of %d; nothing is pending any more: the others are lost", n, events)
	}
}
