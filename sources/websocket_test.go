package sources

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

type table = map[string]any

// What most feeds look like: log in, subscribe, read. The address is shown without its query.
func TestWebSocketSession(t *testing.T) {
	t.Parallel()
	gone := make(chan websocket.StatusCode, 1)
	url := newWSServer(t, func(p *wsPeer) {
		p.hear(`{"action":"auth","key":"k","secret":"s"}`, `{"action":"subscribe","trades":["AAPL"]}`, `plain {"x"}`)
		p.say(`[{"T":"t","S":"AAPL","p":1.5}]`, "not JSON", `{"T":"q"}`)
		gone <- p.stay()
	})
	run := runWS(t, WebSocketOptions{
		URL:       []string{url + "/v2/iex?token=abcdef123456"},
		Auth:      WebSocketAuth{Message: table{"action": "auth", "key": "k", "secret": "s"}},
		Subscribe: []any{table{"action": "subscribe", "trades": []any{"AAPL"}}, `plain {"x"}`},
	})
	run.wantOpened(url + "/v2/iex")
	run.want(`data [{"T":"t","S":"AAPL","p":1.5}]`, "data not JSON", `data {"T":"q"}`)
	run.stop()
	_ = run.verdict()
	if code := <-gone; code != websocket.StatusNormalClosure {
		t.Errorf("the session was closed with %d, want 1000", code)
	}
	run.nothing()
}

// Each attempt takes the next of several addresses.
func TestWebSocketURLsInTurn(t *testing.T) {
	t.Parallel()
	urls := []string{"", ""}
	for i := range urls {
		urls[i] = newWSServer(t, func(p *wsPeer) { p.stay() })
	}
	for attempt, want := range []int{0, 1, 0, 1} {
		run := runWSAttempt(t, WebSocketOptions{URL: urls}, attempt)
		run.wantOpened(urls[want])
		run.stop()
	}
}

func TestWebSocketHeaders(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	url := newWSServer(t, func(p *wsPeer) { seen <- p.r; p.stay() })
	run := runWS(t, WebSocketOptions{
		URL:     []string{strings.Replace(url, "://", "://user:p%40ss@", 1) + "/x?a={time_s}&b={uuid}"},
		Headers: map[string]string{"x-at": "{time_ms}", "User-Agent": "me", "X-Literal": "{a} {{b}"},
		Origin:  "https://example.com",
		Auth:    WebSocketAuth{Headers: map[string]string{"X-Key": "k1"}},
	})
	r := <-seen
	run.wantOpened(url + "/x")
	user, password, _ := r.BasicAuth()
	for name, ok := range map[string]bool{
		"User-Agent": r.UserAgent() == "me",
		"time":       len(r.Header.Get("X-At")) == 13,
		"literal":    r.Header.Get("X-Literal") == "{a} {{b}",
		"key":        r.Header.Get("X-Key") == "k1",
		"Origin":     r.Header.Get("Origin") == "https://example.com",
		"query":      len(r.FormValue("a")) == 10 && len(r.FormValue("b")) == 36,
		"user":       user == "user" && password == "p@ss",
		"extensions": r.Header.Get("Sec-Websocket-Extensions") == "",
	} {
		if !ok {
			t.Errorf("%s: %v %v", name, r.URL, r.Header)
		}
	}
}

