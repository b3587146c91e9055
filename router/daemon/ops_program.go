package daemon

import (
	"errors"

	"signalbox/router/ops"
	"signalbox/router/routesfile"
)

// snapshot is the program with the configuration of the moment, for who is not the
// goroutine that reloads. It is for looking and sending, and must not be closed.
func (p *program) snapshot() *program {
	return &program{opts: p.opts, loaded: &routesfile.Result{Config: *p.config.Load()}, redis: p.redis, log: p.log}
}

// shownRoutes is how the routes are told, without secrets, in their order.
func shownRoutes(loaded *routesfile.Result) []ops.Shown {
	shown := make([]ops.Shown, len(loaded.Config.Routes))
	for i, r := range loaded.Config.Routes {
		shown[i].When = loaded.Written(r.Channel, r.Name).When
		r.Isolated = false // that is told by itself
		shown[i].Policy = shownPolicy(r)
	}
	return shown
}

// asked is an error for somebody who asked over HTTP: without what logs in anywhere, and
// marked when it is his own.
func asked(err error) error {
	if err == nil {
		return nil
	}
	text := errors.New(routesfile.WithoutLogins(err.Error()))
	if _, ok := errors.AsType[*UsageError](err); ok {
		return &ops.RequestError{Err: text}
	}
	return text
}
