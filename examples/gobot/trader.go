package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"signalbox/router"
)

// traderOptions are the options of the kind trader, as routes.toml writes them.
type traderOptions struct {
	Bot     string  `toml:"bot" doc:"whose commands to obey; required"`
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
func (o traderOptions) PublishesTo() []string { return []string{"bot_status"} }

// command is the data of an event on trade_commands.
type command struct {
	Bot    string `json:"bot"`
	Symbol string `json:"symbol"`
	Size   size   `json:"size"`
}

// size is written as a number or, so that no digit is lost on the way, as a text.
type size float64

// UnmarshalJSON reads both.
func (s *size) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil {
		return fmt.Errorf("size %s is no number", raw)
	}
	*s = size(value)
	return nil
}

// status is the data of an event on bot_status.
type status struct {
	Bot     string `json:"bot"`
	Command string `json:"command"` // the id of the command
	Symbol  string `json:"symbol,omitempty"`
}

// trader is the kind: it obeys commands and answers on bot_status.
func trader() router.Kind[traderOptions] {
	return router.Kind[traderOptions]{
		Name:     "trader",
		Doc:      "Obeys the trade commands for one bot.",
		Defaults: traderOptions{MaxSize: 1},
		New: func(env router.Env, options traderOptions) (router.Handler, error) {
			return router.JSON(func(ctx context.Context, event *router.Event, c command) error {
				if c.Bot != options.Bot {
					return nil // another bot's
				}
				answer := map[string]string{"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}[event.Type]
				switch {
				case answer == "":
					return router.Permanent(fmt.Errorf("no such command: %q", event.Type))
				case float64(c.Size) > options.MaxSize: // trying again would not make it smaller
					return router.Permanent(fmt.Errorf("size %v is more than max_size %v", c.Size, options.MaxSize))
				}
				// Here an order would go to the exchange.
				env.Log.Info("obeyed", "command", event.Type, "symbol", c.Symbol, "size", c.Size)
				data, err := json.Marshal(status{Bot: c.Bot, Command: event.ID, Symbol: c.Symbol})
				if err != nil {
					return router.Permanent(err)
				}
				return env.Publisher.Publish(ctx, "bot_status", router.Event{Type: answer, Data: data})
			}), nil
		},
	}
}
