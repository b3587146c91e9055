package daemon

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// screen prints what the demo does.
type screen struct {
	command string
	// Widths of the columns.
	channel, types, handler int
	silent                  map[string]bool // handlers of which only failures are shown

	mu  sync.Mutex
	out io.Writer
}

func newScreen(out io.Writer, command string, cfg router.Config) *screen {
	s := &screen{out: out, command: command, silent: map[string]bool{}}
	for _, h := range cfg.Handlers {
		s.silent[h.Name] = h.Kind == "sql" || h.Kind == "latest" // they get what others show already
	}
	for _, line := range wiring(cfg) {
		s.channel = max(s.channel, len(line.channel.Name))
		for _, typ := range line.channel.Types {
			s.types = max(s.types, len(typ))
		}
		for _, r := range line.routes {
			for _, name := range r.handlers {
				s.handler = max(s.handler, len(name))
			}
		}
	}
	return s
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format, args...)
}

func (s *screen) header(redis *embeddedRedis, page net.Addr, cfg router.Config) {
	s.printf("Signalbox demo · Ctrl-C ends it · nothing is kept\n  redis  %s (embedded%s)\n  page   http://%s/\n", redis.Addr(), redis.elsewhere(), page)
	lines := wiring(cfg)
	width := 0
	for _, source := range cfg.Sources {
		width = max(width, len(source.Kind))
	}
	for _, line := range lines {
		for _, r := range line.routes {
			width = max(width, len(r.types))
		}
	}
	for _, source := range cfg.Sources {
		s.printf("  %-*s  source  %-*s  → %s\n", s.channel, source.Name, width, source.Kind, source.Channel)
	}
	for _, line := range lines {
		name, transport := line.channel.Name, string(line.channel.Transport)
		for _, r := range line.routes {
			line := fmt.Sprintf("  %-*s  %-6s  %-*s  → %-*s  %s", s.channel, name, transport, width, r.types, s.handler, strings.Join(r.handlers, ", "), r.policy)
			s.printf("%s\n", strings.TrimRight(line, " "))
			name, transport = "", ""
		}
	}
	s.printf(`  try, in a second terminal:
    export REDIS_URL=%[1]s
    redis-cli -p %[2]s publish price_data '{"type":"tick","data":{"symbol":"BTCUSDT","price":97000}}'
    %[3]s latest price_data
    %[3]s tail trade_commands bot_status
    redis-cli -p %[2]s xadd trade_commands '*' type stop data '{"bot":"momentum-1"}'

`, redis.URL(), redis.Port(), s.command)
}

// outcome prints a line for an event on a route, or for a message that reached none.
// Whoever can reach the embedded Redis decides what it holds, so it is escaped.
func (s *screen) outcome(o router.Outcome) {
	begin := fmt.Sprintf("%s  %-*s", time.Now().Format("15:04:05.000"), s.channel, o.Channel)
	if o.Result == router.Rejected {
		s.printf("%s  rejected: %s · the next message is handled\n", begin, printable(o.Err.Error()))
		return
	}
	if o.Event == nil { // given up before anybody looked at it
		s.printf("%s  given up: %s\n", begin, printable(o.Err.Error()))
		return
	}
	begin = fmt.Sprintf("%s  %-*s", begin, s.types, printable(o.Event.Type))
	switch o.Result {
	case router.Handled:
		if s.silent[o.Handler] {
			return
		}
		attempt := ""
		if o.Attempt > 1 {
			attempt = fmt.Sprintf(" · handled at attempt %d", o.Attempt)
		}
		s.printf("%s  → %-*s  %s%s\n", begin, s.handler, o.Handler, describe(o.Event), attempt)
	case router.Failed:
		s.printf("%s  ✗ %-*s  %s failed: %s · the next one is handled\n", begin, s.handler, o.Handler, printable(o.Event.ID), printable(o.Err.Error()))
	case router.Retried:
		s.printf("%s  ✗ %-*s  %s attempt %d: %s · again in %.1f s\n", begin, s.handler, o.Handler, printable(o.Event.ID), o.Attempt, printable(o.Err.Error()), o.Pause.Seconds())
	case router.Skipped, router.Duplicate:
		s.printf("%s  – %-*s  %s %s: %s\n", begin, s.handler, o.Handler, printable(o.Event.ID), o.Result, o.Err)
	case router.Unmatched:
		s.printf("%s  – no route takes this type\n", begin)
	}
}

func (s *screen) summary(p *program, stats router.Stats, took time.Duration) {
	t := p.totals(stats)
	s.printf("\n  %.1f s: %d received · %d handled · %d skipped · %d failed · %d unmatched · %d rejected · %d lost\n",
		took.Seconds(), t.Received, t.Handled, t.Skipped+t.Duplicates, t.Failed, t.Unmatched, t.Rejected, t.Lost)
	s.printf("  (handled, skipped and failed count routes: each that matches gets the event)\n")
	s.printf("  next: %s init writes these routes to config/routes.toml for you to edit\n", s.command)
}

// describe is an event in short: its id, unless that is a UUID or a quote's, which nobody
// reads, and the plain values among its data.
func describe(event *router.Event) string {
	var words []string
	if len(event.ID) < len("00000000-0000-0000-0000-000000000000") && !strings.HasPrefix(event.Source, "/signalbox/sources/") {
		words = append(words, event.ID)
	}
	own := strings.HasPrefix(event.Type, router.OwnPrefix)
	gjson.ParseBytes(event.Data).ForEach(func(key, value gjson.Result) bool {
		word := value.String()
		switch {
		case own && slices.Contains([]string{"service", "epoch", "planned"}, key.String()): // always the same here
		case value.Type == gjson.Number:
			words = append(words, value.Raw) // as it was sent: 3120.30
		case !value.IsObject() && !value.IsArray() && word != "":
			words = append(words, word)
		}
		return true
	})
	return printable(strings.Join(words, " "))
}
