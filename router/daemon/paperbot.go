package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"signalbox/router"
)

// statusOf is what the paper bot answers to each command.
func statusOf(command string) string {
	return map[string]string{"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}[command]
}

// order is the data of a trade command. Fail makes the paper bot fail with that text,
// to show what a failure looks like.
type order struct {
	Bot    string `json:"bot"`
	Symbol string `json:"symbol"`
	Side   string `json:"side"`
	Size   string `json:"size"`
	Fail   string `json:"fail"`
}

// paperBot is the demo's kind: it obeys trade commands on paper and answers on bot_status.
func paperBot() router.Kind[struct{}] {
	return router.Kind[struct{}]{
		Name: "paper_bot",
		Doc:  "Obeys trade commands on paper (only in the demo).",
		New: func(env router.Env, _ struct{}) (router.Handler, error) {
			return router.JSON(func(ctx context.Context, event *router.Event, o order) error {
				if o.Fail != "" {
					return errors.New(o.Fail)
				}
				status := statusOf(event.Type)
				if status == "" {
					return router.Permanent(fmt.Errorf("the paper bot knows no command %q", event.Type))
				}
				data, err := json.Marshal(map[string]string{"bot": o.Bot, "command": event.ID})
				if err != nil {
					return router.Permanent(err)
				}
				return env.Publisher.Publish(ctx, "bot_status", router.Event{Type: status, Data: data})
			}), nil
		},
	}
}
