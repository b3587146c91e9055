package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

const (
	messages = 10_000
	inFlight = 1024
)

// publisher is the redis-py program that sends the mixed messages.
func publisher(t *testing.T, url, where string, n int) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), redistest.Python(t), "testdata/e2e/publish.py", where, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), "REDIS_URL="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

func send(t *testing.T, cmd *exec.Cmd) map[string]int {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("publish.py: %v", err)
	}
	var sent map[string]int
	if err := json.Unmarshal(out, &sent); err != nil {
		t.Fatal(err)
	}
	return sent
}

// settled reports whether the group has read and finished the whole stream.
func settled(t *testing.T, client *redis.Client) bool {
	t.Helper()
	groups, err := client.XInfoGroups(context.Background(), "e2e:orders").Result()
	if err != nil || len(groups) != 1 {
		t.Fatalf("groups: %v %v", groups, err)
	}
	return groups[0].Pending == 0 && groups[0].Lag == 0
}

func TestMixedMessagesAreCountedExactly(t *testing.T) {
	server := redistest.Start(t)
	r := startRouter(t, server.URL(), "run", "-c", "testdata/e2e/routes.toml")
	r.awaitReady()

	sent := send(t, publisher(t, server.URL(), "both", messages))
	if sent["malformed"] != messages/100 {
		t.Fatalf("publish.py sent %v", sent)
	}
	eventually(t, "the stream is handled", func() bool { return settled(t, server.Client()) })
	summary := r.stop()

	want := map[string]int{
		"feed/alpha":   sent["alpha"] + sent["both"],
		"feed/beta":    sent["beta"] + sent["both"],
		"feed/gamma":   sent["order.new"],
		"orders/alpha": sent["alpha"] + sent["both"],
		"orders/beta":  sent["beta"] + sent["both"],
		"orders/gamma": sent["order.new"],
		"orders/delta": sent["alpha"] + sent["beta"] + sent["both"] + sent["order.new"],
	}
	total := 0
	counts := handled(r)
	for at, n := range want {
		total += n
		if len(counts[at]) != n {
			t.Errorf("%s handled %d different events, want %d", at, len(counts[at]), n)
		}
		for id, times := range counts[at] {
			if times != 1 {
				t.Errorf("%s handled %s %d times", at, id, times)
			}
		}
	}
	wantSummary := line{
		Msg: "stopped", Received: 2 * messages, Handled: total, Rejected: 2 * sent["malformed"],
		Unmatched: 2 * sent["ignored"],
	}
	if summary != wantSummary {
		t.Errorf("summary\n got %+v\nwant %+v", summary, wantSummary)
	}
}

func TestKilledRouterIsTakenOver(t *testing.T) {
	server := redistest.Start(t)
	first := startRouter(t, server.URL(), "run", "-c", "testdata/e2e/routes.toml")
	first.awaitReady()
	second := startRouter(t, server.URL(), "run", "-c", "testdata/e2e/routes.toml")
	second.awaitReady()

	feed := publisher(t, server.URL(), "stream", messages)
	killed := make(chan time.Time, 1)
	go func() {
		// In the middle of it: the first router has work in its hands.
		for len(handled(first)["orders/delta"]) < messages/10 {
			time.Sleep(time.Millisecond)
		}
		_ = first.cmd.Process.Kill()
		killed <- time.Now()
	}()
	sent := send(t, feed)
	at := <-killed
	eventually(t, "the stream is handled", func() bool { return settled(t, server.Client()) })
	if took := time.Since(at); took > 10*time.Second {
		t.Errorf("taken over after %v, want at most 10 s", took)
	}
	second.stop()

	counts := handled(first, second)
	for at, n := range map[string]int{
		"orders/alpha": sent["alpha"] + sent["both"],
		"orders/beta":  sent["beta"] + sent["both"],
		"orders/gamma": sent["order.new"],
		"orders/delta": sent["alpha"] + sent["beta"] + sent["both"] + sent["order.new"],
	} {
		if len(counts[at]) != n {
			t.Errorf("%s handled %d different events, want %d", at, len(counts[at]), n)
		}
		again := 0
		for _, times := range counts[at] {
			again += times - 1
		}
		if again > inFlight {
			t.Errorf("%s handled %d events again, more than were in flight", at, again)
		}
	}
	if len(handled(first)["orders/delta"]) == len(counts["orders/delta"]) {
		t.Error("the first router had handled everything before it was killed: nothing was shown")
	}
}
