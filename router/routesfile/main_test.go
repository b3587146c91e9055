package routesfile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"signalbox/router"
)

var update = flag.Bool("update", false, "write the expected output of the corpus anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The kinds of the tests look like the built-in ones.

type logOptions struct {
	Level  string        `toml:"level" doc:"debug, info, warn or error" enum:"debug,info,warn,error"`
	Fields []string      `toml:"fields" doc:"paths to print"`
	Every  time.Duration `toml:"every" doc:"one line per so long"`
}

type publishOptions struct {
	Channel string `toml:"channel" doc:"declared channel to publish to"`
}

func (o publishOptions) Validate() error {
	if o.Channel == "" {
		return errors.New("channel is missing; name the declared channel to publish to")
	}
	return nil
}

func (o publishOptions) PublishesTo() []string { return []string{o.Channel} }

// saveOptions has every type that options may have.
type saveOptions struct {
	DSN     string            `toml:"dsn"`
	Table   string            `toml:"table"`
	Create  bool              `toml:"create"`
	Batch   int               `toml:"batch" min:"1"`
	Ratio   float64           `toml:"ratio"`
	Columns map[string]string `toml:"columns"`
	Body    map[string]any    `toml:"body"`
	Flush   time.Duration     `toml:"flush"`
	Limits  struct {
		Rows uint8   `toml:"rows"`
		Size []int   `toml:"size"`
		Note *string `toml:"note"`
	} `toml:"limits"`
}

func (o saveOptions) Validate() error {
	var dsnErr, tableErr error
	if o.DSN == "" {
		dsnErr = errors.New("dsn is missing; write dsn = \"sqlite:events.db\"")
	}
	if o.Table == "" {
		tableErr = fmt.Errorf("table: %w, %w", errors.New("no name"), errors.New("and none to guess"))
	}
	var columnErrs []error
	for _, name := range slices.Sorted(maps.Keys(o.Columns)) {
		if o.Columns[name] == "" {
			columnErrs = append(columnErrs, fmt.Errorf("columns.%s: no field", name))
		}
	}
	return errors.Join(dsnErr, tableErr, errors.Join(columnErrs...))
}

// feedOptions are those of a kind of source, as a broker's is.
type feedOptions struct {
	URL       []string       `toml:"url" doc:"where to connect, in turn"`
	Auth      feedAuth       `toml:"auth" secret:"true" doc:"how to log in"`
	Subscribe []any          `toml:"subscribe" doc:"what to send then"`
	Timeout   time.Duration  `toml:"timeout" min:"1ms" doc:"how long an answer may take"`
	Ping      map[string]any `toml:"ping" doc:"what to send in between"`
	dir       string
}

type feedAuth struct {
	Token   string         `toml:"token" doc:"sent as a header"`
	Message map[string]any `toml:"message" doc:"sent first"`
}

func (o *feedOptions) Locate(dir string) { o.dir = dir }

func (o *feedOptions) Validate() error {
	var errs []error
	if len(o.URL) == 0 {
		errs = append(errs, errors.New("url is missing; write url = [\"wss://…\"]"))
	}
	if strings.Contains(o.Auth.Token, " ") {
		errs = append(errs, fmt.Errorf("auth.token: %q has a space", o.Auth.Token))
	}
	return errors.Join(errs...)
}

type none struct{}

func nothing[T any](router.Env, T) (router.Handler, error) {
	return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
}

func noSource[T any](router.SourceEnv, T) (router.Source, error) {
	return router.SourceFunc(func(context.Context, router.Sink) error { return nil }), nil
}

func testKinds() *router.Registry {
	kinds := handlerKindsOfTests()
	kinds.AddSources(
		router.SourceKind[feedOptions]{Name: "feed", Doc: "Reads a feed.", Defaults: feedOptions{Timeout: 5 * time.Second}, New: noSource[feedOptions]},
		router.SourceKind[none]{Name: "clock", Doc: "Sends the time.", New: noSource[none]},
	)
	return kinds
}

func handlerKindsOfTests() *router.Registry {
	return router.NewRegistry(
		router.Kind[logOptions]{Name: "log", Defaults: logOptions{Level: "info"}, New: nothing[logOptions]},
		router.Kind[publishOptions]{Name: "publish", New: nothing[publishOptions]},
		router.Kind[none]{Name: "drop", New: nothing[none]},
		router.Kind[none]{Name: "ship", Target: true, New: nothing[none]},
		router.Kind[saveOptions]{
			Name:     "save",
			Defaults: saveOptions{Table: "events", Columns: map[string]string{"id": "id"}},
			New:      nothing[saveOptions],
		},
	)
}

// writeFiles writes files, by name, into a folder of the test's own and returns it.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load loads one text as routes.toml; errors name it without its folder.
func load(t testing.TB, text string, src Source) (*Result, error) {
	t.Helper()
	dir := writeFiles(t, map[string]string{"routes.toml": text})
	src.Paths = []string{filepath.Join(dir, "routes.toml")}
	result, err := Load(src, testKinds())
	return result, stripDir(err, dir)
}

// mustLoad is load for a text without mistakes.
func mustLoad(t testing.TB, text string, src Source) *Result {
	t.Helper()
	result, err := load(t, text, src)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return result
}

func stripDir(err error, dir string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
}

// describeSource is all that a source has of the keys of every source.
func describeSource(s router.SourceSpec) string {
	sequence := "none"
	if s.Sequence != nil {
		sequence = fmt.Sprintf("%+v", *s.Sequence)
	}
	made := s.New != nil && s.Revision != ""
	text := fmt.Sprintf("%s -> %s, made %t\n  raw %t, fields %+v, sequence %s\n", s.Kind, s.Channel, made, s.Raw, s.Fields, sequence)
	text += fmt.Sprintf("  lease %t for %s, takeover after %s, %s, stands down for %s\n", s.Lease, s.LeaseFor, s.TakeoverDelay, s.Conflict, s.StandDown)
	text += fmt.Sprintf("  backoff %s to %s, budget %+v, stale after %+v, hours %q, queue %d and %d bytes", s.Backoff, s.MaxBackoff, s.Budget, s.StaleAfter, s.Hours, s.Queue, s.QueueBytes)
	return text
}

// summary is a Result as the corpus compares it.
func summary(r *Result) string {
	var b strings.Builder
	s := r.Settings
	fmt.Fprintf(&b, "service %s, drain %s\n", r.Config.Service, s.Drain)
	fmt.Fprintf(&b, "redis %+v\nlog %+v\n", s.Redis, s.Log)
	for _, c := range r.Config.Channels {
		schemas := c.Schemas
		c.Schemas = nil
		fmt.Fprintf(&b, "channel %s\n", strings.Replace(fmt.Sprintf("%+v", c), " Schemas:map[]", "", 1))
		for _, typ := range slices.Sorted(maps.Keys(schemas)) {
			fmt.Fprintf(&b, "  schema of %s: %d bytes, refers to %q\n", typ, len(schemas[typ].Text), slices.Sorted(maps.Keys(schemas[typ].Refs)))
		}
	}
	for _, s := range r.Config.Sources {
		fmt.Fprintf(&b, "source %s of kind %s\n", s.Name, describeSource(s))
	}
	for _, s := range r.OffSources {
		fmt.Fprintf(&b, "off: source %s of kind %s, %s\n", s.Name, describeSource(s.SourceSpec), filepath.Base(s.At))
	}
	for _, h := range r.Config.Handlers {
		fmt.Fprintf(&b, "handler %s of kind %s\n", h.Name, h.Kind)
	}
	for _, route := range r.Config.Routes {
		fmt.Fprintf(&b, "route %s: %s %q -> %s\n", route.Name, route.Channel, route.Types, route.Handler)
		if route.When != nil {
			fmt.Fprintf(&b, "  when\n")
		}
		if route.Isolated {
			fmt.Fprintf(&b, "  isolated, queue %d, %d bytes, overflow %q\n", route.Queue, route.QueueBytes, route.Overflow)
		}
		if route.Policy != (router.Policy{}) {
			fmt.Fprintf(&b, "  policy %+v\n", route.Policy)
		}
	}
	for _, test := range r.Tests {
		fmt.Fprintf(&b, "test %s %q: env %v, now %s, answers %v\n", test.At, test.Name, test.Env, test.Now.Format(time.RFC3339), test.Answers)
		for _, s := range test.Send {
			fmt.Fprintf(&b, "  %s send %q to %s %s after %s\n", s.At, s.Messages, s.Channel, s.Name, s.After)
		}
		for _, e := range test.Expect {
			fmt.Fprintf(&b, "  %s %s handler %q route %q channel %q type %q id %q key %q message %s data %s attempts %d reason %q\n",
				e.At, e.List, e.Handler, e.Route, e.Channel, e.Type, e.ID, e.Key, e.Message, e.Data, e.Attempts, e.Reason)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note %s\n", n)
	}
	return b.String()
}