// The steps are taken in order, and what they await is no data; what comes beside it is.
func TestWebSocketSteps(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say(`{"early":1}`, `[{"T":"success","msg":"connected"}]`)
		p.hear(`{"action":"auth"}`)
		p.say(`{"early":2}`, `[{"T":"success","msg":"authenticated"},{"T":"t","S":"A"}]`)
		p.hear(`conf`, `next`)
		p.say(`ok`, `done`)
		p.hear(`{"id":1,"sub":"a"}`, `{"id":2,"sub":"b"}`)
		p.say(`{"id":2,"ok":true}`, `{"T":"t","S":"B"}`, `{"id":1,"ok":true}`, `{"id":3,"ok":true}`)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{
		URL:      []string{url},
		Greeting: WebSocketAnswer{Expect: table{"T": "success", "msg": "connected"}},
		Auth:     WebSocketAuth{Message: table{"action": "auth"}, Expect: table{"msg": "authenticated"}, FailOn: table{"T": "error"}},
		Handshake: []WebSocketStep{
			{Send: "conf"},
			{Send: "next", Expect: "ok"},
			{Expect: []any{"done", "finished"}},
		},
		Subscribe: []any{table{"id": "{id}", "sub": "a"}, table{"id": "{id}", "sub": "b"}},
		Confirm:   WebSocketConfirm{Expect: table{"ok": true}},
	})
	run.want(`data {"early":1}`, `data {"early":2}`, `data [{"T":"t","S":"A"}]`, `data {"T":"t","S":"B"}`)
	run.want(`data {"id":3,"ok":true}`) // one more than is awaited
	run.wantOpened(url)
	if run.alive.Load() < 6 {
		t.Errorf("%d signs of life, want one for each message that was no data", run.alive.Load())
	}
}

// That the session is open is told before the data that follows the last answer.
func TestWebSocketOpensBeforeData(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.next()
		p.say(`early`, `[{"T":"subscription"},{"T":"t"}]`, `[{"T":"q"}]`)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Subscribe: []any{"x"}, Confirm: WebSocketConfirm{Expect: table{"T": "subscription"}}})
	run.want("data early", `data [{"T":"t"}]`, `data [{"T":"q"}]`)
	run.wantOpened(url)
	if before := run.before.Load(); before != 1 {
		t.Errorf("%d messages came before it was open, want 1", before)
	}
}

// A server may say all that is awaited at once, before it is asked.
func TestWebSocketStepsAnsweredAhead(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say("one", "two", "three")
		p.stay()
	})
	run := runWS(t, WebSocketOptions{
		URL:       []string{url},
		Greeting:  WebSocketAnswer{Expect: "one"},
		Handshake: []WebSocketStep{{Send: "x", Expect: "two"}},
		Subscribe: []any{"y"},
		Confirm:   WebSocketConfirm{Expect: "three"},
	})
	run.wantOpened(url)
	run.stop()
	_ = run.verdict()
	run.nothing()
}

// A server that repeats the login, and of which no pattern says so, publishes no secret.
func TestWebSocketEchoesTheLogin(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.hear(`{"key":"s3cr3t-key-of-ours"}`)
		p.say(`{"echo":{"key":"s3cr3t-key-of-ours"}}`, `[{"T":"t"},{"key":"s3cr3t-key-of-ours"}]`, `{"T":"t"}`, `{"msg":"authenticated"}`)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{
		URL:  []string{url},
		Auth: WebSocketAuth{Message: table{"key": "s3cr3t-key-of-ours"}, Expect: table{"msg": "authenticated"}},
	})
	run.want(`data {"T":"t"}`)
	run.wantOpened(url)
	run.stop()
	_ = run.verdict()
	run.nothing()
}

