package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// What the demo sets in the shipped routes.
const (
	failEvery = "handlers.paper_bot.fail_every" // makes the paper bot fail on purpose
	simulate  = "sources.broker.enabled"        // or there are no quotes
)

// DemoOptions say what the demo runs.
type DemoOptions struct {
	Routes  []byte // routes.toml, as it is shipped
	Command string // how the user calls this program, for what to try next
}

// Demo runs the shipped routes on an embedded Redis, with their simulated source, and
// prints a line for each event until ctx ends.
func Demo(ctx context.Context, opts Options, demo DemoOptions) error {
	redis, err := startEmbedded()
	if err != nil {
		return err
	}
	defer redis.Close()
	folder, err := demoFolder(demo.Routes)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	page, err := demoPage()
	if err != nil {
		return err
	}
	defer func() { _ = page.Close() }() // if nothing is served
	set := map[string]string{failEvery: "2", simulate: "true", "http.listen": page.Addr().String(), "http.write": "true"}
	// No variable of the environment counts, or what is shown might go to a real database.
	opts.Source = routesfile.Source{Paths: []string{folder}, Set: withRedis(set, redis.URL())}
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return fmt.Errorf("the demo's routes: %w", err)
	}
	screen := newScreen(opts.Stdout, demo.Command, loaded.Config)
	screen.header(redis, page.Addr(), loaded.Config)
	// What the log would say is on the screen already.
	p := &program{opts: opts, digest: loaded.Digest, schemas: loaded.Schemas, loaded: loaded, log: slog.New(slog.DiscardHandler), page: page}
	return demonstrate(ctx, redis.URL(), p, screen)
}

// demoPage binds the address that the shipped routes name, or one that is free.
func demoPage() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("serve the demo's page: %w", err)
		}
	}
	return listener, nil
}

func demonstrate(ctx context.Context, url string, p *program, screen *screen) error {
	var err error
	if p.redis, err = openRedis(p.loaded, p.lost, p.log); err != nil {
		return err
	}
	playing, leave := context.WithCancel(ctx)
	var desk sync.WaitGroup
	desk.Go(func() {
		if p.redis.Ready(playing) == nil {
			runDesk(playing, url)
		}
	})
	begin := time.Now()
	p.onStop = func(stats router.Stats) { screen.summary(p, stats, time.Since(begin)) }
	err = p.run(ctx, screen.outcome)
	leave()
	desk.Wait()
	return err
}

// demoFolder writes the demo's configuration to a folder of its own, where its database is
// too.
func demoFolder(routes []byte) (string, error) {
	folder, err := os.MkdirTemp("", "signalbox-demo-")
	if err != nil {
		return "", fmt.Errorf("write the demo's routes: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "routes.toml"), routes, 0o600); err != nil {
		return "", fmt.Errorf("write the demo's routes: %w", err)
	}
	return folder, nil
}
