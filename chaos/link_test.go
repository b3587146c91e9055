//go:build failpoints

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is the network between routers and Redis.
type link struct {
	tb    testing.TB
	proxy *toxiproxy.Proxy
}

func newLink(tb testing.TB, addr string) *link {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{tb: tb, proxy: toxiproxy.NewProxy(server, tb.Name(), "127.0.0.1:0", addr)}
	if err := l.proxy.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.proxy.Stop)
	return l
}

func (l *link) url() string { return "redis://" + l.proxy.Listen + "/0" }

// toxic makes the link behave badly in one direction: "upstream" to Redis,
// "downstream" from it. It returns what mends it.
func (l *link) toxic(kind, stream string, attributes map[string]any) (mend func()) {
	l.tb.Helper()
	name := kind + " " + stream
	text, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": stream, "attributes": attributes})
	if err != nil {
		l.tb.Fatal(err)
	}
	if _, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		l.tb.Fatalf("toxic %s: %v", text, err)
	}
	return func() {
		if err := l.proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
			l.tb.Fatalf("toxic %s: %v", text, err)
		}
	}
}
