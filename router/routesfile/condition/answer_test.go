package condition

import (
	"fmt"
	"testing"

	"signalbox/router"
)

// said is an answer in a line.
func said(a Answer) string {
	switch {
	case a.Matches:
		return "true"
	case a.Unknown:
		return "unknown: " + a.Clause
	case a.Err != nil:
		return fmt.Sprintf("error: %v: %s: %s", a.Err, a.Clause, a.Values)
	default:
		return fmt.Sprintf("%s: %s", a.Clause, a.Values)
	}
}

func explained(t testing.TB, text string, of *router.Event, unknown ...string) string {
	t.Helper()
	c, err := NewCompiler("momentum")
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Explain(text, of, unknown...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	when, err := c.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	if matches, err := when(of); len(unknown) == 0 && (matches != a.Matches || fmt.Sprint(err) != fmt.Sprint(a.Err)) {
		t.Errorf("%s: %+v, and the condition itself is %t, %v", text, a, matches, err)
	}
	return said(a)
}

// TestExplain asks why conditions are not true of one message.
func TestExplain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`event.data.bot == service`:                 `true`,
		`event.data.bot == "other"`:                 `event.data.bot == "other": "momentum" == "other"`,
		`"other" == event.data.bot`:                 `"other" == event.data.bot: "other" == "momentum"`,
		`event.data.yes && event.data.celsius > 90`: `event.data.celsius > 90: 80.5 > 90`,
		`event.data.yes && event.key == "BTC" && event.data.count in [4, 5] && event.id == "8"`: `event.data.count in [4, 5]: 3 in [4, 5]`,
		`event.data.bot != service`:                          `event.data.bot != service: "momentum" != "momentum"`,
		`event.data.bot.startsWith("car")`:                   `event.data.bot.startsWith("car"): event.data.bot is "momentum"`,
		`!event.data.yes`:                                    `!event.data.yes: event.data.yes is true`,
		`!(event.data.count == 3)`:                           `!(event.data.count == 3): 3 == 3`,
		`event.replayed`:                                     `event.replayed: event.replayed is false`,
		`event.key == "ETH" || event.data.count > 5`:         `event.key == "ETH" || event.data.count > 5: event.key is "BTC", event.data.count is 3`,
		`event.data.count > 2 ? event.data.none == 1 : true`: `(event.data.count > 2) ? (event.data.none == 1) : true: event.data.count is 3, event.data.none is null`,
		`event.time > timestamp("2027-01-01T00:00:00Z")`:     `event.time > timestamp("2027-01-01T00:00:00Z"): 2026-11-21T23:30:00Z > 2027-01-01T00:00:00Z`,
		`event.data.order == {"side": "sell"}`:               `event.data.order == {"side": "sell"}: {"side":"buy"} == {"side": "sell"}`,
		`event.data.tags == ["a"]`:                           `event.data.tags == ["a"]: ["a","b"] == ["a"]`,
		`event.data.tags[1] == "c"`:                          `event.data.tags[1] == "c": "b" == "c"`,
		`size(event.data.tags) == 3`:                         `size(event.data.tags) == 3: 2 == 3`,
		`double(event.data.p) > 98000`:                       `double(event.data.p) > 98000: 97000.5 > 98000`,
		`event.data.big == 9007199254740992`:                 `event.data.big == 9007199254740992: 9007199254740993 == 9007199254740992`,
		`event.data.items.exists(i, i.symbol == "SOL")`:      `event.data.items.exists(i, i.symbol == "SOL"): event.data.items is [{"symbol":"BTC","n":1},{"symbol":"ETH","n":2}]`,
		`service == "other"`:                                 `service == "other": `,
		// what the message lacks
		`event.data.nothing == 1`:                          `event.data.nothing == 1: event.data.nothing is missing`,
		`event.data.nothing.deeper == 1`:                   `event.data.nothing.deeper == 1: event.data.nothing is missing`,
		`event.data.bot.deeper == 1`:                       `event.data.bot.deeper == 1: event.data.bot.deeper is missing`,
		`event.data["a c"] == 1`:                           `event.data["a c"] == 1: event.data["a c"] is missing`,
		`event.data.tags[2] == "c"`:                        `event.data.tags[2] == "c": event.data.tags[2] is missing`,
		`event.data[service] == 1`:                         `event.data[service] == 1: `,
		`has(event.data.nothing)`:                          `has(event.data.nothing): event.data.nothing is missing`,
		`!has(event.data.bot)`:                             `!has(event.data.bot): event.data.bot is "momentum"`,
		`has(event.data.bot) == false`:                     `has(event.data.bot) == false: true == false`,
		`event.data.nothing == 1 && event.data.count == 4`: `event.data.count == 4: 3 == 4`,
		`event.data.nothing == 1 && event.data.yes`:        `event.data.nothing == 1: event.data.nothing is missing`,
		`event.data.nothing == 1 || event.data.yes`:        `true`,
		// other types
		`event.data.yes && event.data.p > 97000`: `error: data.p is a string: write double(event.data.p): event.data.p > 97000: "97000.5" > 97000`,
		`double(event.data.word) > 5`:            `error: double(event.data.word): the value cannot be converted: double(event.data.word) > 5: event.data.word is "five"`,
		`event.data.bot`:                         `error: the condition is a string, not true or false; compare it with something: event.data.bot: event.data.bot is "momentum"`,
	} {
		if got := explained(t, text, event(t, message)); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestExplainWithoutData asks about an event of which only the type is known.
func TestExplainWithoutData(t *testing.T) {
	t.Parallel()
	of := &router.Event{Type: "enter", Channel: "commands", Name: "commands"}
	for text, want := range map[string]string{
		`event.data.bot == service`:                                   `unknown: event.data.bot == service`,
		`event.type == "exit"`:                                        `event.type == "exit": "enter" == "exit"`,
		`event.type == "enter" && service == "momentum"`:              `true`,
		`event.data.bot == service && event.type == "exit"`:           `event.type == "exit": "enter" == "exit"`,
		`event.type == "enter" && !has(event.msg.x)`:                  `unknown: !has(event.msg.x)`,
		`event.type == "enter" || event.data.bot == "x"`:              `true`,
		`event.type == "exit" || event.data.bot == "x"`:               `unknown: event.type == "exit" || event.data.bot == "x"`,
		`!(event.type == "exit")`:                                     `true`,
		`event.data.items.exists(i, i.symbol == event.type)`:          `unknown: event.data.items.exists(i, i.symbol == event.type)`,
		`event.type.startsWith(event.id)`:                             `unknown: event.type.startsWith(event.id)`,
		`event.type == "enter" && 1 / int(size(event.type) - 5) == 1`: `error: division by zero: 1 / int(size(event.type) - 5) == 1: event.type is "enter"`,
	} {
		if got := explained(t, text, of, "data", "msg", "id"); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// FuzzExplain looks for messages on which explaining panics, or differs from the
// condition itself.
func FuzzExplain(f *testing.F) {
	for _, text := range []string{
		`event.data.bot == service && event.data.p > 5`,
		`event.data.items.exists(i, i.symbol == "ETH") || !has(event.msg.data["a b"].c)`,
		`event.data[event.key] in event.data.tags && event.data.order == {"a": event.data.count}`,
	} {
		f.Add(text, message)
		f.Add(text, `{"data":{"bot":"\ud800","p":[1,{"x":null}],"p":2}}`)
		f.Add(text, `[`)
	}
	c, err := NewCompiler("momentum")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, msg string) {
		when, err := c.Compile(text)
		a, also := c.Explain(text, event(t, msg))
		if (err == nil) != (also == nil) {
			t.Fatalf("Compile: %v, Explain: %v", err, also)
		}
		if err != nil {
			return
		}
		matches, err := when(event(t, msg))
		if matches != a.Matches || (err == nil) != (a.Err == nil) {
			t.Errorf("the condition is %t, %v, and explained as %+v", matches, err, a)
		}
		if _, err := c.Explain(text, event(t, msg), "data", "key"); err != nil {
			t.Error(err)
		}
	})
}
