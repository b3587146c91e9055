package handlers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/tidwall/gjson"

	"signalbox/router"
)

func TestWebhookBody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`text = "plain"`:                         `{"text":"plain"}`,
		`text = "{data.symbol} at {time}"`:       `{"text":"BTC\"USDT at 2026-11-21T22:30:00.005Z"}`,
		`text = "{data.none}{data.missing}"`:     `{"text":""}`,
		`text = "{{{key}}}"`:                     `{"text":"{BTCUSDT}"}`,
		`text = "{data.levels}"`:                 `{"text":"[{\"p\":1},2]"}`,
		`n = 5`:                                  `{"n":5}`,
		`n = 9007199254740993`:                   `{"n":9007199254740993}`,
		`f = 0.5`:                                `{"f":0.5}`,
		`on = true`:                              `{"on":true}`,
		`day = 2026-11-21`:                       `{"day":"2026-11-21"}`,
		`at = 2026-11-21T22:30:00Z`:              `{"at":"2026-11-21T22:30:00Z"}`,
		`list = [1, "{key}", [true], {}]`:        `{"list":[1,"BTCUSDT",[true],{}]}`,
		"b = 1\na = 2":                           `{"a":2,"b":1}`,
		`"{key}" = 1`:                            `{"{key}":1}`,
		`"\" : \n" = "\" \\ \n \u0000 < > & é😀"`: `{"\" : \n":"\" \\ \n \u0000 < > & é😀"}`,
		"[[blocks]]\ntype = \"section\"\ntext = { type = \"mrkdwn\", text = \"*{type}*\" }\n[[blocks]]\ntype = \"divider\"": `{"blocks":[{"text":{"text":"*tick*","type":"mrkdwn"},"type":"section"},{"type":"divider"}]}`,
	} {
		var table map[string]any
		if err := toml.Unmarshal([]byte(text), &table); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		body, err := parseWebhookBody(table)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := string(body.of(templateEvent())); got != want {
			t.Errorf("%s\ngives %s\nwant  %s", text, got, want)
		}
	}
}

