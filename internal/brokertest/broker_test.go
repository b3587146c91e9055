package brokertest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// client is a client of a test.
type client struct {
	tb   testing.TB
	conn *websocket.Conn
}

func dial(tb testing.TB, url string) *client { return dialWith(tb, nil, url) }

// dialWith trusts what an HTTP client trusts.
func dialWith(tb testing.TB, by *http.Client, url string) *client {
	tb.Helper()
	conn, _, err := websocket.Dial(tb.Context(), url, &websocket.DialOptions{HTTPClient: by})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.CloseNow() })
	return &client{tb, conn}
}

func (c *client) say(message string) {
	c.tb.Helper()
	if err := c.conn.Write(c.tb.Context(), websocket.MessageText, []byte(message)); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *client) next() (string, error) {
	ctx, cancel := context.WithTimeout(c.tb.Context(), 5*time.Second)
	defer cancel()
	_, message, err := c.conn.Read(ctx)
	return string(message), err
}

// hear wants a message with a part.
func (c *client) hear(part string) {
	c.tb.Helper()
	if got, err := c.next(); err != nil || !strings.Contains(got, part) {
		c.tb.Fatalf("got %q, %v; want a message with %s", got, err, part)
	}
}

// ended wants the connection to be closed with a code next.
func (c *client) ended(code websocket.StatusCode) {
	c.tb.Helper()
	if got, err := c.next(); websocket.CloseStatus(err) != code {
		c.tb.Fatalf("got %q, %v; want the end with %d", got, err, code)
	}
}

// open subscribes to all.
func (c *client) open() {
	c.tb.Helper()
	c.hear("connected")
	c.say(`{"action":"subscribe","symbols":["*"]}`)
	c.hear("subscription")
}

// ticks reads n ticks.
func (c *client) ticks(n int) []Tick {
	c.tb.Helper()
	var all []Tick
	for len(all) < n {
		message, err := c.next()
		if err != nil {
			c.tb.Fatal(err)
		}
		var some []Tick
		if !strings.HasPrefix(message, "[") {
			message = "[" + message + "]"
		}
		if err := json.Unmarshal([]byte(message), &some); err != nil {
			c.tb.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

func until(tb testing.TB, s *Server, what string, is func([]Session) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	if err := s.Until(ctx, is); err != nil {
		tb.Fatalf("%s: %v; the sessions are %+v", what, err, s.Sessions())
	}
}

func over(n int) func([]Session) bool {
	return func(list []Session) bool {
		for _, one := range list {
			if !one.Open() {
				n--
			}
		}
		return n <= 0
	}
}

func TestBothAreCounted(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{})
	dial(t, b.URL()+"/?me=1").open()
	dial(t, b.URL()+"/?me=2").open()
	list := b.Sessions()
	if b.MaxConcurrent() != 2 || len(list) != 2 || list[0].Asked != "/?me=1" || list[1].Asked != "/?me=2" || !list[0].Open() {
		t.Fatalf("%d at once, sessions %+v", b.MaxConcurrent(), list)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Second: Refuse})
	first := dial(t, b.URL())
	first.open()
	second := dial(t, b.URL())
	second.hear(`"code":406`)
	second.ended(RefusedCode)
	first.say(`{"action":"ping"}`)
	first.hear("pong")

	b.Change(func(o *Options) { o.RefuseStatus, o.RetryAfter = 429, "7" })
	_, response, err := websocket.Dial(t.Context(), b.URL(), nil)
	if err == nil || response.StatusCode != 429 || response.Header.Get("Retry-After") != "7" {
		t.Fatalf("%v, %v", response, err)
	}
	if b.Refused() != 2 || len(b.Sessions()) != 1 {
		t.Fatalf("%d refused, sessions %+v", b.Refused(), b.Sessions())
	}
}

func TestEvict(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Second: Evict})
	first := dial(t, b.URL())
	first.open()
	dial(t, b.URL()).open()
	first.ended(EvictedCode)
	list := b.Sessions()
	if b.MaxConcurrent() != 1 || len(list) != 2 || list[0].Why != "evicted" || list[0].End.After(list[1].Begin) {
		t.Fatalf("%d at once, sessions %+v", b.MaxConcurrent(), list)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Key: "k1", Second: Refuse})
	wrong := dial(t, b.URL())
	wrong.hear("connected")
	wrong.say(`{"action":"auth","key":"k0"}`)
	wrong.hear("auth failed")
	wrong.ended(LoginCode)
	if len(b.Sessions()) != 0 {
		t.Fatalf("a session without a login: %+v", b.Sessions())
	}
	b.Change(func(o *Options) { o.Key = "k0" })
	right := dial(t, b.URL())
	right.hear("connected")
	right.say(`{"action":"auth","key":"k0"}`)
	right.hear("authenticated")
	if len(b.Sessions()) != 1 {
		t.Fatalf("no session: %+v", b.Sessions())
	}
}

