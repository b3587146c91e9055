package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// demoRoutes is added to the shipped routes: a bot that trades on paper, so that the
// demo shows commands being obeyed, tried again, too old, and sent twice.
const demoRoutes = `
[[routes]]
channel = "trade_commands"
type    = ["start", "stop", "exit"]
handler = "paper_bot"

[[routes]]
name    = "enter"
channel = "trade_commands"
type    = "enter"
handler = "paper_bot"
max_age = "5s"
dedupe  = "10m"
retry   = { attempts = 3, backoff = "200ms" }
`

// DemoOptions say what the demo runs.
type DemoOptions struct {
	Routes  []byte // routes.toml, as it is shipped
	Command string // how the user calls this program, for what to try next
}

// Demo runs the shipped routes on an embedded Redis, with a simulated price feed, and
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
	if _, taken := opts.Kinds.Kind("paper_bot"); !taken {
		opts.Kinds.Add(paperBot())
	}
	opts.Source = routesfile.Source{Paths: []string{folder}, Set: withRedis(nil, redis.URL())}
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return fmt.Errorf("the demo's routes: %w", err)
	}
	screen := newScreen(opts.Stdout, demo.Command, loaded.Config)
	screen.header(redis, loaded.Config)
	return demonstrate(ctx, redis.URL(), loaded, screen)
}

func demonstrate(ctx context.Context, url string, loaded *routesfile.Result, screen *screen) error {
	// What the log would say is on the screen already.
	p := &program{loaded: loaded, log: slog.New(slog.DiscardHandler)}
	var err error
	if p.redis, err = openRedis(loaded, p.lost, p.log); err != nil {
		return err
	}
	feeding, stopFeed := context.WithCancel(ctx)
	var feed sync.WaitGroup
	feed.Go(func() {
		if p.redis.Ready(feeding) == nil {
			runFeed(feeding, url)
		}
	})
	begin := time.Now()
	p.onStop = func(stats router.Stats) { screen.summary(p, stats, time.Since(begin)) }
	err = p.run(ctx, screen.outcome)
	stopFeed()
	feed.Wait()
	return err
}

// demoFolder writes the demo's configuration to a folder of its own.
func demoFolder(routes []byte) (string, error) {
	folder, err := os.MkdirTemp("", "signalbox-demo-")
	if err != nil {
		return "", fmt.Errorf("write the demo's routes: %w", err)
	}
	for name, text := range map[string][]byte{"routes.toml": routes, "zz-demo.toml": []byte(demoRoutes)} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return "", fmt.Errorf("write the demo's routes: %w", err)
		}
	}
	return folder, nil
}