// Nothing in an event gets out of the string that it is in.
func FuzzWebhookBody(f *testing.F) {
	body, err := parseWebhookBody(map[string]any{"a": "<{key}|{data.x}>", "b": []any{"{type}", int64(1)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`","admin":true,"x":"`, `{"x":"\"},\u0000 \ud83d"}`)
	f.Add("\xff\xfe", "{}")
	f.Add("{key}", `{"x":{"y":["{key}"]}}`)
	f.Fuzz(func(t *testing.T, key, data string) {
		event := &router.Event{Key: key, Type: key, Data: []byte(data)}
		if !json.Valid(event.Data) {
			event.Data = nil
		}
		var got map[string]any
		if err := json.Unmarshal(body.of(event), &got); err != nil {
			t.Fatalf("%s: %v", body.of(event), err)
		}
		list, _ := got["b"].([]any)
		clean := strings.ToValidUTF8(key, "\uFFFD")
		if len(got) != 2 || len(list) != 2 || list[0] != clean || list[1] != 1.0 || !strings.HasPrefix(got["a"].(string), "<"+clean+"|") {
			t.Fatalf("%q, %q gives %s", key, data, body.of(event))
		}
	})
}

func TestCloudEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 23, 30, 0, 5e6, time.FixedZone("", 3600))
	for name, test := range map[string]struct {
		event router.Event
		want  string
	}{
		"bare": {
			router.Event{ID: "1-0", Type: "tick", Channel: "price data", Time: at, Msg: []byte(`{"type":"tick","x":1}`), Data: []byte(`{"type":"tick","x":1}`)},
			`{"specversion":"1.0","id":"1-0","source":"/signalbox/my%20bot/price%20data","type":"tick","time":"2026-11-21T22:30:00.005Z","data":{"type":"tick","x":1}}`,
		},
		"full": {
			router.Event{ID: "7", Type: "tick", Source: "/feed", Channel: "c", Key: "BTC\"", Time: at, Msg: []byte(`{"id":"7","type":"tick","source":"/feed","data":[1, 2]}`), Data: []byte(`[1, 2]`)},
			`{"specversion":"1.0","id":"7","source":"/feed","type":"tick","time":"2026-11-21T22:30:00.005Z","partitionkey":"BTC\"","data":[1, 2]}`,
		},
		"extensions": {
			router.Event{ID: "7", Type: "a", Source: "s", Key: "k", Data: []byte(`null`), Msg: []byte(`{"specversion":"0.3","type":"a","data":null,"bot":"m-1","seq":-12,"ok":false,"traceparent":"00-\u00e9","partitionkey":"own","subject":"s","dataschema":7,"Caps":1,"big":3000000000,"f":1.5,"exp":1e3,"obj":{},"nul":null,"ctl":"a\u0001","a_b":1,"bot":"again"}`)},
			`{"specversion":"1.0","id":"7","source":"s","type":"a","bot":"m-1","seq":-12,"ok":false,"traceparent":"00-\u00e9","partitionkey":"own","subject":"s","data":null}`,
		},
		"no data": {
			router.Event{ID: "7", Type: "a", Source: "s"},
			`{"specversion":"1.0","id":"7","source":"s","type":"a"}`,
		},
		"a CloudEvent": {
			router.Event{ID: "7", Type: "a", Source: "s", Key: "k", Time: at, Msg: []byte("{ \"specversion\" : \"1.0\",\"id\":\"7\",\"source\":\"s\",\"type\":\"a\",\"Odd_one\":{\"x\":1}, \"data_base64\":\"AA==\",\"time\":\"2026-01-01T00:00:00+02:00\"}\n")},
			"{ \"specversion\" : \"1.0\",\"id\":\"7\",\"source\":\"s\",\"type\":\"a\",\"Odd_one\":{\"x\":1}, \"data_base64\":\"AA==\",\"time\":\"2026-01-01T00:00:00+02:00\"}\n",
		},
		"a CloudEvent that lacks": {
			router.Event{ID: "7", Type: "a", Channel: "c", Time: at, Msg: []byte(`{"specversion":"1.0","id":7,"time":1795314624,"ext":"e"}`)},
			`{"specversion":"1.0","id":"7","time":"2026-11-21T22:30:00.005Z","ext":"e","source":"/signalbox/my%20bot/c","type":"a"}`,
		},
		"a CloudEvent with empty texts": {
			router.Event{ID: "1-0", Type: "a", Source: "", Channel: "c", Time: at, Msg: []byte(`{"specversion":"1.0","id":"","source":"","type":"a","time":null}`)},
			`{"specversion":"1.0","id":"1-0","source":"/signalbox/my%20bot/c","type":"a","time":null}`,
		},
		"invalid UTF-8 of a library's user": {
			router.Event{ID: "\xff", Type: "a", Source: "s"},
			`{"specversion":"1.0","id":"�","source":"s","type":"a"}`,
		},
	} {
		before := string(test.event.Msg)
		got := string(cloudEvent(&test.event, "my bot"))
		if got != test.want {
			t.Errorf("%s\ngives %s\nwant  %s", name, got, test.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: no JSON: %s", name, got)
		}
		if string(test.event.Msg) != before {
			t.Errorf("%s: the event's message was changed: %s", name, test.event.Msg)
		}
	}
}

// Whatever a message has, it is sent as a CloudEvent with all that is required, and one
// that was complete is sent as it is.
func FuzzCloudEvent(f *testing.F) {
	f.Add(`{"type":"a","data":1,"ext":"e","EXT":2,"data":3}`, "7")
	f.Add(`{"specversion":"1.0","id":7,"source":"","time":null,"a.b":{"*":1}}`, "")
	f.Add(`{"specversion":"1.0","id":"7","source":"s","type":"a","\u0064ata":1}`, "x\"y")
	f.Fuzz(func(t *testing.T, msg, id string) {
		if !json.Valid([]byte(msg)) || !strings.HasPrefix(strings.TrimSpace(msg), "{") {
			return
		}
		event := &router.Event{ID: id + "x", Type: "t", Channel: "c", Time: time.Unix(1, 0), Msg: []byte(msg), Data: []byte(msg)}
		got := cloudEvent(event, "s")
		if string(event.Msg) != msg || string(event.Data) != msg {
			t.Fatalf("the event was changed: %s", event.Msg)
		}
		if !json.Valid(got) {
			t.Fatalf("%s gives %s", msg, got)
		}
		complete := true
		for _, name := range []string{"specversion", "id", "source", "type"} {
			if v := gjson.GetBytes(got, name); v.Type != gjson.String || v.Str == "" || name == "specversion" && v.Str != "1.0" {
				t.Fatalf("%s gives %s, without %s", msg, got, name)
			}
			had := gjson.Get(msg, name)
			complete = complete && had.Type == gjson.String && had.Str != "" && (name != "specversion" || had.Str == "1.0")
		}
		if at := gjson.Get(msg, "time"); complete && !at.Exists() && string(got) != msg {
			t.Fatalf("%s was complete, and is %s", msg, got)
		}
	})
}
