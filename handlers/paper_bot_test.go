package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

// statusChannel is where a paper bot answers.
func statusChannel() router.Channel {
	return router.Channel{Name: "bot_status", Fields: router.Fields{Key: "data.bot"}, Types: []string{"started", "stopped", "entered", "exited"}}
}

// paperBot is a paper bot that sends to a publisher.
func paperBot(t *testing.T, out message.Publisher, change func(*handlers.PaperBotOptions)) router.Handler {
	t.Helper()
	options := handlers.PaperBot().Defaults
	if change != nil {
		change(&options)
	}
	open := func(router.Channel) (message.Publisher, error) { return out, nil }
	env := router.Env{Publisher: router.NewPublisher(router.Config{Channels: []router.Channel{statusChannel()}}, open)}
	handler, err := handlers.PaperBot().New(env, options)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func order(id, typ, data string) *router.Event {
	return &router.Event{ID: id, Type: typ, Channel: "trade_commands", Data: json.RawMessage(data)}
}

// answers is the type, id and data of each message.
func answers(t *testing.T, out *fakePublisher) (said []string) {
	t.Helper()
	for _, call := range out.calls {
		for _, payload := range call {
			var got struct {
				ID, Type, Source string
				Time             time.Time
				Data             json.RawMessage
			}
			if err := json.Unmarshal([]byte(payload), &got); err != nil || got.Time.IsZero() || !strings.HasPrefix(got.Source, "/bots/") {
				t.Errorf("%v: %s", err, payload)
			}
			said = append(said, fmt.Sprintf("%s %s %s", got.Type, got.ID, got.Data))
		}
	}
	return said
}

// The commands of the samples get the answers of the samples.
func TestPaperBotObeys(t *testing.T) {
	out := &fakePublisher{}
	bot := paperBot(t, out, nil)
	commands := bufio.NewScanner(strings.NewReader(`
{"id":"cmd-0","type":"start","data":{"bot":"momentum-1"}}
{"id":"cmd-1","type":"enter","data":{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02","limit":"97500.00"}}
{"id":"cmd-2","type":"enter","data":{"bot":"momentum-1","symbol":"BTCUSDT","size":1.005}}
{"id":"cmd-3","type":"enter","data":{"bot":"momentum-1","symbol":"ETHUSDT","side":"short","size":"3"}}
{"id":"cmd-4","type":"exit","data":{"bot":"momentum-1","symbol":"BTCUSDT","reason":"take-profit"}}
{"id":"cmd-5","type":"stop","data":{"bot":"momentum-1"}}
{"id":"cmd-6","type":"exit","data":{"bot":"momentum-1","symbol":"ETHUSDT"}}
{"id":"cmd-7","type":"start","data":{"bot":"momentum-1"}}
{"id":"cmd-8","type":"stop","data":{"bot":"other"}}`))
	for commands.Scan() {
		if commands.Text() == "" {
			continue
		}
		var command struct {
			ID, Type string
			Data     json.RawMessage
		}
		if err := json.Unmarshal(commands.Bytes(), &command); err != nil {
			t.Fatal(err)
		}
		if err := bot.Handle(t.Context(), order(command.ID, command.Type, string(command.Data))); err != nil {
			t.Errorf("%s: %v", commands.Text(), err)
		}
	}
	want := []string{
		`started cmd-0-started {"bot":"momentum-1","state":"started","position":"0","command":"cmd-0"}`,
		`entered cmd-1-entered {"bot":"momentum-1","state":"entered","symbol":"BTCUSDT","position":"0.02","command":"cmd-1"}`,
		`entered cmd-2-entered {"bot":"momentum-1","state":"entered","symbol":"BTCUSDT","position":"1.025","command":"cmd-2"}`,
		`entered cmd-3-entered {"bot":"momentum-1","state":"entered","symbol":"ETHUSDT","position":"-3","command":"cmd-3"}`,
		`exited cmd-4-exited {"bot":"momentum-1","state":"exited","symbol":"BTCUSDT","position":"0","command":"cmd-4"}`,
		`stopped cmd-5-stopped {"bot":"momentum-1","state":"stopped","position":"0","open":{"ETHUSDT":"-3"},"command":"cmd-5"}`,
		`exited cmd-6-exited {"bot":"momentum-1","state":"exited","symbol":"ETHUSDT","position":"0","command":"cmd-6"}`,
		`started cmd-7-started {"bot":"momentum-1","state":"started","position":"0","command":"cmd-7"}`,
		`stopped cmd-8-stopped {"bot":"other","state":"stopped","position":"0","command":"cmd-8"}`,
	}
	if got := answers(t, out); !slices.Equal(got, want) {
		t.Errorf("answered\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPaperBotRefuses(t *testing.T) {
	long := strings.Repeat("x", 129)
	// What comes before another route is through with the command before it is in order later.
	early := []string{"is not started", "has no position", "was never started"}
	for _, test := range []struct{ typ, data, want string }{
		{"enter", `{"bot":"b","symbol":"ETH","size":"1"}`, ""},
		{"enter", `{"symbol":"BTC","size":"1"}`, `command "enter": data.bot is missing: which bot is it for?`},
		{"enter", `{"bot":"new","symbol":"BTC","size":"1"}`, `enter: bot "new" is not started; send start before`},
		{"enter", `{"bot":"stopped","symbol":"BTC","size":"1"}`, `enter: bot "stopped" is not started; send start before`},
		{"enter", `{"bot":"b","size":"1"}`, `enter: data.symbol is missing: enter what?`},
		{"enter", `{"bot":"b","symbol":"` + long + `","size":"1"}`, `enter: the symbol "` + long[:64] + `…" is longer than 128 bytes`},
		{"enter", `{"bot":"` + long + `","symbol":"BTC","size":"1"}`, `command "enter": data.bot: the name "` + long[:64] + `…" is longer than 128 bytes`},
		{"enter", `{"bot":"b","symbol":"BTC"}`, `enter: data.size is missing: how much?`},
		{"enter", `{"bot":"b","symbol":"BTC","size":null}`, `enter: data.size is missing: how much?`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"1","side":"up\n"}`, `enter: data.side is "up\n"; it can be long or short`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"1","side":"short"}`, `enter: bot "b" is long 0.50 "BTC"; exit that before you go short`},
		{"exit", `{"bot":"b"}`, `exit: data.symbol is missing: exit what?`},
		{"exit", `{"bot":"b","symbol":"DOGE"}`, `exit: bot "b" has no position in "DOGE"`},
		{"exit", `{"bot":"new","symbol":"BTC"}`, `exit: bot "new" was never started`},
		{"entre", `{"bot":"b"}`, `no such command: "entre"; a paper bot knows start, stop, enter, exit`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"-1"}`, `size: "-1" is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"1e9"}`, `size: "1e9" is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":"b","symbol":"BTC","size":0.00}`, `size: "0.00" is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"1/3"}`, `size: "1/3" is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":"b","symbol":"BTC","size":"` + strings.Repeat("9", 41) + `"}`, `is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":"b","symbol":"BTC","size":[]}`, `size: "[]" is no decimal number above 0, such as 0.02`},
		{"enter", `{"bot":7}`, `data of type "enter":`},
	} {
		out := &fakePublisher{}
		bot := paperBot(t, out, nil)
		for i, before := range []*router.Event{
			order("", "start", `{"bot":"stopped"}`), order("", "stop", `{"bot":"stopped"}`),
			order("", "start", `{"bot":"b"}`), order("", "enter", `{"bot":"b","symbol":"BTC","size":"0.50"}`),
		} {
			before.ID = fmt.Sprint("before-", i)
			if err := bot.Handle(t.Context(), before); err != nil {
				t.Fatal(err)
			}
		}
		said := len(out.calls)
		err := bot.Handle(t.Context(), order("x", test.typ, test.data))
		switch {
		case test.want == "":
			if err != nil {
				t.Errorf("%s %s: %v", test.typ, test.data, err)
			}
		case err == nil || !strings.Contains(err.Error(), test.want) ||
			router.IsPermanent(err) == slices.ContainsFunc(early, func(why string) bool { return strings.Contains(test.want, why) }):
			t.Errorf("%s %s: %v\nwant %s", test.typ, test.data, err, test.want)
		case len(out.calls) > said:
			t.Errorf("%s %s: answered %s", test.typ, test.data, out.calls[said])
		}
	}
}

