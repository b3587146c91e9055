package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routertest"
)

// watched tells the verdicts of a handler.
type watched struct {
	*webhook
	verdicts chan error
}

func (w watched) Handle(ctx context.Context, event *router.Event) error {
	err := w.webhook.Handle(ctx, event)
	w.verdicts <- err
	return err
}

// A receiver that is out for a while, in every way, costs nothing: the channel waits, no
// event is given up, and afterwards each arrives once, and those of a key in order.
func TestWebhookOutage(t *testing.T) {
	t.Parallel()
	const senders, each = 4, 25
	var n atomic.Int64
	var mu sync.Mutex
	var taken []string
	peer := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				reset(conn)
			}
		case 2:
			<-r.Context().Done() // longer than the timeout
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 4:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 5:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, r.Header.Get("webhook-id"))
		}
	})
	_, port, _ := net.SplitHostPort(peer.Listener.Addr().String())
	dns := &names{of: map[string][]string{}} // there is no such host
	resolver := dns.resolver(t)
	verdicts := make(chan error, 10_000)
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "in", Fields: router.Fields{Key: "data.k"}}},
		Handlers: []router.HandlerSpec{{Name: "hook", New: func(env router.Env) (router.Handler, error) {
			w, err := newWebhook(env.Service, WebhookOptions{URL: "http://receiver.test:" + port, Timeout: 2 * time.Second})
			if err != nil {
				return nil, err
			}
			w.dialer.Resolver = resolver
			return watched{w, verdicts}, nil
		}}},
		Routes: []router.Route{{Channel: "in", Types: []string{"*"}, Handler: "hook", Policy: router.Policy{
			Workers: senders, Retry: router.Retry{Backoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond},
		}}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for k := range senders {
		all.Go(func() {
			for i := range each {
				box.Send("in", fmt.Sprintf(`{"id":"%d-%02d","type":"a","data":{"k":"%d"}}`, k, i, k))
			}
		})
	}
	out := func(what string) {
		for range 4 * senders {
			if err := <-verdicts; verdictOf(err) != "unavailable" {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	out("no such host")
	dns.set("receiver.test", "127.0.0.2") // where nobody listens
	out("refused")
	if got := len(peer.requests()) + len(box.Handled("hook")); got != 0 {
		t.Errorf("%d events were handled while the receiver was out", got)
	}
	dns.set("receiver.test", "127.0.0.1")
	all.Wait()
	if err := box.Close(); err != nil {
		t.Error(err)
	}

	counts := map[router.Result]int{}
	for _, o := range box.Outcomes() {
		counts[o.Result]++
	}
	if counts[router.Handled] != senders*each || counts[router.Retried]+counts[router.Handled] != len(box.Outcomes()) {
		t.Errorf("outcomes %v, want %d handled and else only retried", counts, senders*each)
	}
	last, seen := map[byte]string{}, map[string]bool{}
	for _, id := range taken {
		if seen[id] || id <= last[id[0]] {
			t.Errorf("%s came again, or after %s", id, last[id[0]])
		}
		seen[id], last[id[0]] = true, id
	}
	if len(seen) != senders*each {
		t.Errorf("%d events arrived, want %d", len(seen), senders*each)
	}
	t.Logf("%d events arrived once each, after %d attempts in vain", len(seen), counts[router.Retried])
}
