package transport

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// What Redis refuses to acknowledge must not pile up without end, and is acknowledged
// when Redis allows it again.
func TestRefusedAcknowledgementsStopTheReader(t *testing.T) {
	t.Parallel()
	const entries = 3 * behindMost
	server := redistest.Start(t)
	admin := server.Client()
	pipe := admin.Pipeline()
	for range entries {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "s", Values: []any{"payload", "{}"}})
	}
	pipe.Do(t.Context(), "ACL", "SETUSER", "bot", "on", ">secret", "~*", "&*", "+@all", "-xack")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := open(t, "redis://bot:secret@"+server.Addr())
	messages := subscribe(t, n, n.Stream(StreamConfig{Group: "bot", MaxBatch: 256}), "s")
	handled := make(chan int)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for total := 0; ; {
			select {
			case msg := <-messages:
				items := batch.FromContext(msg.Context()).Take()
				for _, item := range items {
					item.Owner.Done(item)
				}
				msg.Ack()
				total += len(items)
			case handled <- total:
			case <-ctx.Done():
				return
			}
		}
	}()
	g := n.group("s", "bot")
	eventually(t, "the reader to notice", g.behind)
	quiet := -1
	eventually(t, "the reader to stop", func() bool {
		before := quiet
		quiet = <-handled
		time.Sleep(2 * behindPause)
		return quiet == before
	})
	if quiet >= entries {
		t.Errorf("%d of %d entries were read although none could be acknowledged", quiet, entries)
	}
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "bot", "+xack").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all entries", func() bool { return <-handled == entries && pendingOf(t, n, "s") == 0 })
}