func TestWebSocketStepsFail(t *testing.T) {
	t.Parallel()
	const soon = 20 * time.Millisecond
	for name, test := range map[string]struct {
		options WebSocketOptions
		say     string
		want    string
	}{
		"greeting": {WebSocketOptions{Greeting: WebSocketAnswer{Expect: "hi", Timeout: soon}}, "", "greeting: what is expected has not come from ws://"},
		"auth": {
			WebSocketOptions{Auth: WebSocketAuth{Message: "login", Expect: "ok", FailOn: table{"T": "error"}}},
			`[{"T":"error","code":402,"msg":"auth failed"}]`,
			`says: {"T":"error","code":402,"msg":"auth failed"}; credentials are read again before the next attempt`,
		},
		"auth never answered": {WebSocketOptions{Auth: WebSocketAuth{Message: "login", Expect: "ok", Timeout: soon}}, "hello", ` within 20ms; something else has: hello`},
		"secret repeated":     {WebSocketOptions{Auth: WebSocketAuth{Message: "login k-4711-secret", Expect: "ok", Timeout: soon}}, "hello k-4711-secret", `something else has: (not shown: it repeats what may be secret)`},
		"handshake":           {WebSocketOptions{Handshake: []WebSocketStep{{Send: "a", Expect: "b", FailOn: "no"}}}, "no", "handshake.0 failed: ws://"},
		"handshake late":      {WebSocketOptions{Handshake: []WebSocketStep{{Send: "a"}, {Expect: "b", Timeout: soon}}}, "no", "handshake.1: what is expected has not come"},
		"confirm":             {WebSocketOptions{Subscribe: []any{"a"}, Confirm: WebSocketConfirm{Expect: "ok", FailOn: table{"success": false}}}, `{"success":false}`, `subscribe failed: ws://`},
		"confirm too few":     {WebSocketOptions{Subscribe: []any{"a"}, Confirm: WebSocketConfirm{Expect: "ok", Count: 2, Timeout: soon}}, "ok", ` within 20ms but 1 of 2 times`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newWSServer(t, func(p *wsPeer) {
				if test.say != "" {
					p.say(test.say)
				}
				p.stay()
			})
			test.options.URL = []string{url}
			run := runWS(t, test.options)
			err := run.failure(test.want)
			if router.IsPermanent(err) || router.IsStandDown(err) {
				t.Errorf("the verdict is not to try again: %v", err)
			}
		})
	}
}

// Some servers want a pause before they are asked for anything.
func TestWebSocketPause(t *testing.T) {
	t.Parallel()
	const pause = 20 * time.Millisecond
	took := make(chan time.Duration, 1)
	url := newWSServer(t, func(p *wsPeer) {
		begin := time.Now()
		p.hear("a")
		took <- time.Since(begin)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Handshake: []WebSocketStep{{Pause: pause}}, Subscribe: []any{"a"}})
	run.wantOpened(url)
	if took := <-took; took < pause/2 { // the server begins later
		t.Errorf("the pause took %s, want %s", took, pause)
	}
}

// A long list is asked for in parts, with a pause between the messages.
func TestWebSocketSubscribeEach(t *testing.T) {
	t.Parallel()
	const pause = 15 * time.Millisecond
	took := make(chan time.Duration, 1)
	url := newWSServer(t, func(p *wsPeer) {
		p.hear("first")
		begin := time.Now()
		for i, list := range []string{`["a","b"]`, `["c","d"]`, `["e"]`} {
			p.hear(fmt.Sprintf(`{"id":%d,"params":{"channel":"trade","symbol":%s}}`, i+1, list))
		}
		took <- time.Since(begin)
		p.stay()
	})
	message := table{"id": "{id}", "params": table{"channel": "trade"}}
	run := runWS(t, WebSocketOptions{
		URL:            []string{url},
		Subscribe:      []any{"first"},
		SubscribeEach:  WebSocketSubscribeEach{Message: message, At: "params.symbol", List: []string{"a", "b", "c", "d", "e"}, Size: 2},
		SubscribeEvery: pause,
	})
	if took := <-took; took < 2*pause {
		t.Errorf("three pauses took %s together, want %s each", took, pause)
	}
	run.wantOpened(url)
	if len(message["params"].(table)) != 1 {
		t.Errorf("the option has changed: %v", message)
	}
}

// Templates of a reply keep the types of what they stand for.
func TestWebSocketReply(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say(`{"ping":1492420473027}`)
		p.hear(`{"pong":1492420473027}`)
		p.say(`{"id":7,"method":"public/heartbeat"}`)
		p.hear(`{"id":7,"none":null,"text":"7/"}`)
		p.say("ping")
		p.hear("pong")
		p.say(`{"price":1}`)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Reply: []WebSocketReply{
		{On: table{"ping": "*"}, Send: table{"pong": "{on.ping}"}},
		{On: table{"method": "public/heartbeat"}, Send: table{"id": "{on.id}", "text": "{on.id}/{on.no}", "none": "{on.x.y}"}},
		{On: "ping", Send: "pong"},
	}})
	run.wantOpened(url)
	run.want(`data {"price":1}`)
}