func TestTooLate(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Key: "k", Within: 20 * time.Millisecond})
	idle := dial(t, b.URL())
	idle.hear("connected")
	idle.ended(RuleCode)
	b.Change(func(o *Options) { o.Key = "" })
	mute := dial(t, b.URL())
	mute.hear("connected")
	mute.ended(RuleCode)
	if list := b.Sessions(); len(list) != 1 || list[0].Why != "no subscription in time" {
		t.Fatalf("sessions %+v", list)
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Symbols: 3, Rate: 1000})
	c := dial(t, b.URL())
	c.hear("connected")
	c.say(`{"action":"subscribe","symbols":["S3"]}`)
	c.hear(`unknown symbol`)
	c.say(`nonsense`)
	c.hear("invalid syntax")
	c.say(`{"action":"subscribe","symbols":["S1"]}`)
	c.hear(`["S1"]`)
	for i, tick := range c.ticks(10) {
		if tick.Sym != "S1" || tick.ID%3 != 1 || tick.Seq != int64(i+1) {
			t.Fatalf("tick %d is %+v", i, tick)
		}
	}
}

func TestFrozenClientIsForgotten(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]int{"quiet": 0, "busy": 200_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := Start(t, Options{Rate: rate, Ping: 10 * time.Millisecond, PingWithin: 500 * time.Millisecond})
			frozen := dial(t, b.URL())
			frozen.open() // and reads no more
			until(t, &b.Server, "forgotten", over(1))
			if list := b.Sessions(); list[0].Why != "no answer to a ping" {
				t.Fatalf("sessions %+v", list)
			}
		})
	}
}

func TestLivingClientStays(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Rate: 200, Ping: 5 * time.Millisecond, PingWithin: time.Second})
	c := dial(t, b.URL())
	c.open()
	c.ticks(20)
	if list := b.Sessions(); len(list) != 1 || !list[0].Open() {
		t.Fatalf("sessions %+v", list)
	}
}

// A client that hangs up and connects again at once is one session after the other,
// however late the goroutine of the first gets to run.
func TestHangUpIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Rate: 5000, Second: Refuse})
	for range 100 {
		c := dial(t, b.URL())
		c.open()
		_ = c.conn.CloseNow()
	}
	if b.MaxConcurrent() != 1 || b.Refused() != 0 {
		t.Fatalf("%d at once, %d refused", b.MaxConcurrent(), b.Refused())
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Life: 30 * time.Millisecond})
	c := dial(t, b.URL())
	c.open()
	c.ended(websocket.StatusServiceRestart)
	if list := b.Sessions(); list[0].Why != "restart" || list[0].End.Sub(list[0].Begin) < 30*time.Millisecond {
		t.Fatalf("sessions %+v", list)
	}
}

func TestFaultsOfTheFeed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options Options
		want    []int64 // the numbers of the first ticks
	}{
		{"none", Options{}, []int64{1, 2, 3, 4, 5, 6}},
		{"skips", Options{SkipEvery: 3}, []int64{1, 2, 4, 5, 7, 8}},
		{"repeats", Options{RepeatEvery: 2}, []int64{1, 2, 2, 3, 4, 4}},
		{"arrays", Options{Batch: 4}, []int64{1, 2, 3, 4, 5, 6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Rate = 1000
			b := Start(t, tt.options)
			c := dial(t, b.URL())
			c.open()
			ticks := c.ticks(len(tt.want))
			for i, want := range tt.want {
				if ticks[i].Seq != want {
					t.Fatalf("tick %d is number %d, want %d", i, ticks[i].Seq, want)
				}
			}
		})
	}
}

func TestTheMarketGoesOn(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Rate: 1000, Symbols: 2, PerSymbol: true})
	var last Tick
	for range 2 {
		c := dial(t, b.URL())
		c.open()
		for _, tick := range c.ticks(10) {
			if tick.ID <= last.ID && last.Sym != "" || tick.Seq != tick.ID/2+1 {
				t.Fatalf("%+v after %+v", tick, last)
			}
			last = tick
		}
		_ = c.conn.CloseNow()
	}
	b.Change(func(o *Options) { o.Rate = 500 })
	c := dial(t, b.URL())
	c.open()
	if next := c.ticks(1)[0]; next.ID < last.ID || next.ID > last.ID+1000 {
		t.Fatalf("after a change of the rate %+v comes after %+v", next, last)
	}
	until(t, &b.Server, "over", over(2))
	if b.Sent() < 21 {
		t.Fatalf("%d ticks sent", b.Sent())
	}
}

func TestMuteAndDeaf(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{Rate: 1000, Mute: true, Deaf: true})
	c := dial(t, b.URL())
	c.open()
	heard := make(chan string)
	go func() {
		defer close(heard)
		message, _ := c.next()
		heard <- message
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := c.conn.Ping(ctx); err == nil {
		t.Fatal("a deaf broker answers a ping")
	}
	select {
	case message := <-heard:
		t.Fatalf("a mute broker says %q", message)
	default:
	}
	b.Change(func(o *Options) { o.Mute, o.Deaf = false, false })
	if message := <-heard; !strings.Contains(message, `"T":"t"`) {
		t.Fatalf("it says %q", message)
	}
}

func TestRefuseAndDrop(t *testing.T) {
	t.Parallel()
	b := Start(t, Options{})
	c := dial(t, b.URL())
	c.open()
	b.TurnAway(http.StatusServiceUnavailable, "3")
	b.Drop(websocket.StatusGoingAway, "maintenance")
	c.ended(websocket.StatusGoingAway)
	if _, response, err := websocket.Dial(t.Context(), b.URL(), nil); err == nil || response.StatusCode != 503 {
		t.Fatalf("%v, %v", response, err)
	}
	b.TurnAway(0, "")
	dial(t, b.URL()).open()
	if list := b.Sessions(); len(list) != 2 || list[0].Why != "dropped" || b.MaxConcurrent() != 1 {
		t.Fatalf("sessions %+v", list)
	}
}