// A command twice is one trade and, as the first answer may have been lost, two answers
// that are one to whoever looks at the id.
func TestPaperBotEntersOnce(t *testing.T) {
	boom := errors.New("boom")
	out := &fakePublisher{}
	bot := paperBot(t, out, nil)
	if err := bot.Handle(t.Context(), order("1", "start", `{"bot":"b"}`)); err != nil {
		t.Fatal(err)
	}
	enter := order("2", "enter", `{"bot":"b","symbol":"BTC","size":"0.02"}`)
	for _, failure := range []error{boom, context.Canceled, nil, nil} {
		out.calls, out.err = nil, failure
		err := bot.Handle(t.Context(), enter)
		_, away := router.IsUnavailable(err)
		if (err == nil) != (failure == nil) || away != errors.Is(failure, boom) {
			t.Errorf("when the publisher says %v: %v", failure, err)
		}
		want := []string{`entered 2-entered {"bot":"b","state":"entered","symbol":"BTC","position":"0.02","command":"2"}`}
		if got := answers(t, out); !slices.Equal(got, want) {
			t.Errorf("answered %q", got)
		}
	}
	// The same id on another channel is another command.
	enter.Channel = "other"
	out.calls = nil
	if err := bot.Handle(t.Context(), enter); err != nil || !strings.Contains(fmt.Sprint(out.calls), `"position":"0.04"`) {
		t.Errorf("%v, answered %s", err, out.calls)
	}
}