// Heartbeats count as life, and are no data; in an array, only they are taken out.
func TestWebSocketHeartbeat(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say(`{"channel":"heartbeat"}`, `[7,"hb"]`, `.`, `[{"channel":"heartbeat"},{"a":1},5,{"channel":"heartbeat"}]`, `[{"channel":"heartbeat"}]`, ``, `[7,"te"]`, `[]`)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Heartbeat: []any{table{"channel": "heartbeat"}, table{"1": "hb"}, "."}})
	run.wantOpened(url)
	run.want(`data [{"a":1},5]`, `data [7,"te"]`, `data []`)
	if run.alive.Load() != 6 {
		t.Errorf("%d signs of life, want 6", run.alive.Load())
	}
}

// Control frames are signs of life, and a ping of the server is answered.
func TestWebSocketPinged(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		go p.stay()
		if err := p.conn.Ping(t.Context()); err != nil {
			t.Errorf("no answer to a ping: %v", err)
		}
		p.say("x")
		<-t.Context().Done()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}})
	run.wantOpened(url)
	run.want("data x")
	if run.alive.Load() != 1 {
		t.Errorf("%d signs of life, want 1", run.alive.Load())
	}
	run.stop()
}

// No data soon after subscribing is an alarm, and data ends it.
func TestWebSocketFirstEvent(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	url := newWSServer(t, func(p *wsPeer) {
		p.say("ok")
		<-late
		p.say("hb", "data", "data")
		p.stay()
	})
	run := runWS(t, WebSocketOptions{
		URL: []string{url}, Subscribe: []any{"x"}, Confirm: WebSocketConfirm{Expect: "ok"},
		FirstEvent: 10 * time.Millisecond, Heartbeat: "hb",
	})
	run.wantOpened(url)
	run.want("trouble first_event: no data within 10ms of what was asked for")
	close(late)
	run.want("trouble <nil>", "data data", "data data")
}

// A session is ended for a new one at its age, and when the server announces its own end.
func TestWebSocketRotate(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]WebSocketOptions{
		"age":     {Rotate: 20 * time.Millisecond},
		"message": {RotateOn: table{"event": "serverShutdown"}},
		"array":   {RotateOn: table{"event": "serverShutdown"}},
		"rule":    {Errors: []WebSocketError{{Match: table{"event": "serverShutdown"}, Then: "rotate"}}},
		"code":    {Errors: []WebSocketError{{Code: int64(4000), Then: "rotate"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan websocket.StatusCode, 1)
			url := newWSServer(t, func(p *wsPeer) {
				switch name {
				case "age":
				case "array":
					p.say(`[{"a":1},{"event":"serverShutdown"},{"a":2}]`)
				case "code":
					_ = p.conn.Close(4000, "")
				default:
					p.say(`{"event":"serverShutdown"}`)
				}
				gone <- p.stay()
			})
			options.URL = []string{url}
			run := runWS(t, options)
			if err := run.verdict(); err != nil {
				t.Errorf("the verdict is %v, want a planned end", err)
			}
			if code := <-gone; name != "code" && code != websocket.StatusNormalClosure {
				t.Errorf("the session was closed with %d, want 1000", code)
			}
			if name == "array" {
				run.want(`data [{"a":1},{"a":2}]`)
			}
		})
	}
}

// Compression is offered only if it is wanted.
func TestWebSocketCompression(t *testing.T) {
	t.Parallel()
	offered := make(chan string, 1)
	text := strings.Repeat("x", 10_000)
	url := newWSServer(t, func(p *wsPeer) {
		offered <- p.r.Header.Get("Sec-Websocket-Extensions")
		p.say(text)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Compression: true})
	if got := <-offered; got != "permessage-deflate; client_no_context_takeover; server_no_context_takeover" {
		t.Errorf("offered %q", got)
	}
	run.wantOpened(url)
	run.want("data " + text)
}
