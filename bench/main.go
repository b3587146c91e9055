package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	quick   bool
	only    *regexp.Regexp
	results string // file
	plots   string // folder; empty: none
	profile string // folder; empty: no profiles, but the benchmark
	busy    bool   // run beside other processes
}

func main() {
	if name := os.Getenv(contenderEnv); name != "" {
		compete(name)
		return
	}
	var o options
	flag.BoolVar(&o.quick, "quick", false, "fewer rounds: under a minute")
	only := flag.String("run", "", "only the cases that match this regular expression")
	flag.StringVar(&o.results, "results", "bench/results.json", "file for the results")
	flag.StringVar(&o.plots, "plots", "", "folder for plots of how the cost grows")
	flag.StringVar(&o.profile, "profile", "", "write profiles of the drain to this folder, and nothing else")
	flag.BoolVar(&o.busy, "busy", false, "run although other processes are busy: the numbers will be wrong")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench: -run:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if !o.busy {
		if err := alone(ctx); err != nil {
			return err
		}
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	switch {
	case o.profile != "":
		return b.profiles(o.profile)
	case o.plots != "":
		return b.curves(o.plots)
	default:
		return b.table(o.results)
	}
}

// bench is one run of everything.
type bench struct {
	options
	ctx    context.Context //nolint:containedctx // of the run
	server *server
	dir    string // for its files
	binary string // the router, as it is shipped
	python string // an interpreter that has redis-py; empty: none
	rounds int
	drains int // that count, in a round
	saves  int // messages of a drain into PostgreSQL

	postgres string // dsn of the server of the case that runs
}

func newBench(ctx context.Context, o options) (*bench, error) {
	b := &bench{options: o, ctx: ctx, rounds: 5, drains: 2, saves: 25_000}
	if o.quick {
		b.rounds, b.drains = 1, 1
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "signalbox-bench-"); err != nil {
		return nil, err
	}
	if b.server, err = startServer(ctx, b.dir); err != nil {
		b.close()
		return nil, err
	}
	b.binary = filepath.Join(b.dir, "router")
	build := exec.CommandContext(ctx, "scripts/build", b.binary, "./cmd/router")
	if out, err := build.CombinedOutput(); err != nil {
		b.close()
		return nil, fmt.Errorf("build the router (bench runs in the top folder of the project): %w\n%s", err, out)
	}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(ctx, python, "-c", "import redis").Run() == nil {
			b.python = python
			break
		}
	}
	return b, nil
}

func (b *bench) close() {
	if b.server != nil {
		b.server.stop()
	}
	_ = os.RemoveAll(b.dir)
}

// table runs the cases and prints the results.
func (b *bench) table(file string) error {
	begin := time.Now()
	var all []result
	fmt.Println("# " + machine())
	for _, c := range cases() {
		if !b.only.MatchString(c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", c.name)
		found, err := c.run(b)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, found...)
	}
	fmt.Println(markdown(all))
	fmt.Printf("%d rounds, %v.\n", b.rounds, time.Since(begin).Round(time.Second))
	if err := save(file, all); err != nil {
		return err
	}
	if missed := unmet(all); len(missed) > 0 {
		return errors.New("not met: " + strings.Join(missed, "; "))
	}
	return nil
}
