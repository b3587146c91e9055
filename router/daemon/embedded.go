package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedPort is where the embedded Redis listens, if the port is free.
const embeddedPort = "6380"

// embeddedRedis is a Redis in the process, for the demo and for development: on loopback
// only, for any client, and gone with the process. It is miniredis: Pub/Sub and
// streams work, persistence and access control do not exist, and one stalled
// subscriber stalls everybody.
type embeddedRedis struct {
	server *miniredis.Miniredis
	stop   context.CancelFunc
	ticker sync.WaitGroup
}

// startEmbedded starts the embedded Redis on port 6380, or on a free one.
func startEmbedded() (*embeddedRedis, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(net.JoinHostPort("127.0.0.1", embeddedPort)); err != nil {
		server = miniredis.NewMiniRedis()
		if err2 := server.StartAddr("127.0.0.1:0"); err2 != nil {
			return nil, fmt.Errorf("start the embedded Redis: %w", errors.Join(err, err2))
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &embeddedRedis{server: server, stop: stop}
	e.ticker.Go(func() { e.age(ctx) })
	return e, nil
}

// age lets keys expire: miniredis only does when it is told that time passes.
func (e *embeddedRedis) age(ctx context.Context) {
	const step = 100 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.server.FastForward(step)
		case <-ctx.Done():
			return
		}
	}
}

// URL is what REDIS_URL has to be.
func (e *embeddedRedis) URL() string { return "redis://" + e.server.Addr() }

// Addr is where it listens, host:port.
func (e *embeddedRedis) Addr() string { return e.server.Addr() }

// Port is the port it listens on.
func (e *embeddedRedis) Port() string { return e.server.Port() }

// elsewhere says that the usual port was taken, if it was.
func (e *embeddedRedis) elsewhere() string {
	if e.Port() == embeddedPort {
		return ""
	}
	return " on port " + e.Port() + " (" + embeddedPort + " is taken)"
}

// Close stops it.
func (e *embeddedRedis) Close() {
	e.stop()
	e.ticker.Wait()
	e.server.Close()
}
