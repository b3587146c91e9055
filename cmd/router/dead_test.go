package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// The example of docs/configuration.md keeps what it says, where it says.
func TestDocumentedDeadLetters(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Dead letters\n")
	_, example, found2 := strings.Cut(section, "```toml\n")
	example, _, found3 := strings.Cut(example, "```\n")
	if !found || !found2 || !found3 {
		t.Fatal("docs/configuration.md has no example of dead letters")
	}
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, []byte(example+"[log]\nformat = \"json\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	client := server.Client()
	r := startRouter(t, server.URL(), "run", "-c", file, "--redis", server.URL())
	r.awaitReady()
	client.Publish(t.Context(), "price_data", `{"type":"tick","data":{"price":"x"}}`)
	client.Publish(t.Context(), "price_data", `no JSON`)
	client.XAdd(t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: []any{"type", "stop"}})
	eventually(t, "both are kept", func() bool {
		return client.XLen(t.Context(), "trouble").Val() == 1 && client.XLen(t.Context(), "trade_commands.dead").Val() == 1
	})
	r.stop()
	for stream, want := range map[string]string{"trouble": "malformed", "trade_commands.dead": "unmatched"} {
		entries, err := client.XRange(t.Context(), stream, "-", "+").Result()
		if err != nil || len(entries) != 1 || entries[0].Values["reason"] != want {
			t.Errorf("%s holds %v, %v; want one that is %s", stream, entries, err, want)
		}
	}
	if n := client.Exists(t.Context(), "price_data.dead").Val(); n != 0 {
		t.Error("the price that is no number is kept")
	}
}
