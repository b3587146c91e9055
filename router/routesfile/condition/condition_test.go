package condition

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/router"
)

const message = `{"id":"7","type":"enter","time":"2026-11-21T23:30:00Z","data":{"bot":"momentum","p":"97000.5","count":3,"celsius":80.5,
	"big":9007199254740993,"huge":18446744073709551615,"none":null,"yes":true,"at":"2026-11-21T23:29:58Z","wait":"90s",
	"items":[{"symbol":"BTC","n":1},{"symbol":"ETH","n":2}],"tags":["a","b"],"order":{"side":"buy"},"a b":"c","word":"five","esc":"a\"b"}}`

func event(t testing.TB, msg string) *router.Event {
	t.Helper()
	data := msg
	if _, rest, ok := strings.Cut(msg, `"data":`); ok {
		data = strings.TrimSuffix(rest, "}")
	}
	return &router.Event{
		ID: "7", Type: "enter", Source: "/desk", Time: time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC), Key: "BTC",
		Channel: "commands", Name: "trade:commands", Data: []byte(data), Msg: []byte(msg),
	}
}

func compile(t testing.TB, text string) router.Condition {
	t.Helper()
	c, err := NewCompiler("momentum")
	if err != nil {
		t.Fatal(err)
	}
	condition, err := c.Compile(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return condition
}

// TestConditions asks expressions about one message: true, false, or the error.
func TestConditions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// the fields
		`event.data.bot == service`: "true",
		`event.data.bot == "other"`: "false",
		`event.id == "7" && event.type == "enter" && event.source == "/desk" && event.key == "BTC"`: "true",
		`event.channel == "commands" && event.name.startsWith("trade:")`:                            "true",
		`event.time == timestamp("2026-11-21T23:30:00Z")`:                                           "true",
		`event.time.getHours() == 23`:                                                               "true",
		`event.time - timestamp(event.data.at) < duration("5s")`:                                    "true",
		`event.msg.type == event.type && event.msg.data.bot == event.data.bot`:                      "true",
		`has(event.key) && has(event.data) && has(event.data.bot) && !has(event.data.nothing)`:      "true",
		`!event.replayed && !has(event.replayed)`:                                                   "true",
		`service.startsWith("mom")`:                                                                 "true",
		// numbers
		`event.data.celsius > 80`:                           "true",
		`event.data.count > 2 && event.data.count < 3.5`:    "true",
		`event.data.count == 3`:                             "true",
		`event.data.count * 2.0 == 6.0`:                     "true",
		`event.data.big == 9007199254740993`:                "true",
		`event.data.big == 9007199254740992`:                "false",
		`event.data.big > 9007199254740992`:                 "true",
		`event.data.huge == 18446744073709551615u`:          "true",
		`double(event.data.p) > 97000`:                      "true",
		`int(event.data.count) % 2 == 1`:                    "true",
		`event.data.count in [1, 2, 3]`:                     "true",
		`event.data.celsius >= 80 ? event.data.yes : false`: "true",
		// shapes
		`event.data.order.side == "buy"`:                            "true",
		`event.data["a b"] == "c"`:                                  "true",
		`event.data.esc == 'a"b'`:                                   "true",
		`event.data.tags[1] == "b"`:                                 "true",
		`event.data.items[1].symbol == "ETH"`:                       "true",
		`event.data.tags == ["a", "b"]`:                             "true",
		`event.data.order == {"side": "buy"}`:                       "true",
		`{"side": "buy"} == event.data.order`:                       "true",
		`size(event.data.tags) == 2 && size(event.data.order) == 1`: "true",
		`"b" in event.data.tags`:                                    "true",
		`"side" in event.data.order && !("x" in event.data.order)`:  "true",
		`event.data.bot in ["momentum", "carry"]`:                   "true",
		`event.data.none == null`:                                   "true",
		`event.data.yes`:                                            "true",
		`type(event.data.order) == map`:                             "true",
		`event.data.bot.matches("^mo.*m$")`:                         "true",
		// loops
		`event.data.items.exists(i, i.symbol == "ETH" && i.n > 1)`: "true",
		`event.data.items.all(i, i.n < 2)`:                         "false",
		`event.data.items.filter(i, i.n > 1).size() == 1`:          "true",
		`event.data.order.exists(k, k == "side")`:                  "true",
		`event.data.tags.map(x, x + "!") == ["a!", "b!"]`:          "true",
		// members that the message lacks
		`event.data.nothing == 1`:                    "false",
		`event.data.nothing != 1`:                    "false",
		`!(event.data.nothing == 1)`:                 "false",
		`event.data.nothing == 1 || event.data.yes`:  "true",
		`event.data.none.deeper == 1`:                "false",
		`event.data.bot.deeper == 1`:                 "false",
		`event.data.tags[2] == "c"`:                  "false",
		`event.data.items.exists(i, i.nothing == 1)`: "false",
		`has(event.data.nothing.deeper)`:             "false",
		`event.data[service] == 1`:                   "false",
		// other types
		`event.data.bot == 5`:                            "false",
		`event.data.p > 97000`:                           `data.p is a string: write double(event.data.p)`,
		`97000.0 < event.data.p`:                         `data.p is a string: write double(event.data.p)`,
		`event.data.p > event.data.count`:                `data.p is a string: write double(event.data.p)`,
		`event.data.p * 2.0 > 5.0`:                       `data.p is a string: write double(event.data.p)`,
		`event.data["p"] > 5`:                            `data["p"] is a string: write double(event.data["p"])`,
		`event.data.count * 2 > 5`:                       `data.count is a double: write 2.0`,
		`event.data.count + size(event.data.tags) > 3.0`: `data.count is a double: write double(size(event.data.tags))`,
		`event.data.count % 2 == 0`:                      `data.count is a double: write int(event.data.count)`,
		`event.data.at < event.time`:                     `data.at is a string: write timestamp(event.data.at)`,
		`event.data.wait > duration("1m")`:               `data.wait is a string: write duration(event.data.wait)`,
		`event.data.count > "2"`:                         `data.count is a double: write string(event.data.count)`,
		`event.data.count.startsWith("2")`:               `data.count is a double: write string(event.data.count)`,
		`event.data.none > 5`:                            `event.data.none > 5: data.none is null does not fit`,
		`event.data.tags > 5`:                            `event.data.tags > 5: data.tags is a list does not fit`,
		`event.data.bot && true`:                         `data.bot is a string: write event.data.bot == "…"`,
		`!event.data.bot`:                                `data.bot is a string: write event.data.bot == "…"`,
		`event.data.bot`:                                 `the condition is a string, not true or false; compare it with something`,
		`event.data.items.exists(i, i.symbol > 5)`:       `i.symbol > 5: a value has another type than this needs; write double(…) around a number in text, and 2.0 rather than 2 beside a number`,
		`event.data.items.exists(i, event.data.p > 5)`:   `data.p is a string: write double(event.data.p)`,
		`double(event.data.word) > 5`:                    `double(event.data.word): the value cannot be converted`,
		`timestamp(event.data.word) > event.time`:        `timestamp(event.data.word): the value cannot be converted`,
		`int(event.data.count) / 0 == 1`:                 `division by zero`,
		`event == event`:                                 `event is no value; compare its fields`,
	} {
		matches, err := compile(t, text)(event(t, message))
		got := "false"
		if matches {
			got = "true"
		}
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestData asks about messages whose data is no object, or not what it seems.
func TestData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, msg, want string }{
		{`event.data.x == 1`, `{"type":"a","x":1}`, "true"},
		{`event.data == 5`, `{"type":"a","data":5}`, "true"},
		{`event.data == "x"`, `{"type":"a","data":"x"}`, "true"},
		{`event.data.x == 1`, `{"type":"a","data":"x"}`, "false"},
		{`event.data.x == 1`, `{"type":"a","data":null}`, "false"},
		{`event.data[0] == 1`, `{"type":"a","data":[1]}`, "true"},
		{`event.data.x == 1`, `{"type":"a","data":[1]}`, "false"},
		{`event.data.x == 1`, `{"type":"a","data":{"x":1,"x":2}}`, `the message has the member "x" twice in one object`},
		{`event.data.x.y == 1`, `{"type":"a","data":{"x":1,"x":2}}`, `the message has the member "x" twice in one object`},
		{`has(event.data.x)`, `{"type":"a","data":{"x":1,"x":2}}`, "true"},
		{`event.data == {}`, `{"type":"a","data":{"x":1,"x":2}}`, `the message has the member "x" twice in one object`},
		{`event.data.all(k, true)`, `{"type":"a","data":{"x":1,"\u0078":2}}`, `the message has the member "x" twice in one object`},
		{`event.data == []`, `{"type":"a","data":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "the message nests deeper than 1000 levels"},
		{`event.data.all(x, event.data.all(y, x + y < 0.0 || true))`, `{"type":"a","data":[` + strings.Repeat("1,", 5000) + `1]}`, "the condition takes more than 1000000 steps on this message; loop over less, or send less"},
	} {
		start := time.Now()
		matches, err := compile(t, c.text)(event(t, c.msg))
		got := "false"
		if matches {
			got = "true"
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s on %.60s\n got %s\nwant %s", c.text, c.msg, got, c.want)
		}
		if took := time.Since(start); took > patience {
			t.Errorf("%s on %.60s took %v", c.text, c.msg, took)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	c, err := NewCompiler("momentum")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`event.typo == "x"`:         `event has no field "typo"; did you mean "type"?`,
		`event.bot == "x"`:          `1:7: event has no field "bot"; fields: channel, data, id, key, msg, name, replayed, source, time, type; a member of the message's data is event.data.bot`,
		`event.type == "a" or true`: `1:19: "or" is nothing in CEL; write ||`,
		`not event.data.x`:          `1:1: "not" is nothing in CEL; write !a`,
		`event.id & true`:           `1:10: & alone is nothing in CEL; write &&`,
		`(event.type == "a"`:        `1:19: a ) is missing here`,
		`event.type "a"`:            `1:12: the text "a" cannot stand here; it is not closed, or an operator such as == is missing before it`,
		`event.type == "a`:          `1:15: the text "a cannot stand here`,
		`event.data.é == "a"`:       `1:12: é cannot stand here; a member whose name is not letters, digits and _ is written event.data["name"]`,
		`event.id.startswith("a")`:  `1:10: unknown function "startswith"; did you mean "startsWith"?`,
		`has(event.bot)`:            `event has no field "bot"; fields: channel, data, id, key, msg, name, replayed, source, time, type`,
		`evnt.data.bot == "x"`:      `unknown name "evnt"; did you mean "event"?`,
		`event.data.bot == alpha`:   `unknown name "alpha"; text needs quotes, "alpha", and members are event.data.alpha`,
		`event.data.bot = service`:  `1:16: = alone is nothing in CEL; write == to compare`,
		`event.data.bot ==`:         `1:18: the condition ends too early`,
		`"a"`:                       `the condition is a string, not true or false; compare it with something`,
		`1 + 1`:                     `the condition is an int, not true or false; compare it with something`,
		`event.time`:                `the condition is a timestamp, not true or false; compare it with something`,
		`event.id > 5`:              `1:10: > cannot be applied to (string, int); a text is compared with a text: put the other side in quotes`,
		`event.data.n * 2.0 == 6`:   `1:20: == cannot be applied to (double, int); write 2.0 rather than 2 beside a double`,
		`event.time > "2026"`:       `1:12: > cannot be applied to (timestamp, string); write a time as timestamp("2026-11-21T23:30:00Z")`,
		`true && event.id`:          `expected type 'bool' but found 'string'`,
		``:                          `the condition is empty; remove it, or write one such as event.data.bot == service`,
		`Event{id: "x"}.id == "x"`:  `the condition makes a message; it can only compare values`,
		`[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))`: `the condition has 4 loops (all, exists, …) one within the other; write 3 at most`,
		strings.Repeat("(", 5000):                              `the condition has more than 4096 characters; write less`,
		strings.Repeat("(", 200):                               `expression recursion limit exceeded: 100`,
		"true &&\n evnt.x":                                     `unknown name "evnt"; did you mean "event"?`,
		"true\n&& 1 + true == 2":                               `2:6: + cannot be applied to (int, bool)`,
		`event.id.matches("(")`:                                `the regular expression is wrong: missing closing )`,
		`event.data.x is None`:                                 `1:14: "is" is nothing in CEL; write == null`,
		`event.data.x in ("a", "b")`:                           `a list is written [a, b], not (a, b)`,
		`len(event.data.x) > 1`:                                `1:1: unknown function "len"; did you mean "size"?`,
		`event.data.x <> 1`:                                    `1:14: <> is nothing in CEL; write !=`,
		`1 < event.data.x < 5`:                                 `write a < b && b < c`,
		`data.x > 1`:                                           `1:1: unknown name "data"; write event.data`,
		`event["type"] == "a"`:                                 `a field of event is written with a dot`,
		`event.data.last-price > 1`:                            `a member with a - in its name is written ["last-price"]`,
		`service.name == "a"`:                                  `1:9: service is a text and has no member "name"`,
		`event.time > now()`:                                   `a condition knows no present time`,
		`duration("1 day") > duration("1s")`:                   `the duration is wrong`,
	} {
		_, err := c.Compile(text)
		if err == nil {
			t.Errorf("%.50s: no error", text)
			continue
		}
		got := err.Error()
		if at, ok := errors.AsType[*Mistake](err); ok {
			got = fmt.Sprintf("%d:%d: %s", at.Line, at.Column, got)
		}
		if strings.ContainsAny(got, "\n\r") || !strings.Contains(got, want) {
			t.Errorf("%.50s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`event.data.bot == service`, `event.data.items.exists(i, i.n > 1)`, `event.data.p > 5`, `event.data.bot in ["a", 1] || event.data.tags[0] == "a"`} {
		condition := compile(t, text)
		first, firstErr := condition(event(t, message))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 200 {
					matches, err := condition(event(t, message))
					if matches != first || (err == nil) != (firstErr == nil) || err != nil && err.Error() != firstErr.Error() {
						t.Errorf("%s is %t, %v; at first %t, %v", text, matches, err, first, firstErr)
						return
					}
				}
			})
		}
		all.Wait()
	}
}

