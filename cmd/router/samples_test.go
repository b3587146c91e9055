package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// sample returns the lines of a file in testdata/samples, as feeds would send them.
func sample(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestSamplesAreRouted(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	r := startRouter(t, server.URL(), "run", "-c", "testdata/samples/routes.toml")
	r.awaitReady()

	sent := 0
	for _, feed := range []string{"binance_stream", "binance_book_ticker", "coinbase_ticker", "bot_status"} {
		for _, message := range sample(t, feed+".jsonl") {
			client.Publish(t.Context(), feed, message)
			sent++
		}
	}
	for _, message := range sample(t, "malformed.txt") {
		client.Publish(t.Context(), "malformed", message)
		sent++
	}
	for _, message := range sample(t, "trade_commands.jsonl") {
		client.XAdd(t.Context(), &redis.XAddArgs{Stream: "trade_commands", Values: []any{"payload", message}})
		sent++
	}
	client.Publish(t.Context(), "bot_status", `{"type":"last","id":"last"}`)
	r.await("the last event", func(l line) bool { return l.ID == "last" })
	eventually(t, "the commands are handled", func() bool { return len(handled(r)["trade_commands/all"]) == 12 })
	summary := r.stop()

	counts := handled(r)
	for at, want := range map[string]int{
		"binance_stream/trades":      40,
		"binance_book_ticker/quotes": 10,
		"coinbase_ticker/quotes":     20,
		"trade_commands/enter":       3,
		"trade_commands/all":         12,
		"bot_status/all":             4 + 1,
		"malformed/all":              0,
	} {
		if len(counts[at]) != want {
			t.Errorf("%s handled %d events, want %d", at, len(counts[at]), want)
		}
	}
	want := line{Msg: "stopped", Received: sent + 1, Handled: 40 + 10 + 20 + 3 + 12 + 5 + 5, Unmatched: 8, Rejected: 12}
	if summary != want {
		t.Errorf("summary\n got %+v\nwant %+v", summary, want)
	}
	checkFields(t, r)
}

// checkFields looks at what was made of a trade, and at why lines were rejected.
func checkFields(t *testing.T, r *process) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	trade := `"channel":"binance_stream","type":"trade","id":"4105227731","key":"BTCUSDT","event_time":"2026-11-21T23:`
	if !strings.Contains(string(text), trade) {
		t.Errorf("no line with %s", trade)
	}
	var causes []string
	for _, l := range r.lines() {
		if l.Msg == "message rejected" && !slices.Contains(causes, l.Cause) {
			causes = append(causes, l.Cause)
		}
	}
	slices.Sort(causes)
	if want := []string{"bad_type", "field_twice", "nan", "no_type", "not_json", "not_object"}; !slices.Equal(causes, want) {
		t.Errorf("rejected for %q, want %q", causes, want)
	}
}
