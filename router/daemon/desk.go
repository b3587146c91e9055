package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// runDesk plays who else is in the demo's world, beside the source of quotes: a desk that
// sends commands, and one client that sends nonsense. It talks to Redis as any other
// program would.
func runDesk(ctx context.Context, url string) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return
	}
	opts.DisableIdentity = true
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	beat := time.NewTicker(250 * time.Millisecond)
	defer beat.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		playScene(ctx, client, n)
	}
}

// playScene is what happens in rounds of 64 beats (16 seconds).
func playScene(ctx context.Context, client *redis.Client, beat int) {
	round := (beat-1)/64*5 + 1 // of the ids: c-1 to c-5, c-6 to c-10, …
	command := func(id int, typ, data string, at time.Time) {
		client.XAdd(ctx, &redis.XAddArgs{
			Stream: "trade_commands", MaxLen: 1000, Approx: true,
			Values: []any{"id", fmt.Sprintf("c-%d", id), "type", typ, "time", at.Format(time.RFC3339Nano), "data", data},
		})
	}
	now := time.Now()
	switch (beat - 1) % 64 {
	case 2:
		command(round, "start", `{"bot":"momentum-1"}`, now)
	case 7:
		command(round+1, "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02"}`, now)
	case 11: // the desk presses the button again
		command(round+1, "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02"}`, now)
	case 15:
		client.Publish(ctx, "price_data", "hello")
	case 19:
		command(round+2, "enter", `{"bot":"momentum-1","symbol":"ETHUSDT","side":"long","size":"1"}`, now) // of two enters, the paper bot fails the second
	case 27:
		command(round+3, "enter", `{"bot":"momentum-1","symbol":"BTCUSDT","side":"short","size":"0.5"}`, now.Add(-9*time.Second))
	case 31:
		command(round+4, "exit", `{"bot":"momentum-1","symbol":"BTCUSDT"}`, now)
	}
}
