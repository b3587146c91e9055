package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
)

// signalbox is the router with two more kinds, registered in Go: look reads the key of
// each event, and decode its whole data.
func signalbox(_ context.Context, j job) error {
	kinds := router.NewRegistry(look(), decode())
	handlers.Register(kinds)
	end, err := profiled()
	if err != nil {
		return err
	}
	os.Args = []string{"router", "run", "-c", os.Getenv(configEnv)}
	_ = os.Setenv("REDIS_URL", "redis://"+j.redis.Options().Addr+"/0")
	code := cli.Main(kinds, "bench")
	if err := end(); err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// lookOptions are the options of both kinds.
type lookOptions struct {
	Sleep time.Duration `toml:"sleep" doc:"how long each event takes"`
}

func look() router.Kind[lookOptions] {
	return router.Kind[lookOptions]{
		Name: "look", Doc: "Looks at the key of each event.",
		New: func(env router.Env, o lookOptions) (router.Handler, error) {
			t := newTally(env.Handler)
			return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
				if o.Sleep > 0 {
					time.Sleep(o.Sleep)
				}
				t.handled(event.Key)
				return nil
			}), nil
		},
	}
}

func decode() router.Kind[lookOptions] {
	return router.Kind[lookOptions]{
		Name: "decode", Doc: "Decodes the data of each event.",
		New: func(env router.Env, _ lookOptions) (router.Handler, error) {
			t := newTally(env.Handler)
			return router.JSON(func(_ context.Context, _ *router.Event, q quote) error {
				t.handled(q.Symbol)
				return nil
			}), nil
		},
	}
}

// profiled begins a CPU profile when it is asked for. SIGUSR1 begins it anew, so that a
// drain that does not count is not in it; end writes it and what was allocated.
func profiled() (end func() error, err error) {
	dir := os.Getenv(profileEnv)
	if dir == "" {
		return func() error { return nil }, nil
	}
	runtime.MemProfileRate = 64 << 10
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		<-asked
		if err := pprof.StartCPUProfile(cpu); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}()
	return func() error {
		pprof.StopCPUProfile()
		if err := cpu.Close(); err != nil {
			return err
		}
		allocs, err := os.Create(filepath.Join(dir, "allocs.pprof"))
		if err != nil {
			return err
		}
		defer func() { _ = allocs.Close() }()
		return pprof.Lookup("allocs").WriteTo(allocs, 0)
	}, nil
}

// routes is a routes file. Each channel has the key that handlers look at; everything
// else is as it is without a word.
type routes struct {
	channels []string // tables of channels
	handlers []string // tables of handlers
	routes   []string // tables of routes
}

func channelTable(name, transport string) string {
	return fmt.Sprintf("[channels.%q]\ntransport = %q\nkey_field = \"data.symbol\"\n", name, transport)
}

func handlerTable(name, kind string, options ...string) string {
	return fmt.Sprintf("[handlers.%s]\nkind = %q\n%s\n", name, kind, strings.Join(options, "\n"))
}

func routeTable(channel, typ, handler string, options ...string) string {
	return fmt.Sprintf("[[routes]]\nchannel = %q\ntype = %q\nhandler = %q\n%s\n", channel, typ, handler, strings.Join(options, "\n"))
}

// one is the file that most cases use: one channel, one route, one handler.
func one(channel, transport, kind string, options ...string) routes {
	return routes{
		channels: []string{channelTable(channel, transport)},
		handlers: []string{handlerTable("bench", kind, options...)},
		routes:   []string{routeTable(channel, "*", "bench")},
	}
}

// write writes the routes to a folder, as many in a file as a file may have.
func (r routes) write(dir string) error {
	const perFile = 1000
	head := fmt.Sprintf("[service]\nname = %q\n[redis]\nurl = \"${REDIS_URL}\"\n", group)
	if err := os.WriteFile(filepath.Join(dir, "head.toml"), []byte(head+strings.Join(r.handlers, "")), 0o600); err != nil {
		return err
	}
	tables := append(append([]string{}, r.channels...), r.routes...)
	for n := 0; len(tables) > 0; n++ {
		most := min(len(tables), perFile)
		file := filepath.Join(dir, fmt.Sprintf("routes%d.toml", n))
		if err := os.WriteFile(file, []byte(strings.Join(tables[:most], "")), 0o600); err != nil {
			return err
		}
		tables = tables[most:]
	}
	return nil
}
