package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/order"
	"signalbox/router/routesfile"
)

// patience is how long a test may take, in real time. None needs a hundredth of it.
const patience = 5 * time.Second

// Options are what to run.
type Options struct {
	// Paths are the files and folders of the configuration, as in [routesfile.Source].
	Paths []string
	Kinds *router.Registry
	// Only are the tests to run, by their names; nil: all.
	Only *regexp.Regexp

	patience time.Duration // 0: as above
}

// Report is what came of the tests.
type Report struct {
	Tests  []Result
	Routes []Route // of all configurations that tests have run with; nil when not all tests ran
	Took   time.Duration
}

// Result is what came of one test.
type Result struct {
	routesfile.Test
	Errors   []string // why it could not run
	Failures []Failure
	Sent     []Sent   // what became of each message
	Then     []Sent   // likewise, of what handlers published and of Signalbox's own events
	Notes    []string // worth knowing when it failed
}

// OK reports whether the test passed.
func (r *Result) OK() bool { return len(r.Errors)+len(r.Failures) == 0 }

// Route is a route, and whether a test exercises it: an event reached its policy. A false
// condition alone does not.
type Route struct {
	Channel, Name string
	At            string // file:line
	Exercised     bool
}

// ErrNoTests is returned when a configuration has no tests.
var ErrNoTests = errors.New("there are no tests")

// Run runs the tests of a configuration, one after the other. Mistakes in it are
// [routesfile.Errors]; what only one test's variables lead to is an error of that test. When
// ctx ends, no report is made.
func Run(ctx context.Context, opts Options) (*Report, error) {
	begin := time.Now()
	base, err := routesfile.Load(routesfile.Source{Paths: opts.Paths, Check: true, Tests: true, Sealed: true}, opts.Kinds)
	if err != nil {
		return nil, err
	}
	if len(base.Tests) == 0 {
		return nil, ErrNoTests
	}
	r := &runner{Options: opts, loaded: map[string]*configuration{}, routes: map[[2]string]*Route{}}
	if r.patience == 0 {
		r.patience = patience
	}
	report := &Report{}
	for _, test := range base.Tests {
		if opts.Only == nil || opts.Only.MatchString(test.Name) {
			report.Tests = append(report.Tests, r.run(ctx, test))
		}
		if ctx.Err() != nil {
			return nil, errors.New("stopped before all tests had run")
		}
	}
	if len(report.Tests) == 0 {
		return nil, fmt.Errorf("no test has a name that matches %q", opts.Only)
	}
	if len(report.Tests) == len(base.Tests) {
		for _, route := range r.routes {
			report.Routes = append(report.Routes, *route)
		}
		order.Stable(report.Routes, func(a, b *Route) int {
			return cmp.Or(strings.Compare(a.Channel, b.Channel), strings.Compare(a.Name, b.Name))
		})
	}
	report.Took = time.Since(begin)
	return report, nil
}

// Failed counts the tests that failed.
func (r *Report) Failed() (n int) {
	for i := range r.Tests {
		if !r.Tests[i].OK() {
			n++
		}
	}
	return n
}

// Unexercised are the routes that no test exercises.
func (r *Report) Unexercised() (routes []Route) {
	for _, one := range r.Routes {
		if !one.Exercised {
			routes = append(routes, one)
		}
	}
	return routes
}

// runner runs tests, of which many have the same variables and so the same configuration.
type runner struct {
	Options
	loaded map[string]*configuration
	routes map[[2]string]*Route
}

// configuration is what a test's variables make of the files.
type configuration struct {
	config router.Config
	err    error
}

func (r *runner) configuration(env map[string]string) *configuration {
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		environ = append(environ, name+"="+env[name])
	}
	key := strings.Join(environ, "\x00")
	if r.loaded[key] == nil {
		loaded, err := routesfile.Load(routesfile.Source{Paths: r.Paths, Environ: environ, Sealed: true}, r.Kinds)
		with := &configuration{err: err}
		if err == nil {
			with.config = loaded.Config
			r.know(loaded)
		}
		r.loaded[key] = with
	}
	return r.loaded[key]
}

// know notes the routes of a configuration.
func (r *runner) know(loaded *routesfile.Result) {
	for _, route := range loaded.Config.Routes {
		key := [2]string{route.Channel, route.Name}
		if r.routes[key] == nil {
			r.routes[key] = &Route{Channel: route.Channel, Name: route.Name, At: loaded.Written(route.Channel, route.Name).At}
		}
	}
}

func (r *runner) run(ctx context.Context, test routesfile.Test) Result {
	ctx, stop := context.WithTimeout(ctx, r.patience)
	defer stop()
	result := Result{Test: test}
	with := r.configuration(test.Env)
	var config routesfile.Errors
	switch {
	case errors.As(with.err, &config):
		for _, one := range config {
			result.Errors = append(result.Errors, one.Error())
		}
		return result
	case with.err != nil:
		result.Errors = []string{with.err.Error()}
		return result
	}
	p := newPlay(test, with.config, r.Kinds)
	if err := p.perform(ctx, r.patience); err != nil {
		result.Errors = []string{err.Error()}
		return result
	}
	for key := range p.exercised() {
		if route := r.routes[key]; route != nil {
			route.Exercised = true
		}
	}
	happened := p.happened()
	failures, done := compare(ctx, test.Expect, happened)
	if !done {
		result.Errors = []string{fmt.Sprintf("too much to compare within %v: %d expectations with %d things that happened; send less, or expect less", r.patience, len(test.Expect), len(happened))}
		return result
	}
	result.Failures = failures
	result.Sent, result.Then = p.stories()
	if p.box.Overrun() {
		result.Notes = append(result.Notes, fmt.Sprintf("handlers have published %d messages, and no more were let through; they seem to travel in a circle", mostPublished))
	}
	if !p.ended {
		result.Notes = append(result.Notes, "after a day of the test's time, some events still wait: for a target that is away, or for the next attempt")
	}
	return result
}
