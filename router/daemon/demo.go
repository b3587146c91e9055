package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"signalbox/config"
	"signalbox/router"
	"signalbox/router/routesfile"
)

// demoRoutes is added to the shipped routes: a bot that trades on paper, so that the
// demo shows commands being obeyed.
const demoRoutes = `
[[routes]]
channel = "trade_commands"
type    = "*"
handler = "paper_bot"
`

// Demo runs the shipped routes on an embedded Redis, with a simulated price feed, and
// prints a line for each event until ctx ends.
func Demo(ctx context.Context, opts Options) error {
	redis, err := StartEmbedded()
	if err != nil {
		return err
	}
	defer redis.Close()
	folder, err := demoFolder()
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
	screen := &screen{out: opts.Stdout}
	screen.header(redis, loaded.Config)
	return demonstrate(ctx, redis.URL(), loaded, screen)
}

func demonstrate(ctx context.Context, url string, loaded *routesfile.Result, screen *screen) error {
	// What the log would say is on the screen already.
	p := &program{loaded: loaded, log: slog.New(slog.DiscardHandler)}
	var err error
	if p.redis, err = openRedis(loaded, p.losses.add, p.log); err != nil {
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
func demoFolder() (string, error) {
	folder, err := os.MkdirTemp("", "signalbox-demo-")
	if err != nil {
		return "", fmt.Errorf("write the demo's routes: %w", err)
	}
	for name, text := range map[string][]byte{"routes.toml": config.Routes, "zz-demo.toml": []byte(demoRoutes)} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return "", fmt.Errorf("write the demo's routes: %w", err)
		}
	}
	return folder, nil
}

// screen prints what the demo does.
type screen struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format, args...)
}

func (s *screen) header(redis *Embedded, cfg router.Config) {
	s.printf("Signalbox demo · Ctrl-C ends it · nothing is kept\n  redis  127.0.0.1:%s (embedded)\n", redis.Port())
	for _, line := range wiring(cfg) {
		name, transport := line.channel.Name, string(line.channel.Transport)
		for _, route := range line.routes {
			s.printf("  %-15s %-8s %s\n", name, transport, route)
			name, transport = "", ""
		}
	}
	s.printf(`  try, in a second terminal:
    export REDIS_URL=%s
    redis-cli -p %s publish price_data '{"type":"tick","data":{"symbol":"BTCUSDT","price":97000}}'
    router tail                  router publish trade_commands stop '{"bot":"momentum-1"}'

`, redis.URL(), redis.Port())
}

func (s *screen) outcome(o router.Outcome) {
	now := time.Now().Format("15:04:05.000")
	switch o.Result {
	case router.Handled:
		s.printf("%s %-15s %-8s → %-10s %s\n", now, o.Channel, o.Event.Type, o.Handler, describe(o.Event))
	case router.Failed:
		s.printf("%s %-15s %-8s ✗ %-10s %s: %v\n", now, o.Channel, o.Event.Type, o.Handler, describe(o.Event), o.Err)
	case router.Unmatched:
		s.printf("%s %-15s %-8s – no route takes this type\n", now, o.Channel, o.Event.Type)
	case router.Rejected:
		s.printf("%s %-15s rejected: %v · the next message is handled\n", now, o.Channel, o.Err)
	}
}

func (s *screen) summary(p *program, stats router.Stats, took time.Duration) {
	t := totals(stats)
	lost, _ := p.losses.total()
	s.printf("\n  %.1f s: %d received · %d handled · %d failed · %d unmatched · %d rejected · %d lost\n",
		took.Seconds(), t.Received, t.Handled, t.Failed, t.Unmatched, t.Rejected, lost)
	s.printf("  next: router init writes these routes to config/routes.toml for you to edit\n")
}

// describe is an event's data in short: the plain values among its members.
func describe(event *router.Event) string {
	var words []string
	gjson.ParseBytes(event.Data).ForEach(func(_, value gjson.Result) bool {
		if !value.IsObject() && !value.IsArray() {
			words = append(words, value.String())
		}
		return true
	})
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}
