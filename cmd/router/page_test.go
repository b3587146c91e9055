package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/browsertest"
	"signalbox/internal/redistest"
)

// pageRoutes are the routes of a trade that fails until a file is there. %s are where it
// listens, and the file.
const pageRoutes = `
[redis]
url = "${REDIS_URL}"
[log]
format = "json"
[http]
listen = %q
token  = "a-token-for-the-test"
write  = true
[channels.orders]
transport = "stream"
types     = ["enter", "exit"]
[channels.ticks]
transport = "pubsub"
types     = ["tick"]
[handlers.trade]
kind    = "exec"
mode    = "once"
command = ["test", "-e", %q]
[[routes]]
channel = "orders"
type    = "*"
handler = "trade"
[[routes]]
channel = "ticks"
type    = "tick"
handler = "drop"
`

// story is a router that runs, its Redis, and a browser on its page.
type story struct {
	t      *testing.T
	page   *browsertest.Tab
	redis  *redistest.Server
	url    string
	routes string
	open   string // trades fail until this file is there
	router *process
}

func (s *story) add(message string) {
	s.t.Helper()
	if err := s.redis.Client().XAdd(s.t.Context(), &redis.XAddArgs{Stream: "orders", Values: []any{"payload", message}}).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// tick publishes so many ticks a second until ctx ends, and returns how many it were.
func (s *story) tick(ctx context.Context, perSecond int) (sent int) {
	for every := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-every.C {
		pipe := s.redis.Client().Pipeline()
		for range max(1, perSecond/100) {
			pipe.Publish(ctx, "ticks", fmt.Sprintf(`{"type":"tick","id":"%d","data":{"symbol":"BTCUSDT","price":%d}}`, sent, 97_000+sent%100))
			sent++
		}
		_, _ = pipe.Exec(ctx)
	}
	return sent
}

func (s *story) node(kind, channel, name string) string {
	if channel != "" {
		name = channel + `","` + name
	}
	return fmt.Sprintf(`[data-node='["%s","%s"]']`, kind, name)
}

func (s *story) state(node string) string {
	return fmt.Sprintf(`(document.querySelector(%s) || { dataset: {} }).dataset.state`, browsertest.Quote(node))
}

// The page of a real router: from the login through traffic, a failure, a hostile message and
// a replay to a restart, in a real browser.
func TestPageOfARouter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listen := freeAddress(t)
	s := &story{t: t, redis: redistest.Start(t), url: "http://" + listen, routes: filepath.Join(dir, "routes.toml"), open: filepath.Join(dir, "open")}
	if err := os.WriteFile(s.routes, fmt.Appendf(nil, pageRoutes, listen, s.open), 0o600); err != nil {
		t.Fatal(err)
	}
	s.page = browsertest.Start(t).Tab(t)
	s.router = startRouter(t, s.redis.URL(), "run", "-c", s.routes)
	s.router.awaitReady()
	s.login()
	s.flows()
	s.fails()
	s.staysText()
	s.replays()
	s.comesBack()
	s.staysResponsive()
	for _, wrong := range s.page.Complaints() {
		if !strings.Contains(wrong, "net::ERR_CONNECTION_REFUSED") { // while there was no router
			t.Errorf("the browser complains: %s", wrong)
		}
	}
}

func (s *story) login() {
	p := s.page
	p.Run(chromedp.Navigate(s.url))
	p.Until("the login page", `location.pathname === "/login"`)
	p.Run(chromedp.SendKeys(chromedp.CSS("#token"), "a-token-for-the-test"))
	p.Click("form button")
	p.Until("the page", `location.pathname === "/" && `+browsertest.TextOf("#link")+` === "live" && `+browsertest.TextOf("#ready")+` === "ready"`)
	if cookies := p.Eval("document.cookie"); cookies != "" {
		s.t.Errorf("scripts see the cookie %q", cookies)
	}
}

// flows: a rate is there within two seconds of traffic.
func (s *story) flows() {
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.tick(ctx, 200)
	}()
	took := s.page.Until("a rate", `/^[1-9]/.test(`+browsertest.TextOf(s.node("route", "ticks", "drop")+" .num")+`)`)
	s.t.Logf("a rate after %v", took)
	if took > 2*time.Second {
		s.t.Errorf("a rate after %v, want 2 s", took)
	}
	stop()
	<-done
}

