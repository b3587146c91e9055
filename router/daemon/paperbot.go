package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"signalbox/router"
)

// statusOf is what the paper bot answers to each command.
func statusOf(command string) string {
	return map[string]string{"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}[command]
}

// order is what the paper bot needs of a trade command's data.
type order struct {
	Bot   string `json:"bot"`
	Paper struct {
		Fail string `json:"fail"` // the failure to play, to show what one looks like
	} `json:"paper"`
}

// paperBot is the demo's kind: it obeys trade commands on paper and answers on bot_status.
func paperBot() router.Kind[struct{}] {
	return router.Kind[struct{}]{
		Name: "paper_bot",
		Doc:  "Obeys trade commands on paper (only in the demo).",
		New: func(env router.Env, _ struct{}) (router.Handler, error) {
			var failed sync.Map // ids that have failed once
			return router.JSON(func(ctx context.Context, event *router.Event, o order) error {
				if o.Paper.Fail != "" {
					if _, again := failed.LoadOrStore(event.ID, true); !again {
						return errors.New(o.Paper.Fail)
					}
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
