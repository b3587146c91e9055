package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/pgtest"
	"signalbox/internal/redistest"
)

// Faults 10, 20 and 28: PostgreSQL isn't there when the router starts, is killed under
// load, and shut down under load. Each event that the stream acknowledges is in the table
// exactly once, meanwhile no more is taken than may be in flight, and nothing is given up.
func TestDatabaseComesAndGoes(t *testing.T) {
	const events = 20_000
	redisServer, db := redistest.Start(t), pgtest.Absent(t)
	t.Setenv("DATABASE_URL", db.DSN(""))
	r := startRouter(t, redisServer.URL(), "run", "-c", "testdata/sql/routes.toml")
	r.awaitReady()
	r.await("the database is away", func(l line) bool {
		return strings.Contains(l.Msg, "the database cannot be used yet")
	})

	var added atomic.Int64
	fed := make(chan error, 1)
	go func() { fed <- feed(t.Context(), redisServer.Client(), events, &added) }()
	eventually(t, "the first events wait", func() bool { return added.Load() > 2*inFlight })
	waiting(t, redisServer.Client())
	run := func() *pgtest.DB {
		t.Helper()
		if err := db.Run(); err != nil {
			t.Fatal(err)
		}
		return db.Open(t)
	}
	table := run()
	for _, end := range []func(){db.Kill, db.Stop, db.Kill} {
		before := saved(t, table)
		eventually(t, "events are saved", func() bool { return saved(t, table) > before+500 })
		end()
		time.Sleep(time.Second) // so long is it away
		waiting(t, redisServer.Client())
		table = run()
	}
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is acknowledged", func() bool {
		groups, err := redisServer.Client().XInfoGroups(t.Context(), "sql:trades").Result()
		return err == nil && len(groups) == 1 && groups[0].Pending == 0 && groups[0].Lag == 0
	})
	summary := r.stop()
	if summary.Handled < events || summary.Failed != 0 || summary.Rejected != 0 {
		t.Errorf("summary %+v", summary)
	}
	if got, want := table.Text("SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || sum((data->>'n')::int) FROM events"), fmt.Sprint(events, " ", events, " ", events*(events-1)/2); got != want {
		t.Errorf("the table has %s, want %s", got, want)
	}
	if n := redisServer.Client().Exists(t.Context(), "sql:trades.dead").Val(); n != 0 {
		t.Error("healthy events were dead-lettered")
	}
	if log := r.tail(1 << 20); strings.Contains(log, pgtest.Password) || strings.Count(log, "\n") > 5000 {
		t.Errorf("the log has %d lines, or the password", strings.Count(log, "\n"))
	}
}

// saved is how many events are in the table, if there is one.
func saved(t *testing.T, table *pgtest.DB) (n int) {
	t.Helper()
	if table.Text("SELECT to_regclass('events')") == "NULL" {
		return 0
	}
	if _, err := fmt.Sscan(table.Text("SELECT count(*) FROM events"), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// feed adds events, some at a time.
func feed(ctx context.Context, to *redis.Client, events int, added *atomic.Int64) error {
	const slice = 100
	for n := 0; n < events; n += slice {
		pipe := to.Pipeline()
		for i := n; i < n+slice; i++ {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "sql:trades", Values: []any{"payload", fmt.Sprintf(`{"id":"t-%d","type":"trade","data":{"n":%d,"text":"ü€😀"}}`, i, i)}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		added.Add(slice)
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// waiting checks that what the router has in hand is no more than it may have.
func waiting(t *testing.T, client *redis.Client) {
	t.Helper()
	groups, err := client.XInfoGroups(t.Context(), "sql:trades").Result()
	if err != nil || len(groups) != 1 {
		t.Fatalf("groups %v %v", groups, err)
	}
	if groups[0].Pending == 0 || groups[0].Pending > inFlight {
		t.Errorf("%d events are in hand, want 1 to %d", groups[0].Pending, inFlight)
	}
}
