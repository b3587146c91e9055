package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/pgtest"
	"signalbox/internal/redistest"
)

const (
	storyTicks    = 50_000
	storyCommands = 100
	storySlice    = 100 // ticks that are published together, and with each fifth slice a command
)

// TestStory is what the trader does: one feed, a service that saves everything, a bot in
// Python. The database and the bot are killed in the middle, and nothing is missing,
// nothing is there twice.
func TestStory(t *testing.T) {
	python := redistest.Python(t)
	server := redistest.Start(t)
	database := pgtest.Start(t)
	events := database.Create(t)
	client := server.Client()
	saver := startStory(t, server.URL(), "saver.toml", "DATABASE_URL="+events.DSN)
	bot := startStory(t, server.URL(), "bot.toml", "PYTHON="+python)
	saver.awaitReady()
	bot.awaitReady()

	fed := make(chan error, 1)
	go func() { fed <- feedStory(t.Context(), client) }()

	eventually(t, "some ticks are saved", func() bool { return savedOf(events, "price_data") > storyTicks/10 })
	database.Kill()
	eventually(t, "the bot has carried out some commands", func() bool { return client.LLen(t.Context(), "story:ledger").Val() > storyCommands/4 })
	killBot(t, client)
	if err := database.Run(); err != nil {
		t.Fatal(err)
	}
	if err := <-fed; err != nil {
		t.Fatal(err)
	}

	for channel, want := range map[string]int{"price_data": storyTicks, "trade_commands": storyCommands, "bot_status": storyCommands} {
		eventually(t, "all of "+channel+" is saved", func() bool { return savedOf(events, channel) >= want })
		ids := events.Text("SELECT count(DISTINCT id) FROM events WHERE channel = $1", channel)
		if n := savedOf(events, channel); n != want || ids != fmt.Sprint(want) {
			t.Errorf("%s: %d rows with %s ids, want %d of each", channel, n, ids, want)
		}
	}
	ledgerIsRight(t, client)
	latestIsRight(t, client)
	for _, p := range []*process{bot, saver} {
		if end := p.stop(); end.Failed != 0 || end.Lost != 0 || end.Rejected != 0 || end.Unmatched != 0 {
			t.Errorf("the summary of a service: %+v", end)
		}
	}
}

// startStory starts a service with the channels that all share.
func startStory(t *testing.T, url, routes string, env ...string) *process {
	t.Helper()
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	dir := filepath.Join("testdata", "story")
	return startRouter(t, url, "run", "-c", filepath.Join(dir, "channels.toml"), "-c", filepath.Join(dir, routes))
}

// storySymbol is the symbol of a tick.
func storySymbol(tick int) string { return fmt.Sprint("SYM", tick%7) }

// feedStory publishes ticks, ten thousand a second, and commands in between.
func feedStory(ctx context.Context, client *redis.Client) error {
	begin := time.Now().Add(-time.Minute)
	types := []string{"start", "enter", "exit", "stop"}
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for first := 0; first < storyTicks; first += storySlice {
		<-pace.C
		pipe := client.Pipeline()
		for i := first; i < first+storySlice; i++ {
			pipe.Publish(ctx, "price_data", fmt.Sprintf(`{"type":"tick","id":"t-%d","time":%q,"data":{"symbol":%q,"price":%d}}`,
				i, begin.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano), storySymbol(i), i))
		}
		if every := storyTicks / storyCommands; first%every == 0 {
			n := first / every
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "trade_commands", Values: []any{
				"id", commandID(n), "type", types[n%len(types)], "data", `{"bot":"momentum-1","symbol":"SYM1"}`,
			}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

func commandID(n int) string { return fmt.Sprintf("c-%03d", n) }

// savedOf is how many rows a channel has; 0 while the database is away.
func savedOf(db *pgtest.DB, channel string) int {
	n, err := strconv.Atoi(db.Try("SELECT count(*) FROM events WHERE channel = $1", channel))
	if err != nil {
		return 0
	}
	return n
}

// killBot kills the bot's Python process, and waits for the one that takes its place.
func killBot(t *testing.T, client *redis.Client) {
	t.Helper()
	pid, err := client.Get(t.Context(), "story:pid").Int()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process is the bot", func() bool {
		now, err := client.Get(t.Context(), "story:pid").Int()
		return err == nil && now != pid
	})
}

// ledgerIsRight checks that each command was carried out once, in order.
func ledgerIsRight(t *testing.T, client *redis.Client) {
	t.Helper()
	var want []string
	for n := range storyCommands {
		want = append(want, commandID(n))
	}
	if got := client.LRange(t.Context(), "story:ledger", 0, -1).Val(); !slices.Equal(got, want) {
		t.Errorf("the bot carried out %q\nwant %q", got, want)
	}
}

// latestIsRight checks that the last tick of each symbol is kept.
func latestIsRight(t *testing.T, client *redis.Client) {
	t.Helper()
	last := map[string]string{}
	for i := range storyTicks {
		last[storySymbol(i)] = fmt.Sprintf(`"price":%d}`, i)
	}
	kept := client.HGetAll(t.Context(), "signalbox:latest:price_data").Val()
	if len(kept) != len(last) {
		t.Errorf("%d symbols are kept, want %d", len(kept), len(last))
	}
	for symbol, want := range last {
		if !strings.Contains(kept[symbol], want) {
			t.Errorf("of %s is kept %s, want the tick with %s", symbol, kept[symbol], want)
		}
	}
}