func BenchmarkCondition(b *testing.B) {
	const short = `{"id":"7","type":"enter","time":"2026-11-21T23:30:00Z","data":{"bot":"momentum","symbol":"BTCUSDT","side":"buy","size":0.5,"price":"97393.22"}}`
	for _, text := range []string{
		`event.data.bot == service`, `event.data.bot == "other"`, `event.data.nothing == service`, `event.key == service`, `event.data.size > 0.1`,
		`double(event.data.price) > 97000`, `event.data.price > 97000`, `event.data.exists(k, k == "side")`,
	} {
		b.Run(text, func(b *testing.B) {
			condition, one := compile(b, text), event(b, short)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = condition(one)
			}
		})
	}
}

// FuzzWhen checks on any expression and message that neither compiling nor asking
// panics or lingers.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{
		`event.data.bot == service`, `event.data.p > 97000`, `event.data.items.exists(i, i.n > 1)`, `event.typo`, `has(event.data.x)`,
		`event.data == event.msg`, `event.data.all(x, event.data.all(y, x == y))`, `event.data[0] in event.data`, `-event.data.p`, `event.data ? 1 : 2`, `event.id.matches("(a+)+$")`,
	} {
		f.Add(text, message)
		f.Add(text, `{"data":[1,"a",{"b":[null,true]}]}`)
	}
	c, err := NewCompiler("momentum")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, msg string) {
		start := time.Now()
		condition, err := c.Compile(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("more than a line: %q", err)
			}
			return
		}
		matches, err := condition(event(t, msg))
		if matches && err != nil {
			t.Fatalf("true with an error: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if took := time.Since(start); took > patience {
			t.Fatalf("took %v", took)
		}
	})
}
