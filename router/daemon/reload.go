package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// watchEvery is how often files are looked at. By their content: an editor may replace
// them, and Kubernetes changes a link in the path, of which no file knows.
const watchEvery = 500 * time.Millisecond

// reloads reads the configuration again when it is asked to, until ctx ends.
func (p *program) reloads(ctx context.Context, r *router.Router) {
	select {
	case <-r.Running():
	case <-ctx.Done():
		return
	}
	var look <-chan time.Time
	if p.opts.Watch {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		look = ticker.C
		p.warnOfMounts()
	}
	seen := p.digest
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.opts.Reload:
			p.digest = p.opts.Source.Digest(p.schemas...)
			_ = p.reload(ctx, r) // it was told
		case answer := <-p.side.reloads:
			p.digest = p.opts.Source.Digest(p.schemas...)
			answer <- p.reload(ctx, r)
		case <-look:
			now := p.opts.Source.Digest(p.schemas...)
			// What changes may not be written whole yet: it has to stay for a while.
			if stays := now == seen; stays && now != p.digest {
				p.digest = now
				_ = p.reload(ctx, r)
			}
			seen = now
		}
	}
}

// reload reads the configuration and makes it that of the router, or keeps the old one
// and tells the log and who asked why.
func (p *program) reload(ctx context.Context, r *router.Router) error {
	loaded, err := routesfile.Load(p.opts.Source, p.opts.Kinds)
	if loaded != nil { // also when it has mistakes: they may be mended in a schema that is new
		p.digest, p.schemas = loaded.Digest, loaded.Schemas
	}
	if err == nil {
		err = p.unchangeable(loaded)
	}
	var changes router.Changes
	level := p.level.Level()
	if err == nil {
		p.level.Set(levelOf(loaded.Settings.Log, p.opts.Verbosity)) // routes look at it when they are made
		before := p.config.Swap(&loaded.Config)                     // what other routers are told; the swap comes long before Reload returns
		if changes, err = r.Reload(loaded.Config); err != nil {
			p.config.Store(before)
		}
	}
	if err != nil {
		p.level.Set(level)
		if ctx.Err() == nil { // else the router stops, and nothing is wrong
			p.tellRefusal(err)
			p.refused(err)
		}
		return err
	}
	if err := p.sources.Reload(loaded.Config); err != nil {
		p.log.Error("sources go on as they were", "err", err)
	}
	for _, ch := range p.loaded.Config.Channels {
		if !slices.ContainsFunc(p.gone, func(old router.Channel) bool { return old.Name == ch.Name }) {
			p.gone = append(p.gone, ch)
		}
	}
	p.loaded = loaded
	p.tellNotes(loaded)
	attrs := []any{"config", strings.Join(loaded.Files, " "), "hash", p.digest[:12], "routes", len(loaded.Config.Routes)}
	p.log.Info("reloaded", append(attrs, told(changes)...)...)
	p.runs(time.Now())
	return nil
}

// unchangeable is an error when a setting changed that only a restart can apply.
func (p *program) unchangeable(loaded *routesfile.Result) error {
	was, now := p.loaded.Settings, loaded.Settings
	var changed []string
	for _, setting := range []struct {
		name    string
		changed bool
	}{
		{"[service] name", p.loaded.Config.Service != loaded.Config.Service},
		{"[service] drain", was.Drain != now.Drain},
		{"[redis]", was.Redis != now.Redis},
		{"[log] format", was.Log.Format != now.Log.Format},
		{"[http]", !reflect.DeepEqual(was.HTTP, now.HTTP)},
	} {
		if setting.changed {
			changed = append(changed, setting.name)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return fmt.Errorf("%s changed, and a reload cannot apply that; restart", strings.Join(changed, " and "))
}

// tellRefusal logs a line for each mistake, and one for all.
func (p *program) tellRefusal(err error) {
	mistakes := []error{err}
	if all, ok := errors.AsType[routesfile.Errors](err); ok {
		mistakes = nil
		for _, one := range all {
			mistakes = append(mistakes, one)
		}
	}
	for _, one := range mistakes {
		p.log.Error("configuration", "err", one)
	}
	p.log.Error("reload refused; the old configuration goes on", "errors", len(mistakes), "hash", p.digest[:12])
}

func (p *program) tellNotes(loaded *routesfile.Result) {
	for _, note := range loaded.Notes {
		p.log.Warn("configuration", "note", note.String())
	}
}

// told are the attributes that say what changed.
func told(c router.Changes) []any {
	var attrs []any
	for _, of := range []struct {
		what string
		router.Change
	}{{"channels", c.Channels}, {"handlers", c.Handlers}, {"routes", c.Routes}} {
		for _, how := range []struct {
			what  string
			names []string
		}{{"_added", of.Added}, {"_removed", of.Removed}, {"_changed", of.Changed}} {
			if len(how.names) > 0 {
				attrs = append(attrs, of.what+how.what, strings.Join(how.names, " "))
			}
		}
	}
	return attrs
}