func TestPaperBotFailsOnPurpose(t *testing.T) {
	out := &fakePublisher{}
	bot := paperBot(t, out, func(o *handlers.PaperBotOptions) { o.FailEvery = 3 })
	if err := bot.Handle(t.Context(), order("0", "start", `{"bot":"b"}`)); err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for n := 1; n <= 7; n++ {
		enter := order(fmt.Sprint(n), "enter", `{"bot":"b","symbol":"BTC","size":"1"}`)
		err := bot.Handle(t.Context(), enter)
		attempts = append(attempts, describe(err))
		if err != nil {
			if again := bot.Handle(t.Context(), enter); again != nil {
				t.Errorf("the second attempt of %d: %v", n, again)
			}
		}
	}
	want := []string{"done", "done", "exchange timeout", "done", "done", "exchange timeout", "done"}
	if !slices.Equal(attempts, want) {
		t.Errorf("first attempts %q, want %q", attempts, want)
	}
	if last := out.calls[len(out.calls)-1][0]; !strings.Contains(last, `"position":"7"`) {
		t.Errorf("after 7 enters: %s", last)
	}
}

func TestPaperBotIsForItsBots(t *testing.T) {
	out := &fakePublisher{}
	bot := paperBot(t, out, func(o *handlers.PaperBotOptions) { o.Bots = []string{"a", "b"} })
	for _, name := range []string{"a", "b", "c"} {
		if err := bot.Handle(t.Context(), order(name, "start", fmt.Sprintf(`{"bot":%q}`, name))); err != nil {
			t.Error(err)
		}
	}
	if got := answers(t, out); len(got) != 2 {
		t.Errorf("answered %q", got)
	}
}