// fails: an error turns the route red, and a click shows the event and why.
func (s *story) fails() {
	p := s.page
	s.add(`{"type":"enter","id":"c-1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"bot":"momentum-1"}}`)
	route := s.node("route", "orders", "trade")
	p.Until("red", s.state(route)+` === "error"`)
	p.Click(route)
	p.Click(".events .row")
	p.Until("the event", `["exit status 1", "c-1", "0af7651916cd43dd8448eb211c80319c", "momentum-1"].every((t) => `+browsertest.TextOf("#panel")+`.includes(t))`)
}

// staysText: what a stranger writes is no markup.
func (s *story) staysText() {
	p := s.page
	const evil = `<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>`
	s.add(fmt.Sprintf(`{"type":"exit","id":%q,"data":{%[1]q:%[1]q}}`, evil))
	p.Until("it is shown", browsertest.TextOf(".events")+`.includes("<img src=x")`)
	p.Click(".events li:first-child .row")
	p.Until("pretty", browsertest.TextOf(".json")+`.includes("<script>")`)
	if got := p.Eval(`String(window.pwned || 0) + document.images.length`); got != "00" {
		s.t.Errorf("it ran or was drawn: %s", got)
	}
}

// replays: what has failed is replayed, and this time it works.
func (s *story) replays() {
	p := s.page
	dead := func() int64 { return s.redis.Client().XLen(s.t.Context(), "orders.dead").Val() }
	if n := dead(); n != 2 {
		s.t.Fatalf("%d dead letters, want 2", n)
	}
	if err := os.WriteFile(s.open, nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	p.Click("#tab-1")
	for range 2 {
		p.Click(".letters .replay")
		p.Click("#confirm .main")
		p.Until("the result", browsertest.TextOf("#pane-1 > .note[role=status]")+`.includes("replayed")`)
	}
	eventually(s.t, "no dead letter is left", func() bool { return dead() == 0 })
	p.Until("it is handled", `[...document.querySelectorAll(".events .verdict")].some((v) => v.textContent === "handled")`)
}

// comesBack: a router that is restarted has its page again, without a login.
func (s *story) comesBack() {
	p := s.page
	s.router.stop()
	p.Until("it is gone", browsertest.TextOf("#link")+` !== "live"`)
	s.router = startRouter(s.t, s.redis.URL(), "run", "-c", s.routes)
	s.router.awaitReady()
	took := p.Until("it is back", browsertest.TextOf("#link")+` === "live" && `+browsertest.TextOf("#ready")+` === "ready"`)
	s.t.Logf("back %v after the router", took)
}

// staysResponsive: with 10,000 events a second a timer of the page is not late, and the
// router is not either.
func (s *story) staysResponsive() {
	p := s.page
	ctx, stop := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer stop()
	sent := make(chan int, 1)
	go func() { sent <- s.tick(ctx, 10_000) }()
	p.Until("thousands a second", `/^\d,\d\d\d\/s$/.test(`+browsertest.TextOf("#total-in")+`)`)
	p.Eval(`(() => {
		window.gaps = [];
		let last = performance.now();
		setInterval(() => { const now = performance.now(); window.gaps.push(now - last); last = now; }, 10);
	})()`)
	n := <-sent
	late, err := strconv.ParseFloat(p.Eval("window.gaps.sort((a, b) => a - b)[Math.floor(window.gaps.length * 0.95)]"), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("%d ticks in 5 s; a timer of 10 ms came after %.0f ms at most in 95 of 100 cases", n, late)
	if late > 200 {
		s.t.Errorf("a timer of 10 ms was late by %.0f ms in one of 20 cases", late)
	}
	if last := s.router.stop(); last.Received < n*9/10 || last.Lost > 0 {
		s.t.Errorf("received %d of %d ticks, lost %d", last.Received, n, last.Lost)
	}
	if text := p.Eval("document.body.innerText"); strings.Contains(text, "undefined") || strings.Contains(text, "NaN") {
		s.t.Errorf("the page says %q", text)
	}
}
