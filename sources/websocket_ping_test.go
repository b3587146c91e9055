package sources

import (
	"testing"
	"time"
)

func TestWebSocketPing(t *testing.T) {
	t.Parallel()
	const every = 5 * time.Millisecond
	for name, test := range map[string]struct {
		ping  WebSocketPing
		serve func(p *wsPeer)
	}{
		"frame": {WebSocketPing{}, func(p *wsPeer) { p.stay() }},
		"table": {WebSocketPing{Send: table{"op": "ping", "id": "{id}"}, Expect: table{"op": "pong"}}, func(p *wsPeer) {
			p.hear(`{"id":1,"op":"ping"}`)
			p.say(`{"op":"pong"}`)
			p.hear(`{"id":2,"op":"ping"}`)
			p.say(`{"op":"pong"}`, "x")
			p.stay()
		}},
		"text": {WebSocketPing{Send: "ping", Expect: "pong"}, func(p *wsPeer) {
			p.hear("ping")
			p.say("pong")
			p.hear("ping")
			p.say("pong", "x")
			p.stay()
		}},
		"no answer wanted": {WebSocketPing{Send: "ping"}, func(p *wsPeer) {
			p.hear("ping", "ping", "ping")
			p.say("x")
			p.stay()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newWSServer(t, test.serve)
			test.ping.Every = every
			run := runWS(t, WebSocketOptions{URL: []string{url}, Ping: test.ping})
			run.wantOpened(url)
			if name != "frame" {
				run.want("data x")
				return
			}
			for deadline := time.Now().Add(wsWait); run.alive.Load() < 3; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no signs of life")
				}
			}
		})
	}
}

// A connection on which nobody answers any more is dead, whatever TCP says.
func TestWebSocketHalfOpen(t *testing.T) {
	t.Parallel()
	for name, ping := range map[string]WebSocketPing{
		"frame":   {},
		"message": {Send: "ping", Expect: "pong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newWSServer(t, func(*wsPeer) { <-t.Context().Done() }) // it reads nothing
			ping.Every, ping.Timeout = 5*time.Millisecond, 20*time.Millisecond
			run := runWS(t, WebSocketOptions{URL: []string{url}, Ping: ping})
			run.wantError("no answer to ping for 20ms: the connection is dead")
		})
	}
}