// However many bots, positions and commands somebody makes up, memory has a limit.
func TestPaperBotForgets(t *testing.T) {
	bot := paperBot(t, &fakePublisher{}, nil)
	send := func(id int, typ, data string) error { return bot.Handle(t.Context(), order(fmt.Sprint(id), typ, data)) }
	refused := 0
	for n := range 1100 {
		if err := send(n, "start", fmt.Sprintf(`{"bot":"b%d"}`, n)); err != nil {
			if refused++; !router.IsPermanent(err) {
				t.Fatal(err)
			}
		}
	}
	if refused != 100 {
		t.Errorf("%d of 1,100 bots were refused", refused)
	}
	refused = 0
	for n := range 1100 {
		if err := send(2000+n, "enter", fmt.Sprintf(`{"bot":"b1","symbol":"S%d","size":"1"}`, n)); err != nil {
			if refused++; !router.IsPermanent(err) {
				t.Fatal(err)
			}
		}
	}
	if refused != 100 {
		t.Errorf("%d of 1,100 positions were refused", refused)
	}
	// The last 4,096 commands are known, and none before.
	out := &fakePublisher{}
	bot = paperBot(t, out, nil)
	enter := `{"bot":"b","symbol":"BTC","size":"1"}`
	for id, typ := range []string{"start", "enter"} {
		if err := send(id, typ, enter); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 4095 {
		if err := send(10+n, "stop", `{"bot":"other"}`); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`"position":"1"`, `"position":"2"`} {
		if err := send(1, "enter", enter); err != nil {
			t.Fatal(err)
		}
		if last := out.calls[len(out.calls)-1][0]; !strings.Contains(last, want) {
			t.Errorf("%s, want %s", last, want)
		}
		if err := send(9000, "stop", `{"bot":"other"}`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPaperBotTakesCommandsAtOnce(t *testing.T) {
	out := &lockedPublisher{}
	bot := paperBot(t, out, nil)
	if err := bot.Handle(t.Context(), order("0", "start", `{"bot":"b"}`)); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for n := range 100 {
				if err := bot.Handle(t.Context(), order(fmt.Sprint("e", n), "enter", `{"bot":"b","symbol":"BTC","size":"1"}`)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := bot.Handle(t.Context(), order("last", "stop", `{"bot":"b"}`)); err != nil {
		t.Fatal(err)
	}
	if last := out.calls[len(out.calls)-1][0]; !strings.Contains(last, `"open":{"BTC":"100"}`) {
		t.Errorf("100 enters, four times each: %s", last)
	}
}

type lockedPublisher struct {
	mu sync.Mutex
	fakePublisher
}

func (p *lockedPublisher) Publish(topic string, msgs ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fakePublisher.Publish(topic, msgs...)
}

func TestPaperBotOptions(t *testing.T) {
	defaults := handlers.PaperBot().Defaults
	if err := defaults.Validate(); err != nil || !slices.Equal(defaults.PublishesTo(), []string{"bot_status"}) {
		t.Errorf("%v, publishes to %q", err, defaults.PublishesTo())
	}
	err := handlers.PaperBotOptions{Bots: []string{"a", ""}, FailEvery: -1}.Validate()
	want := `status: name the declared channel to answer on, as in status = "bot_status"
bots: a name is empty; leave bots out to obey the commands of every bot
fail_every: -1 is negative; 0 is never`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	err = handlers.PaperBotOptions{Status: "s", FailEvery: 1}.Validate()
	if want := `fail: say what the error is, as in fail = "exchange timeout"`; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if _, err := handlers.PaperBot().New(router.Env{}, handlers.PaperBotOptions{}); err == nil {
		t.Error("New makes a handler without a channel for its answers")
	}
}

func ExamplePaperBot() {
	options := handlers.PaperBot().Defaults
	options.FailEvery = 1 // each enter fails once
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "trade_commands"}, {Name: "bot_status"}},
		Handlers: []router.HandlerSpec{spec(handlers.PaperBot(), options)},
		Routes: []router.Route{{
			Channel: "trade_commands", Types: []string{"start", "stop", "enter", "exit"}, Handler: "paper_bot",
			Policy: router.Policy{Retry: router.Retry{Attempts: 3, Backoff: time.Millisecond}},
		}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()
	box.Send("trade_commands",
		`{"id":"c-1","type":"start","data":{"bot":"momentum-1"}}`,
		`{"id":"c-2","type":"enter","data":{"bot":"momentum-1","symbol":"BTCUSDT","size":"0.02"}}`,
		`{"id":"c-3","type":"exit","data":{"bot":"momentum-1"}}`,
	)
	for _, outcome := range box.Outcomes() {
		if outcome.Err != nil {
			fmt.Println(outcome.Result, outcome.Err)
		}
	}
	for _, sent := range box.Published("bot_status") {
		var status struct {
			Type string
			Data struct{ Bot, Position string }
		}
		if err := json.Unmarshal([]byte(sent), &status); err != nil {
			fmt.Println(err)
		}
		fmt.Println(status.Data.Bot, status.Type, status.Data.Position)
	}
	// Output:
	// retried exchange timeout
	// failed exit: data.symbol is missing: exit what?
	// momentum-1 started 0
	// momentum-1 entered 0.02
}
