package brokertest

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Rules are the limits of a fake of a real broker. The zero value of each is what the broker's
// documentation says; a test that waits for a limit makes it shorter.
type Rules struct {
	Symbols []string      // what is traded; the default is enough for the shipped configuration
	Trades  time.Duration // between two trades that a client gets; 0: 5 ms

	Key, Secret string // the login, where one is asked for

	Login     time.Duration // how long a client may take to log in
	Subscribe time.Duration // how long it may take to subscribe
	Idle      time.Duration // how long it may say nothing
	Ping      time.Duration // how often it is pinged
	Pong      time.Duration // how long it may take to answer
	Heartbeat time.Duration // how often it gets a heartbeat
	Life      time.Duration // how long a connection lasts
	Notice    time.Duration // how long before its end it is announced

	Messages int // how many it may send a second
	Streams  int // how many it may be subscribed to
	Attempts int // how often it may connect in AttemptsIn

	AttemptsIn time.Duration
}

// or fills in what r leaves open.
func (r Rules) or(said Rules) Rules {
	if r.Symbols == nil {
		r.Symbols = said.Symbols
	}
	r.Trades = cmp.Or(r.Trades, 5*time.Millisecond)
	r.Key, r.Secret = cmp.Or(r.Key, said.Key), cmp.Or(r.Secret, said.Secret)
	for _, limit := range []struct{ own, said *time.Duration }{
		{&r.Login, &said.Login},
		{&r.Subscribe, &said.Subscribe},
		{&r.Idle, &said.Idle},
		{&r.Ping, &said.Ping},
		{&r.Pong, &said.Pong},
		{&r.Heartbeat, &said.Heartbeat},
		{&r.Life, &said.Life},
		{&r.Notice, &said.Notice},
	} {
		*limit.own = cmp.Or(*limit.own, *limit.said)
	}
	r.AttemptsIn = cmp.Or(r.AttemptsIn, said.AttemptsIn)
	r.Messages, r.Streams, r.Attempts = cmp.Or(r.Messages, said.Messages), cmp.Or(r.Streams, said.Streams), cmp.Or(r.Attempts, said.Attempts)
	return r
}

// Exchange is what the fakes of real brokers have in common. They are reached by wss://.
type Exchange struct {
	Server

	rules Rules

	mu   sync.Mutex
	ids  map[string]int64 // the number of the last trade of each symbol
	mute bool
	came []time.Time // the attempts to connect
}

// Mute has the broker send no trades, and answer all else; false ends that.
func (e *Exchange) Mute(mute bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mute = mute
}

// Skip leaves out n trades of a symbol, in their numbers.
func (e *Exchange) Skip(symbol string, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids[symbol] += int64(n)
}

// next is the number of a symbol's next trade; there is none while the broker is mute.
func (e *Exchange) next(symbol string) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mute {
		return 0, false
	}
	e.ids[symbol]++
	return e.ids[symbol], true
}

// last is the number of a symbol's last trade.
func (e *Exchange) last(symbol string) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ids[symbol]
}

// trades reports whether there is such a symbol.
func (e *Exchange) trades(symbol string) bool { return slices.Contains(e.rules.Symbols, symbol) }

// crowd refuses those who connect too often or ask for a path that is none of these.
func (e *Exchange) crowd(paths ...string) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		if !slices.Contains(paths, r.URL.Path) {
			return http.StatusNotFound, ""
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		now := time.Now()
		e.came = slices.DeleteFunc(e.came, func(at time.Time) bool { return now.Sub(at) > e.rules.AttemptsIn })
		if e.rules.Attempts > 0 && len(e.came) >= e.rules.Attempts {
			return http.StatusTooManyRequests, "60"
		}
		e.came = append(e.came, now)
		return 0, ""
	}
}
