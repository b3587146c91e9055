package brokertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The codes that a [Broker] closes connections with.
const (
	RuleCode    websocket.StatusCode = 4400 // a rule was broken: no login or subscription in time, for example
	LoginCode   websocket.StatusCode = 4402 // the login was wrong
	RefusedCode websocket.StatusCode = 4406 // another session is there, see [Refuse]
	EvictedCode websocket.StatusCode = 4410 // another session began, see [Evict]
)

// Options are what a [Broker] asks of its clients, and the faults that it has.
type Options struct {
	Second Second // what becomes of a second session
	// RefuseStatus refuses it with this HTTP status, and RetryAfter as its header, before it could log in; 0:
	// after its login, by a message and [RefusedCode].
	RefuseStatus int
	RetryAfter   string

	Key    string        // the login must have it; empty: none is asked for, and a session begins with the connection
	Within time.Duration // for the login, and then for the subscription; 0: 10 s

	Symbols   int  // how many there are: S0, S1, …; 0: 1
	Rate      int  // ticks a second, of all symbols together; 0: none
	Batch     int  // messages are arrays of at most so many ticks; 0: each tick is a message
	PerSymbol bool // Seq counts the ticks of a symbol, whether somebody listens or not; else those of a session

	Ping       time.Duration // how often the client is asked whether it is there; 0: never
	PingWithin time.Duration // how long it may take to answer, or it is forgotten; 0: as long as Ping
	Life       time.Duration // each session is closed after so long, as a server is that restarts (1012); 0: never

	Mute        bool // it sends no ticks, and answers all else
	Deaf        bool // it answers no ping
	SkipEvery   int  // each n-th tick of a session is not sent
	RepeatEvery int  // each n-th tick of a session is sent twice
}

// Tick is a message with data.
type Tick struct {
	Type  string    `json:"T"` // "t"
	Sym   string    `json:"S"`
	ID    int64     `json:"i"` // the number of the tick since the broker began; ticks that nobody was there for have one, too
	Price float64   `json:"p"`
	Time  time.Time `json:"t"`
	Seq   int64     `json:"q"` // see Options.PerSymbol; from 1
}

// Broker is a broker with a small protocol:
//
//	<- {"T":"success","msg":"connected"}
//	-> {"action":"auth","key":KEY}
//	<- {"T":"success","msg":"authenticated"}
//	-> {"action":"subscribe","symbols":["S0"]}      or ["*"]
//	<- {"T":"subscription","symbols":["S0"]}        then ticks
//	-> {"action":"ping"}
//	<- {"T":"pong"}
//	<- {"T":"error","code":406,"msg":"connection limit exceeded"}
//
// A client that is frozen or cut off is forgotten Ping + PingWithin later, at the latest.
type Broker struct {
	Server

	mu      sync.Mutex
	options Options
	began   time.Time // of the present rate
	first   int64     // the number of its first tick
}

// Start runs a broker until the test ends.
func Start(tb testing.TB, options Options) *Broker {
	tb.Helper()
	b := &Broker{options: options, began: time.Now()}
	b.refuses = func(*http.Request) (int, string) {
		o := b.now()
		if o.Second == Refuse && o.RefuseStatus != 0 && b.busy() {
			return o.RefuseStatus, o.RetryAfter
		}
		return 0, ""
	}
	b.accepting = func(*talk) websocket.AcceptOptions {
		return websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool { return !b.now().Deaf }}
	}
	b.serve = b.talk
	b.start(tb, false)
	return b
}

// Change changes the options of a broker that runs. What a session has begun with stays:
// its login, pings and life.
func (b *Broker) Change(change func(*Options)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := b.options.Rate
	change(&b.options)
	if now := time.Now(); b.options.Rate != rate {
		b.first += int64(now.Sub(b.began).Seconds() * float64(rate))
		b.began = now
	}
}

func (b *Broker) now() Options {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.options
	o.Symbols = max(o.Symbols, 1)
	if o.Within == 0 {
		o.Within = 10 * time.Second
	}
	if o.PingWithin == 0 {
		o.PingWithin = o.Ping
	}
	return o
}

// note is a message of the broker that has no data.
type note struct {
	Type    string   `json:"T"`
	Code    int      `json:"code,omitempty"`
	Message string   `json:"msg,omitempty"`
	Symbols []string `json:"symbols,omitempty"`
}

