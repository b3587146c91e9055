package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/router"
	"signalbox/router/internal/nearest"
	"signalbox/router/ops"
	"signalbox/router/routesfile"
)

// confirmWait is how long a look at readiness waits for subscriptions: those that are
// confirmed are so at once.
const confirmWait = 50 * time.Millisecond

// side is the HTTP side of a program: what it is told, and what it may ask for.
type side struct {
	onlooker router.Onlooker
	running  atomic.Pointer[ops.Running]
	reloads  chan chan error // asked for by a request
	stopping atomic.Bool
	redis    string // where it is; without a password
}

// newSide makes the server, if there is to be one.
func (p *program) newSide(began time.Time) (*ops.Server, error) {
	set := p.loaded.Settings.HTTP
	p.side.reloads, p.side.redis = make(chan chan error), p.where()
	p.runs(began)
	if set.Listen == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if set.Insecure && set.Token == "" {
		p.log.Warn("whoever can connect may see all that is routed: [http] insecure = true", "listen", set.Listen)
	}
	return ops.New(ops.Config{
		Listen: set.Listen, Token: set.Token, Hosts: set.Hosts, Write: set.Write,
		OpenHealth:  slices.Contains(set.Open, routesfile.OpenHealth),
		OpenMetrics: slices.Contains(set.Open, routesfile.OpenMetrics),
	}, p.seen(began), p.log)
}

// serve answers HTTP requests until end is called: also while the router drains.
func (p *program) serve(ctx context.Context, server *ops.Server) (end func()) {
	if server == nil {
		return func() {}
	}
	stopping := context.AfterFunc(ctx, func() { p.side.stopping.Store(true) })
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve := server.Serve
		if p.page != nil {
			serve = func(ctx context.Context) error { return server.ServeOn(ctx, p.page) }
		}
		if err := serve(serving); err != nil {
			p.log.Error("nothing is served by HTTP any more", "err", err)
		}
	}()
	return func() {
		stopping()
		stop()
		<-served
	}
}

// seen is what the HTTP side sees.
func (p *program) seen(began time.Time) ops.Program {
	return ops.Program{
		Service: p.loaded.Config.Service, Version: p.opts.Version, Started: began, Onlooker: &p.side.onlooker,
		Running: func() ops.Running { return *p.side.running.Load() },
		Stats: func() router.Stats {
			if r := p.router.Load(); r != nil {
				return r.Stats()
			}
			return router.Stats{}
		},
		Sources: p.opsSources,
		Losses:  func() []ops.Loss { return p.losses.byChannel(p.side.running.Load().Config) },
		Link: func() ops.Link {
			link := p.redis.Link()
			return ops.Link{Away: link.Away, Reconnects: link.Reconnects, Unverified: link.Unverified}
		},
		Publish: p.opsPublish, Dead: p.opsDead, Replay: p.opsReplay, Streams: p.opsStreams,
		Live:   p.live,
		Ready:  p.ready,
		Reload: p.askReload,
		Level:  func() string { return strings.ToLower(p.level.Level().String()) },
		SetLevel: func(level string) error {
			known := []string{"debug", "info", "warn", "error"}
			if !slices.Contains(known, level) {
				hint := "; there are " + strings.Join(known, ", ")
				if near, ok := nearest.Name(level, known); ok {
					hint = fmt.Sprintf("; did you mean %q?", near)
				}
				return fmt.Errorf("no level is called %q%s", level, hint)
			}
			p.level.Set(levelOf(routesfile.Log{Level: level}, 0))
			p.log.Warn("the log level was changed", "level", level)
			return nil
		},
	}
}

// runs notes that the configuration which was loaded runs since then.
func (p *program) runs(since time.Time) {
	now := ops.Running{Config: p.loaded.Config, Files: absolute(p.loaded.Files), Hash: p.digest, Since: since, Shown: shownRoutes(p.loaded)}
	if before := p.side.running.Load(); before != nil {
		now.Reloads, now.Refused = before.Reloads+1, before.Refused
		now.Attempt = since
	}
	p.side.running.Store(&now)
}

// absolute are paths that say which of two routers on a machine it is.
func absolute(files []string) []string {
	paths := slices.Clone(files)
	for i, file := range files {
		if path, err := filepath.Abs(file); err == nil {
			paths[i] = path
		}
	}
	return paths
}

// refused notes that another configuration was refused.
func (p *program) refused(err error) {
	now := *p.side.running.Load()
	now.Refused++
	now.Attempt, now.Refusal = time.Now(), err.Error()
	p.side.running.Store(&now)
}

// askReload has the goroutine that reloads do so, and returns what became of it.
func (p *program) askReload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case p.side.reloads <- answer:
	case <-ctx.Done():
		return errors.New("another reload goes on, or the router stops")
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errors.New("the reload goes on; the log will say what became of it")
	}
}

// live is an error when the program is stuck. While it begins or stops there are other
// limits.
func (p *program) live(ctx context.Context) error {
	r := p.router.Load()
	if r == nil || p.side.stopping.Load() {
		return nil
	}
	select {
	case <-r.Running():
	default:
		return nil
	}
	if err := r.Turning(ctx); err != nil && !p.side.stopping.Load() {
		return err
	}
	return nil
}

// ready says what keeps the program from its work.
func (p *program) ready(ctx context.Context) []ops.Reason {
	if p.side.stopping.Load() {
		return []ops.Reason{{What: "stopping", Text: "the router stops"}}
	}
	r := p.router.Load()
	if r == nil || !isClosed(r.Running()) {
		return []ops.Reason{{What: "starting", Text: "the router starts"}}
	}
	// No Check: of a Redis that hangs it would find out whether it wants TLS, longer than ctx.
	if err := p.redis.Client().Ping(ctx).Err(); err != nil {
		return []ops.Reason{{What: "redis", Text: fmt.Sprintf("redis at %s does not answer: %v", p.side.redis, err)}}
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWait)
	defer cancel()
	if err := p.redis.Ready(ctx); err != nil {
		text, _, _ := strings.Cut(err.Error(), ": context deadline exceeded")
		return []ops.Reason{{What: "subscription", Text: text}}
	}
	return append(unready(p.sourceStats(), time.Now()), stale(r.Stale())...)
}

// stale is a reason for each channel on which nothing comes.
func stale(channels map[string]time.Time) (reasons []ops.Reason) {
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		reasons = append(reasons, ops.Reason{What: "stale", Text: fmt.Sprintf("channel %q: nothing has come since %s", name, channels[name].Format(time.RFC3339))})
	}
	return reasons
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
