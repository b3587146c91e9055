package sources

import (
	"context"
	"errors"
	"log/slog"

	"signalbox/router"
)

// WebSocket is the kind that reads a WebSocket: it logs in, asks for data, keeps the
// connection alive, and hands over each message that is data.
//
// A session that the server ends is an error, after which the next one may be better; what
// else its codes and messages mean, option errors says.
func WebSocket() router.SourceKind[WebSocketOptions] {
	return router.SourceKind[WebSocketOptions]{
		Name:     "websocket",
		Doc:      "Reads messages from a WebSocket, such as a broker's feed.",
		Defaults: defaultWebSocketOptions(),
		New: func(env router.SourceEnv, options WebSocketOptions) (router.Source, error) {
			plan, err := newWSPlan(options)
			if err != nil {
				return nil, err
			}
			log := env.Log
			if log == nil {
				log = slog.New(slog.DiscardHandler)
			}
			return &webSocket{plan: plan, attempt: env.Attempt, log: log}, nil
		},
	}
}

// webSocket is a source of kind websocket.
type webSocket struct {
	plan    *wsPlan
	attempt int
	log     *slog.Logger
	to      router.Sink // since Run
}

// Run connects, and reads until the session ends.
func (w *webSocket) Run(ctx context.Context, to router.Sink) error {
	w.to = to
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	link := newWSLink(ctx, w.plan)
	defer link.cut()
	values := wsValues{}
	if w.plan.request != nil {
		answer, err := w.preflight(ctx, link)
		if err != nil {
			return planned(err)
		}
		values.request = answer
	}
	if err := w.dial(ctx, link, &values); err != nil {
		return planned(err)
	}
	return planned(newWSSession(ctx, w, link, values).run())
}

// planned is the verdict of a session that ended with an error, or as planned.
func planned(err error) error {
	if errors.Is(err, errWSPlanned) {
		return nil
	}
	return err
}
