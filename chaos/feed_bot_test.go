//go:build failpoints

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/gjson"
)

// feedBotEnv makes the test binary a bot that hears a source's channel; the address of Redis.
const feedBotEnv = "CHAOS_FEED_BOT"

// sightings is what a bot saw, as it prints it in the end.
type sightings struct {
	Seen        map[string]int `json:"seen"` // events by "epoch/key"
	Connections int            `json:"connections"`
	Gaps        int            `json:"gaps"`
	Wrong       []string       `json:"wrong"` // the first few
	Wrongs      int            `json:"wrongs"`

	seqs      map[string]uint64
	epoch     int64
	connected bool
}

// feedBot is the counterpart in Go of testdata/feed_bot.py.
func feedBot(addr string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	subscription := client.Subscribe(ctx, feedTopic)
	if _, err := subscription.Receive(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	context.AfterFunc(ctx, func() { _ = subscription.Close() })
	fmt.Println("ready")
	s := sightings{Seen: map[string]int{}, seqs: map[string]uint64{}}
	for ctx.Err() == nil {
		message, err := subscription.ReceiveMessage(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, redis.ErrClosed) {
				s.complain("cut off: %v", err)
			}
			continue
		}
		s.hear(message.Payload)
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return 1
	}
	return 0
}

func (s *sightings) complain(format string, args ...any) {
	if s.Wrongs++; s.Wrongs <= 10 {
		s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...))
	}
}

func (s *sightings) hear(payload string) {
	event := gjson.GetMany(payload, "type", "epoch", "seq", "data.S")
	epoch, seq, key := event[1].Int(), event[2].Uint(), event[3].String()
	switch {
	case epoch < s.epoch:
		s.complain("epoch %d after %d", epoch, s.epoch)
	case epoch > s.epoch:
		s.epoch, s.connected = epoch, false
	}
	switch event[0].String() {
	case "signalbox.connected":
		s.Connections++
		s.connected = true
	case "signalbox.disconnected":
		s.connected = false
	case "signalbox.gap":
		s.Gaps++
	default:
		if !s.connected {
			s.complain("a tick of epoch %d, and nobody said that it is connected", epoch)
			s.connected = true
		}
	}
	of := fmt.Sprintf("%d/%s", epoch, key)
	if last := s.seqs[of]; seq != last+1 {
		s.complain("seq %d of %q after %d in epoch %d", seq, key, last, epoch)
	}
	s.seqs[of] = seq
	s.Seen[of]++
}
