package brokertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// call connects to a fake.
func (e *Exchange) call(t *testing.T, path string) *client {
	t.Helper()
	return dialWith(t, e.http.Client(), e.URL()+path)
}

// refused wants a fake to answer an attempt to connect with an HTTP status.
func (e *Exchange) refused(t *testing.T, path string, status int) {
	t.Helper()
	_, response, err := websocket.Dial(t.Context(), e.URL()+path, &websocket.DialOptions{HTTPClient: e.http.Client()})
	if err == nil || response == nil || response.StatusCode != status {
		t.Fatalf("got %v, %v; want %d", response, err, status)
	}
}

// find reads on until a message has a part.
func (c *client) find(part string) string {
	c.tb.Helper()
	for {
		message, err := c.next()
		if err != nil {
			c.tb.Fatalf("no message has %s: %v", part, err)
		}
		if strings.Contains(message, part) {
			return message
		}
	}
}

// closes reads on until the connection is closed with a code.
func (c *client) closes(code websocket.StatusCode) {
	c.tb.Helper()
	for {
		if message, err := c.next(); err != nil {
			if websocket.CloseStatus(err) != code {
				c.tb.Fatalf("got %q, %v; want the end with %d", message, err, code)
			}
			return
		}
	}
}

func TestBinance(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{Streams: 3})
	c := b.call(t, "/ws")
	c.say(`{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","nonsense@aggTrade"],"id":1}`)
	c.hear(`{"id":1,"result":null}`)
	for want := 1; want <= 3; want++ {
		if message := c.find(`"e":"aggTrade"`); !strings.Contains(message, fmt.Sprintf(`"a":%d,`, want)) {
			t.Fatalf("trade %d is %s", want, message)
		}
	}
	b.Skip("BTCUSDT", 10_000)
	c.find(`"a":100`)
	c.say(`{"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":2}`)
	c.find("more than 3 streams")
	c.say(`{"method":"LIST_SUBSCRIPTIONS","id":"3"}`)
	c.find(`"result":["btcusdt@aggTrade","nonsense@aggTrade"]`)
	c.say(`{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":null}`)
	c.find(`{"id":null,"result":null}`)
	b.refused(t, "/", 404)

	bad := b.call(t, "/stream")
	bad.say(`{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":-1}`)
	bad.hear(`"code":2`)
	bad.say(`{"method":"subscribe","params":["btcusdt@trade"],"id":1}`)
	bad.hear("unknown variant")
	bad.say(`{`)
	bad.hear(`"code":3`)
	bad.say(`{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":1}`)
	bad.hear(`"result":null`)
	bad.hear(`"stream":"ethusdt@trade"`)
}

func TestBinanceCountsMessages(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{})
	talker := b.call(t, "/ws")
	for i := range 6 {
		talker.say(fmt.Sprintf(`{"method":"LIST_SUBSCRIPTIONS","id":%d}`, i))
	}
	talker.closes(websocket.StatusPolicyViolation)

	pinger := b.call(t, "/ws")
	reader := pinger.conn.CloseRead(t.Context())
	for range 6 {
		if pinger.conn.Ping(t.Context()) != nil {
			break
		}
	}
	<-reader.Done()
	until(t, &b.Server, "both are ended", over(2))
	for _, one := range b.Sessions() {
		if one.Why != "Too many requests" {
			t.Errorf("ended because: %s", one.Why)
		}
	}
}

func TestBinanceEndsConnections(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{Life: 60 * time.Millisecond, Notice: 30 * time.Millisecond})
	c := b.call(t, "/ws")
	c.hear(`"e":"serverShutdown"`)
	c.closes(websocket.StatusGoingAway)

	frozen := StartBinance(t, Rules{Ping: 10 * time.Millisecond, Pong: 20 * time.Millisecond, Attempts: 1})
	frozen.call(t, "/ws") // and reads nothing
	until(t, &frozen.Server, "forgotten", over(1))
	frozen.refused(t, "/ws", 429)
}

func TestCoinbase(t *testing.T) {
	t.Parallel()
	b := StartCoinbase(t, Rules{Heartbeat: 10 * time.Millisecond})
	c := b.call(t, "/")
	for request, want := range map[string]string{
		`{`:                `Malformed`,
		`{"type":"hello"}`: `Type has to be`,
		`{"type":"subscribe","product_ids":["BTC-EUR"],"channels":["matches"]}`:  `BTC-EUR is not a valid product`,
		`{"type":"subscribe","product_ids":["BTC-USD"],"channels":["nonsense"]}`: `nonsense is not a valid channel`,
		`{"type":"subscribe","channels":["heartbeat"]}`:                          `at least one product`,
	} {
		c.say(request)
		c.hear(want)
	}
	c.say(`{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches",{"name":"heartbeat","product_ids":["ETH-USD"]}]}`)
	c.hear(`"type":"subscriptions"`)
	for want := 1; want <= 3; want++ {
		if message := c.find(`"type":"match"`); !strings.Contains(message, fmt.Sprintf(`"trade_id":%d,`, want)) {
			t.Fatalf("trade %d is %s", want, message)
		}
	}
	c.find(`"type":"heartbeat"`)
	b.Mute(true)
	for range 5 {
		c.find(`"type":"heartbeat"`)
	}
	again := b.call(t, "/")
	again.say(`{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}`)
	again.hear(`"type":"subscriptions"`)
	again.hear(`"type":"last_match"`)
}

