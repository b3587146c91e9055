package transport

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func spend(t *testing.T, n node, connects int, per time.Duration) time.Duration {
	t.Helper()
	wait, err := n.SpendConnect(t.Context(), "feed", connects, per)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// A budget is shared by all processes, and comes back as its connects become old.
func TestConnectBudget(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		const per = time.Second
		a, b := open(t, url), open(t, url)
		for i := range 3 {
			if wait := spend(t, []node{a, b}[i%2], 3, per); wait != 0 {
				t.Fatalf("connect %d has to wait %v", i, wait)
			}
		}
		wait := spend(t, a, 3, per)
		if again := spend(t, b, 3, per); wait <= 0 || wait > per || again <= 0 || again > wait {
			t.Fatalf("a fourth waits %v, then %v", wait, again)
		}
		time.Sleep(wait)
		if wait := spend(t, a, 3, per); wait != 0 {
			t.Errorf("after the time it was told it has to wait %v", wait)
		}
		if wait, err := a.SpendConnect(t.Context(), "other", 1, per); wait != 0 || err != nil {
			t.Errorf("another source: %v, %v", wait, err)
		}
	})
}

// The numbers may change from one call to the next, as they do when a file is edited.
func TestConnectBudgetChanges(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		for range 5 {
			spend(t, n, 5, time.Hour)
		}
		for _, tt := range []struct {
			connects int
			per      time.Duration
			free     bool
		}{
			{5, time.Hour, false},
			{2, time.Hour, false},
			{2, 50 * time.Millisecond, true},
			{7, time.Hour, true},
			{7, time.Hour, false},
			{100, time.Hour, true},
			{7, 24 * time.Hour, false},
		} {
			time.Sleep(60 * time.Millisecond)
			if wait := spend(t, n, tt.connects, tt.per); (wait == 0) != tt.free || wait > tt.per {
				t.Errorf("%d in %v: wait %v, want free: %v", tt.connects, tt.per, wait, tt.free)
			}
		}
		if ttl := n.Client().PTTL(t.Context(), connectsPrefix+"feed").Val(); ttl < 50*time.Minute {
			t.Errorf("a short period makes the list end in %v", ttl)
		}
	})
}

// Connects that lie in the future were made before the clock of Redis was set back. They
// bar nobody for longer than the period.
func TestConnectBudgetAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		const per = 400 * time.Millisecond
		n := open(t, url)
		future := time.Now().Add(24 * time.Hour).UnixMilli()
		for i := range 3 {
			n.Client().LPush(t.Context(), connectsPrefix+"feed", strconv.FormatInt(future+int64(i), 10))
		}
		begin := time.Now()
		eventually(t, "one may connect", func() bool {
			wait := spend(t, n, 3, per)
			if wait > per {
				t.Fatalf("wait %v, want %v at most", wait, per)
			}
			return wait == 0
		})
		if waited := time.Since(begin); waited > per+per {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestConnectBudgetRefuses(t *testing.T) {
	t.Parallel()
	n := open(t, "redis://127.0.0.1:1")
	for _, tt := range []struct {
		connects int
		per      time.Duration
		want     string
	}{
		{0, time.Hour, `connect budget of source "feed": 0 in 1h0m0s; want at least 1 in at least 1ms`},
		{-1, time.Hour, `connect budget of source "feed": -1 in 1h0m0s; want at least 1 in at least 1ms`},
		{1, 0, `connect budget of source "feed": 1 in 0s; want at least 1 in at least 1ms`},
		{1, time.Hour, `connect budget of source "feed": dial tcp 127.0.0.1:1: connect: connection refused`},
	} {
		if _, err := n.SpendConnect(t.Context(), "feed", tt.connects, tt.per); err == nil || err.Error() != tt.want {
			t.Errorf("%d in %v: %v, want %s", tt.connects, tt.per, err, tt.want)
		}
	}
}

// What stands there and is no list is told, and nothing is overwritten.
func TestConnectBudgetOfAnotherType(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		n.Client().Set(t.Context(), connectsPrefix+"feed", "x", 0)
		if _, err := n.SpendConnect(t.Context(), "feed", 1, time.Hour); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Errorf("error %v", err)
		}
	})
}
