package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"signalbox/router"
)

// BenchmarkWebhook is one POST to a receiver on loopback, as often at a time as a route's
// default workers do it.
func BenchmarkWebhook(b *testing.B) {
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer peer.Close()
	w, err := newWebhook("router", WebhookOptions{URL: peer.URL, Secret: testSecret})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	event := templateEvent()
	work := make(chan struct{})
	done := make(chan error)
	for range Webhook().Workers {
		go func() {
			var failed error
			for range work {
				if err := w.Handle(b.Context(), event); err != nil {
					failed = err
				}
			}
			done <- failed
		}()
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	for range Webhook().Workers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func BenchmarkWebhookBody(b *testing.B) {
	event := templateEvent()
	body, err := parseWebhookBody(map[string]any{"text": "{data.symbol} at {time}: {data.price}", "silent": true})
	if err != nil {
		b.Fatal(err)
	}
	for name, of := range map[string]func(*router.Event) []byte{
		"CloudEvent": func(e *router.Event) []byte { return cloudEvent(e, "router") },
		"template":   body.of,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				of(event)
			}
		})
	}
}
