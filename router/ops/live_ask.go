package ops

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"signalbox/router"
)

// What is asked of Redis while somebody watches, and how long an answer counts.
const (
	readyEvery   = time.Second
	streamsEvery = 3 * time.Second
	askTimeout   = 3 * time.Second
	staleAfter   = 15 * time.Second
)

// asked is what was answered last.
type asked struct {
	mu       sync.Mutex
	answered bool // whether it is ready
	reasons  []Reason
	channels map[string]streamCount
}

// streamCount is how far the groups of a channel are; nil: unknown.
type streamCount struct {
	dead, lag, pending *int64
	at                 time.Time
}

// ready is what the program was, and otherwise before it was asked.
func (a *asked) ready(otherwise bool) (bool, []Reason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.answered {
		return otherwise, nil
	}
	return len(a.reasons) == 0, a.reasons
}

// forget makes the next who watches not be told what was long ago.
func (a *asked) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered, a.reasons = false, nil
}

// streams are the answers that still count, by channel.
func (a *asked) streams(now time.Time) map[string]streamCount {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh := make(map[string]streamCount, len(a.channels))
	for name, s := range a.channels {
		if now.Sub(s.at) > staleAfter {
			delete(a.channels, name)
			continue
		}
		fresh[name] = s
	}
	return fresh
}

func (a *asked) learn(channels map[string]streamCount) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.channels == nil {
		a.channels = map[string]streamCount{}
	}
	maps.Copy(a.channels, channels)
}

// askReady asks whether the program is ready, until ctx ends.
func (l *live) askReady(ctx context.Context) {
	repeat(ctx, readyEvery, func(ctx context.Context) {
		reasons := l.program.Ready(ctx)
		if errors.Is(ctx.Err(), context.Canceled) {
			return // nobody watches any more, and that is no reason
		}
		l.asked.mu.Lock()
		defer l.asked.mu.Unlock()
		l.asked.answered, l.asked.reasons = true, redacted(reasons)
	})
}

// askStreams asks how far the streams are, and how many dead letters there are, until ctx
// ends. What cannot be told now keeps its last answer for a while.
func (l *live) askStreams(ctx context.Context) {
	repeat(ctx, streamsEvery, func(ctx context.Context) {
		streams, _ := l.program.Streams(ctx) // what is left out stays unknown
		channels := streamCounts(streams)
		cfg := l.program.Running().Config
		for _, ch := range cfg.Channels {
			if ch.Transport != router.PubSub || len(cfg.DeadLetters(ch.Name)) == 0 {
				continue
			}
			if _, total, err := l.program.Dead(ctx, ch.Name, 0); err == nil {
				dead := int64(total)
				channels[ch.Name] = streamCount{dead: &dead, at: time.Now()}
			}
		}
		l.asked.learn(channels)
	})
}

// repeat asks now and then, until ctx ends.
func repeat(ctx context.Context, every time.Duration, ask func(context.Context)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		ask(asking)
		cancel()
		timer.Reset(every)
	}
}

// streamCounts adds up the groups of each channel.
func streamCounts(streams []Stream) map[string]streamCount {
	channels := map[string]streamCount{}
	for _, s := range streams {
		c, again := channels[s.Channel]
		if !again {
			c = streamCount{at: time.Now(), pending: new(int64)}
		}
		*c.pending += s.Pending
		if s.Lag >= 0 && (c.lag == nil || s.Lag > *c.lag) {
			c.lag = &s.Lag
		}
		if s.Dead >= 0 {
			c.dead = &s.Dead
		}
		channels[s.Channel] = c
	}
	return channels
}