func TestCoinbaseIsStrict(t *testing.T) {
	t.Parallel()
	b := StartCoinbase(t, Rules{Subscribe: 20 * time.Millisecond})
	b.call(t, "/").closes(websocket.StatusPolicyViolation)
	limited := StartCoinbase(t, Rules{Messages: 2})
	c := limited.call(t, "/")
	for range 3 {
		c.say(`{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}`)
	}
	c.closes(websocket.StatusPolicyViolation)
}

func TestKraken(t *testing.T) {
	t.Parallel()
	b := StartKraken(t, Rules{Heartbeat: 10 * time.Millisecond})
	c := b.call(t, "/v2")
	c.hear(`"channel":"status"`)
	for request, want := range map[string]string{
		`{`:                            `JSON does not conform`,
		`{"method":"hello"}`:           `Method is not supported`,
		`{"method":"ping","req_id":7}`: `"method":"pong","req_id":7`,
		`{"method":"subscribe","params":{"channel":"nonsense","symbol":["BTC/USD"]}}`: `Channel is not supported`,
		`{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/EUR"]}}`:    `Currency pair not supported BTC/EUR`,
	} {
		c.say(request)
		c.hear(want)
	}
	c.say(`{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":true}}`)
	c.hear(`"symbol":"BTC/USD"},"success":true`)
	c.hear(`"symbol":"ETH/USD"},"success":true`)
	c.find(`"symbol":"ETH/USD","timestamp"`)
	b.Mute(true)
	c.find(`{"channel":"heartbeat"}`)

	again := b.call(t, "/v2")
	again.hear(`"channel":"status"`)
	again.say(`{"method":"subscribe","params":{"channel":"trade","symbol":["ETH/USD"],"snapshot":true}}`) // which had a trade
	again.hear(`"success":true`)
	again.hear(`"type":"snapshot"`)
}

func TestKrakenEndsIdleConnections(t *testing.T) {
	t.Parallel()
	b := StartKraken(t, Rules{Idle: 20 * time.Millisecond})
	c := b.call(t, "/v2")
	c.hear(`"channel":"status"`)
	c.closes(websocket.StatusGoingAway)
	b.refused(t, "/", 404)
}

func TestAlpaca(t *testing.T) {
	t.Parallel()
	b := StartAlpaca(t, Rules{Streams: 2})
	c := b.call(t, "/v2/iex")
	c.hear(`[{"T":"success","msg":"connected"}]`)
	c.say(`{`)
	c.hear(`"code":400`)
	c.say(`{"action":"subscribe","trades":["AAPL"]}`)
	c.hear(`"code":401`)
	c.say(`{"action":"auth","key":"key","secret":"secret"}`)
	c.hear(`[{"T":"success","msg":"authenticated"}]`)
	c.say(`{"action":"auth","key":"key","secret":"secret"}`)
	c.hear(`"code":403`)
	c.say(`{"action":"subscribe","trades":["AAPL","MSFT","SPY"]}`)
	c.hear(`"code":405`)
	c.say(`{"action":"subscribe","trades":["AAPL","MSFT"]}`)
	c.hear(`"T":"subscription"`)
	lengths := map[int]bool{}
	for len(lengths) < 2 {
		var trades []map[string]any
		if err := json.Unmarshal([]byte(c.find(`"T":"t"`)), &trades); err != nil {
			t.Fatal(err)
		}
		lengths[len(trades)] = true
	}

	second := b.call(t, "/v2/iex")
	second.hear("connected")
	second.say(`{"action":"auth","key":"key","secret":"secret"}`)
	second.hear(`"code":406`)
	second.closes(websocket.StatusNormalClosure)
	wrong := b.call(t, "/v2/iex")
	wrong.hear("connected")
	wrong.say(`{"action":"auth","key":"key","secret":"old"}`)
	wrong.hear(`"code":402`)
	wrong.closes(websocket.StatusNormalClosure)
	if b.MaxConcurrent() != 1 || b.Refused() != 2 {
		t.Fatalf("%d at once, %d refused", b.MaxConcurrent(), b.Refused())
	}
}

func TestAlpacaWantsALoginInTime(t *testing.T) {
	t.Parallel()
	b := StartAlpaca(t, Rules{Login: 20 * time.Millisecond})
	c := b.call(t, "/v2/iex")
	c.hear("connected")
	c.hear(`"code":404`)
	c.closes(websocket.StatusPolicyViolation)

	headers := map[string][]string{"APCA-API-KEY-ID": {"key"}, "APCA-API-SECRET-KEY": {"secret"}}
	conn, _, err := websocket.Dial(t.Context(), b.URL()+"/v2/iex", &websocket.DialOptions{HTTPClient: b.http.Client(), HTTPHeader: headers})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	known := &client{t, conn}
	known.hear("connected")
	known.hear("authenticated")
}