// request is a message of a client.
type request struct {
	Action  string   `json:"action"`
	Key     string   `json:"key"`
	Symbols []string `json:"symbols"`
}

// talk is one connection.
func (b *Broker) talk(ctx context.Context, t *talk) error {
	o := b.now()
	if o.Ping > 0 {
		t.wait.Go(func() { t.pings(ctx, o.Ping, o.PingWithin) })
	}
	if o.Key == "" {
		if err := b.admit(ctx, t, o); err != nil {
			return err
		}
	}
	if err := t.send(ctx, note{Type: "success", Message: "connected"}); err != nil {
		return err
	}
	if o.Key != "" {
		if err := b.login(ctx, t, o); err != nil {
			return err
		}
	}
	var life <-chan time.Time
	if o.Life > 0 {
		timer := time.NewTimer(o.Life)
		defer timer.Stop()
		life = timer.C
	}
	symbols, err := b.subscription(ctx, t, o, life)
	if err != nil {
		return err
	}
	return b.feed(ctx, t, symbols, life)
}

// admit begins the session.
func (b *Broker) admit(ctx context.Context, t *talk, o Options) error {
	if b.accept(t, o.Second) {
		return nil
	}
	return b.fail(ctx, t, 406, "connection limit exceeded", RefusedCode)
}

// fail ends the connection with an error message.
func (b *Broker) fail(ctx context.Context, t *talk, code int, text string, closes websocket.StatusCode) error {
	b.end(t, text)
	if err := t.send(ctx, note{Type: "error", Code: code, Message: text}); err != nil {
		return err
	}
	return goodbye{closes, text}
}

func (b *Broker) login(ctx context.Context, t *talk, o Options) error {
	message, err := t.receive(ctx, o.Within, goodbye{RuleCode, "no login in time"})
	if err != nil {
		return err
	}
	var r request
	if json.Unmarshal(message, &r) != nil || r.Action != "auth" || r.Key != o.Key {
		return b.fail(ctx, t, 402, "auth failed", LoginCode)
	}
	if err := b.admit(ctx, t, o); err != nil {
		return err
	}
	return t.send(ctx, note{Type: "success", Message: "authenticated"})
}

// subscription waits for what the client asks for first.
func (b *Broker) subscription(ctx context.Context, t *talk, o Options, life <-chan time.Time) ([]string, error) {
	late := time.NewTimer(o.Within)
	defer late.Stop()
	for {
		select {
		case message, ok := <-t.in:
			if !ok {
				return nil, errLost
			}
			symbols, err := b.request(ctx, t, message, nil)
			if err != nil || len(symbols) > 0 {
				return symbols, err
			}
		case bye := <-t.gone:
			return nil, bye
		case <-late.C:
			return nil, goodbye{RuleCode, "no subscription in time"}
		case <-life:
			return nil, goodbye{websocket.StatusServiceRestart, "restart"}
		case <-ctx.Done():
			return nil, errLost
		}
	}
}

// request answers a message of the client, and returns what it is subscribed to from then on.
func (b *Broker) request(ctx context.Context, t *talk, message []byte, symbols []string) ([]string, error) {
	var r request
	err := json.Unmarshal(message, &r)
	switch {
	case err == nil && r.Action == "ping":
		return symbols, t.send(ctx, note{Type: "pong"})
	case err == nil && r.Action == "subscribe" && len(r.Symbols) > 0:
		for _, symbol := range r.Symbols {
			if symbol != "*" && b.number(symbol) < 0 {
				return symbols, t.send(ctx, note{Type: "error", Code: 405, Message: fmt.Sprintf("unknown symbol %q", symbol)})
			}
		}
		symbols = slices.Concat(symbols, r.Symbols)
		return symbols, t.send(ctx, note{Type: "subscription", Symbols: symbols})
	default:
		return symbols, t.send(ctx, note{Type: "error", Code: 400, Message: "invalid syntax"})
	}
}

// number is that of a symbol; -1: there is no such one.
func (b *Broker) number(symbol string) int {
	n, err := strconv.Atoi(symbol[min(1, len(symbol)):])
	if err != nil || symbol != symbolOf(n) || n >= b.now().Symbols {
		return -1
	}
	return n
}

func symbolOf(n int) string { return "S" + strconv.Itoa(n) }
