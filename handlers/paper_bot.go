package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"signalbox/router"
)

// PaperBotOptions are the options of the kind paper_bot. All have a default.
type PaperBotOptions struct {
	Status    string   `toml:"status" doc:"the declared channel to answer on"`
	Bots      []string `toml:"bots" doc:"whose commands to obey (data.bot); empty: those of every bot"`
	FailEvery int      `toml:"fail_every" min:"0" doc:"of this many enters, one fails at its first attempt, to show what that looks like; 0: none"`
	Fail      string   `toml:"fail" doc:"the error of an enter that fails on purpose"`
}

func defaultPaperBotOptions() PaperBotOptions {
	return PaperBotOptions{Status: "bot_status", Fail: "exchange timeout"}
}

// Validate reports all that is wrong with the options.
func (o PaperBotOptions) Validate() error {
	var statusErr, botsErr, everyErr, failErr error
	if o.Status == "" {
		statusErr = errors.New(`status: name the declared channel to answer on, as in status = "bot_status"`)
	}
	if slices.Contains(o.Bots, "") {
		botsErr = errors.New("bots: a name is empty; leave bots out to obey the commands of every bot")
	}
	if o.FailEvery < 0 {
		everyErr = fmt.Errorf("fail_every: %d is negative; 0 is never", o.FailEvery)
	}
	if o.FailEvery > 0 && o.Fail == "" {
		failErr = errors.New(`fail: say what the error is, as in fail = "exchange timeout"`)
	}
	return errors.Join(statusErr, botsErr, everyErr, failErr)
}

// PublishesTo names the channel of the answers, so that a typo and a cycle are found when
// the configuration is loaded.
func (o PaperBotOptions) PublishesTo() []string { return []string{o.Status} }

// PaperBot is the kind that obeys trade commands on paper: start, stop, enter and exit,
// for one bot or many, with positions that are only remembered. It answers each with a
// status: started, stopped, entered or exited. It is for demos, for trying out routes, and
// as a pattern for a bot that trades.
//
// A command that comes a second time changes nothing and is answered as before. One that
// is early, such as an enter before its start, fails and may be tried again; one that makes no
// sense is a [router.Permanent] error; an answer that can't be published has the
// verdict that the kind publish gives.
func PaperBot() router.Kind[PaperBotOptions] {
	return router.Kind[PaperBotOptions]{
		Name:     "paper_bot",
		Doc:      "Obeys trade commands on paper and answers with the status of the bot.",
		Defaults: defaultPaperBotOptions(),
		New: func(env router.Env, options PaperBotOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			b := &paperBot{options: options, publisher: env.Publisher, log: env.Log, book: newPaperBook(options)}
			return router.JSON(b.obey), nil
		},
	}
}

// paperBot is a handler of kind paper_bot.
type paperBot struct {
	options   PaperBotOptions
	publisher *router.Publisher
	log       *slog.Logger
	book      *paperBook
}

// paperOrder is what a command says.
type paperOrder struct {
	Bot    string    `json:"bot"`
	Symbol string    `json:"symbol"`
	Side   string    `json:"side"`
	Size   paperSize `json:"size"`
}

// paperStatus is what the answer to a command says.
type paperStatus struct {
	Bot      string            `json:"bot"`
	State    string            `json:"state"`
	Symbol   string            `json:"symbol,omitempty"`
	Position string            `json:"position"`
	Open     map[string]string `json:"open,omitempty"` // positions by symbol, of start and stop
	Command  string            `json:"command"`        // the id of the command
}

func (b *paperBot) obey(ctx context.Context, event *router.Event, order paperOrder) error {
	if order.Bot == "" {
		return router.Permanent(fmt.Errorf("command %s: data.bot is missing: which bot is it for?", brief(event.Type)))
	}
	if len(b.options.Bots) > 0 && !slices.Contains(b.options.Bots, order.Bot) {
		return nil // somebody else's
	}
	if len(order.Bot) > maxPaperName {
		return router.Permanent(fmt.Errorf("command %s: data.bot: the name %s is longer than %d bytes", brief(event.Type), brief(order.Bot), maxPaperName))
	}
	status, err := b.book.obey(event, order)
	if err != nil {
		return err
	}
	answer := *status
	answer.Command = event.ID
	data, err := json.Marshal(answer)
	if err != nil {
		return router.Permanent(err)
	}
	if b.log != nil {
		b.log.Debug("obeyed on paper", eventAttrs(event, "bot", oneLine(status.Bot), "state", status.State, "symbol", oneLine(status.Symbol), "position", status.Position)...)
	}
	// The id follows from the command's, so that whoever gets the answer twice can tell.
	return forwardVerdict(b.publisher.Publish(ctx, b.options.Status, router.Event{
		ID: event.ID + "-" + status.State, Type: status.State, Source: "/bots/" + order.Bot, Data: data,
	}))
}
