package daemon

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"signalbox/router"
	"signalbox/router/internal/wording"
	"signalbox/router/transport"
)

// connectTimeout is how long each thing that is tried may take.
const connectTimeout = 5 * time.Second

// ConnectOptions say how to show what was found.
type ConnectOptions struct {
	JSON bool
}

// connection is what was found of a thing that a configuration needs, as `check --connect`
// shows it.
type connection struct {
	Name  string        `json:"name"` // "redis", or a handler's
	Kind  string        `json:"kind,omitempty"`
	OK    bool          `json:"ok"`
	Found string        `json:"found,omitempty"`
	Error string        `json:"error,omitempty"`
	Took  time.Duration `json:"took_ns"`
}

// Connect tries Redis and what the handlers that are used work for, all at the same time,
// and prints what it found, in the order of the names. It changes nothing anywhere. Its error says
// that something failed; a configuration with mistakes is [routesfile.Errors].
func Connect(ctx context.Context, opts Options, what ConnectOptions) error {
	opts.told = true // by the check before it
	p, err := openQuietly(opts)
	if err != nil {
		return err
	}
	defer p.close()
	found := p.connections(ctx)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err := printConnections(opts.Stdout, found, what.JSON); err != nil {
		return err
	}
	failed := 0
	for _, c := range found {
		if !c.OK {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, wording.Several(int64(len(found)), "connection", "connections"))
	}
	return nil
}

// connections tries everything.
func (p *program) connections(ctx context.Context) []connection {
	found := []connection{{Name: "redis"}}
	checks := []func(context.Context) (string, error){p.checkRedis}
	for _, h := range p.loaded.Config.Handlers {
		if h.Check != nil {
			found = append(found, connection{Name: h.Name, Kind: h.Kind})
			checks = append(checks, h.Check)
		}
	}
	var all sync.WaitGroup
	for i, check := range checks {
		all.Go(func() { found[i].try(ctx, check) })
	}
	all.Wait()
	return found
}

// try waits for no check that doesn't obey its context.
func (c *connection) try(ctx context.Context, check func(context.Context) (string, error)) {
	type answer struct {
		found string
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	answers := make(chan answer, 1)
	begin := time.Now()
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("the check panicked: %v", p)}
			}
			answers <- a
		}()
		a.found, a.err = check(ctx)
	}()
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		// One that was about to tell why is worth a moment.
		select {
		case a = <-answers:
		case <-time.After(connectTimeout / 50):
			a.err = ctx.Err()
		}
	}
	if a.err != nil && a.err == ctx.Err() { //nolint:errorlint // with words around it, it says more
		a.err = fmt.Errorf("no answer within %s", connectTimeout)
	}
	c.Took, c.OK, c.Found = time.Since(begin), a.err == nil, a.found
	if a.err != nil {
		c.Error = a.err.Error()
	}
}

// checkRedis asks who answers, and whether this user may do what the routes need.
func (p *program) checkRedis(ctx context.Context) (string, error) {
	away, err := p.reach(ctx)
	switch {
	case err != nil:
		return "", err
	case away != nil:
		return "", fmt.Errorf("redis at %s does not answer: %s", p.where(), reason(away))
	}
	begin := time.Now()
	if err := p.redis.Check(ctx); err != nil {
		return "", err
	}
	latency := time.Since(begin)
	version := p.redis.Version(ctx)
	if version == "" {
		version = "a Redis that does not tell its version"
	}
	obstacles, err := p.redis.Obstacles(ctx, p.needs())
	if err != nil {
		return "", fmt.Errorf("redis at %s: %w", p.where(), err)
	}
	found := fmt.Sprintf("%s at %s, ping %s", version, p.where(), latency.Round(10*time.Microsecond))
	if len(obstacles) > 0 {
		return "", fmt.Errorf("%s, but this user or its keys stand in the way: %s; deploy/redis.acl has what a router needs", found, strings.Join(obstacles, ", "))
	}
	return found + "; may do what the routes need", nil
}

// needs is what the routes do in Redis.
func (p *program) needs() transport.Needs {
	cfg := &p.loaded.Config
	var needs transport.Needs
	for _, ch := range cfg.Channels {
		routed := slices.ContainsFunc(cfg.Routes, func(r router.Route) bool { return r.Channel == ch.Name })
		published := slices.ContainsFunc(cfg.Handlers, func(h router.HandlerSpec) bool { return slices.Contains(h.PublishesTo, ch.Name) })
		if published && ch.Transport == router.Stream {
			needs.Write = append(needs.Write, ch.Topic)
		}
		switch {
		case !routed:
			continue
		case ch.Transport == router.Stream:
			needs.Read = append(needs.Read, ch.Topic)
		case ch.Pattern:
			needs.Patterns = append(needs.Patterns, ch.Topic)
		default:
			needs.Listen = append(needs.Listen, ch.Topic)
		}
		for _, place := range cfg.DeadLetters(ch.Name) {
			needs.Write = append(needs.Write, place.Topic)
		}
		if ch.Start == router.StartLatest || keepsLatest(cfg, ch.Name) {
			needs.Latest = append(needs.Latest, ch.Topic)
		}
	}
	slices.Sort(needs.Write)
	needs.Write = slices.Compact(needs.Write)
	needs.Dedupe = slices.ContainsFunc(cfg.Routes, func(r router.Route) bool { return r.Policy.Dedupe.Window > 0 })
	return needs
}

// keepsLatest reports whether a route of the channel goes to a handler of the kind latest.
func keepsLatest(cfg *router.Config, channel string) bool {
	return slices.ContainsFunc(cfg.Routes, func(r router.Route) bool {
		return r.Channel == channel && slices.ContainsFunc(cfg.Handlers, func(h router.HandlerSpec) bool {
			return h.Name == r.Handler && h.Kind == "latest"
		})
	})
}

func printConnections(out io.Writer, found []connection, asJSON bool) error {
	table := newTable(out)
	for _, c := range found {
		if asJSON {
			if _, err := fmt.Fprintln(out, toJSON(c)); err != nil {
				return err
			}
			continue
		}
		word, text := "ok", c.Found
		if !c.OK {
			word, text = "failed", c.Error
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", word, printable(titled(c.Name, c.Kind)), shownTook(c.Took), printable(strings.ReplaceAll(text, "\n", "; ")))
	}
	return table.Flush()
}

// shownTook is a time in ms, or in s from 1 s on.
func shownTook(took time.Duration) string {
	switch {
	case took < time.Millisecond:
		return "<1 ms"
	case took < time.Second:
		return fmt.Sprintf("%d ms", took.Milliseconds())
	default:
		return fmt.Sprintf("%.1f s", took.Seconds())
	}
}
