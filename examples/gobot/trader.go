package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"signalbox/router"
)

// traderOptions are the options of the kind trader, as routes.toml writes them.
type traderOptions struct {
	Bot     string  `toml:"bot" required:"true" doc:"whose commands to obey"`
	MaxSize float64 `toml:"max_size" doc:"the largest order, in units of the symbol"`
}

// Validate is called when the configuration is loaded, also by check.
func (o traderOptions) Validate() error {
	if o.Bot == "" {
		return errors.New("bot: say whose commands to obey")
	}
	return nil
}

// PublishesTo lets check see that the channel is declared.
func (o traderOptions) PublishesTo() []string { return []string{BotStatusDeclared} }

// command is the data of an event on trade_commands.
type command struct {
	Bot    string `json:"bot"`
	Symbol string `json:"symbol"`
	Side   string `json:"side"`
	Size   size   `json:"size"`
}

// size is above 0, written as a number or, so that no digit is lost on the way, as a text.
type size float64

// UnmarshalJSON reads both.
func (s *size) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(value > 0) {
		return fmt.Errorf("size %q is no number above 0", raw)
	}
	*s = size(value)
	return nil
}

// status is the data of an event on bot_status.
type status struct {
	Bot      string `json:"bot"`
	State    string `json:"state"`
	Symbol   string `json:"symbol,omitempty"`
	Position string `json:"position"`
	Command  string `json:"command"` // the id of the command
}

// trade is one that is open, on paper.
type trade struct {
	command string // the id of the command that entered it
	size    size   // below 0: short
}

// trader is the kind: it trades on paper and answers on bot_status.
func trader() router.Kind[traderOptions] {
	return router.Kind[traderOptions]{
		Name:     "trader",
		Doc:      "Obeys the trade commands for one bot, on paper.",
		Defaults: traderOptions{MaxSize: 1},
		New: func(env router.Env, options traderOptions) (router.Handler, error) {
			b := &bot{options: options, env: env, open: map[string]trade{}}
			return router.JSON(b.obey), nil
		},
	}
}

// bot is a handler of kind trader.
type bot struct {
	options traderOptions
	env     router.Env

	mu   sync.Mutex // several routes may call a handler at once
	open map[string]trade
}

func (b *bot) obey(ctx context.Context, event *router.Event, c command) error {
	if c.Bot != b.options.Bot {
		return nil // another bot's
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event.Type {
	case TradeCommandsStart:
		return b.answer(ctx, event, BotStatusStarted, c.Symbol)
	case TradeCommandsStop:
		return b.answer(ctx, event, BotStatusStopped, c.Symbol)
	case TradeCommandsEnter:
		if err := b.enter(event, c); err != nil {
			return router.Permanent(err) // trying again would not mend it
		}
		return b.answer(ctx, event, BotStatusEntered, c.Symbol)
	case TradeCommandsExit:
		was, in := b.open[c.Symbol]
		if !in {
			return router.Permanent(fmt.Errorf("there is no trade in %q to exit", c.Symbol))
		}
		delete(b.open, c.Symbol)
		err := b.answer(ctx, event, BotStatusExited, c.Symbol)
		if err != nil {
			b.open[c.Symbol] = was // the next attempt exits
		}
		return err
	default:
		return router.Permanent(fmt.Errorf("no such command: %q", event.Type))
	}
}

// enter opens a trade. One that this command has opened already, in an attempt whose
// answer was lost, is as good.
func (b *bot) enter(event *router.Event, c command) error {
	was, in := b.open[c.Symbol]
	size := c.Size
	switch {
	case in && was.command == event.ID:
		return nil
	case c.Symbol == "" || size == 0:
		return errors.New("an enter needs data.symbol and data.size")
	case in:
		return fmt.Errorf("there is a trade in %q already; exit that before", c.Symbol)
	case float64(size) > b.options.MaxSize:
		return fmt.Errorf("size %v is more than max_size %v", size, b.options.MaxSize)
	case c.Side == "short":
		size = -size
	case c.Side != "" && c.Side != "long":
		return fmt.Errorf("side %q is neither long nor short", c.Side)
	}
	// Here an order would go to the exchange.
	b.open[c.Symbol] = trade{command: event.ID, size: size}
	b.env.Log.Info("entered on paper", "symbol", c.Symbol, "size", float64(size))
	return nil
}

// answer says what was done. Its id follows from the command's: whoever gets it twice can tell.
func (b *bot) answer(ctx context.Context, event *router.Event, state, symbol string) error {
	position := strconv.FormatFloat(float64(b.open[symbol].size), 'f', -1, 64)
	data, err := json.Marshal(status{Bot: b.options.Bot, State: state, Symbol: symbol, Position: position, Command: event.ID})
	if err != nil {
		return router.Permanent(err)
	}
	return b.env.Publisher.Publish(ctx, BotStatusDeclared, router.Event{ID: event.ID + "-" + state, Type: state, Data: data})
}
