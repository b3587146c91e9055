package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

func TestExitCodes(t *testing.T) {
	wrong := routesfile.Errors{{File: "routes.toml", Line: 1, Column: 2, Message: "no"}}
	for _, test := range []struct {
		err     error
		began   bool
		code    int
		message string
	}{
		{errors.New("flag"), false, 2, "router: flag"},
		{errors.New("it broke"), true, 1, "router: it broke"},
		{errors.New("ERR \x1b[2J\u202e\a\nwrite it"), true, 1, "router: ERR \ufffd[2J\ufffd\ufffd\nwrite it"},
		{&daemon.UsageError{Err: errors.New("no such channel")}, true, 2, "router: no such channel"},
		{fmt.Errorf("line 3: %w", &daemon.UsageError{Err: errors.New("no")}), true, 2, "router: line 3: no"},
		{fmt.Errorf("load: %w", wrong), true, 78, "routes.toml:1:2: no"},
		{append(wrong, wrong...), true, 78, "routes.toml:1:2: no\nroutes.toml:1:2: no\n2 errors in the configuration"},
	} {
		a := &app{began: test.began}
		if code := a.exitCode(test.err); code != test.code {
			t.Errorf("%v: exit code %d, want %d", test.err, code, test.code)
		}
		if text := message("router", test.err); text != test.message {
			t.Errorf("%v: %q, want %q", test.err, text, test.message)
		}
	}
}

func TestInvocation(t *testing.T) {
	for arg0, want := range map[string]string{
		"router":       "router",
		"./bin/router": "./bin/router",
		"/usr/bin/bot": "/usr/bin/bot",
	} {
		if got := invocation(arg0); got != want {
			t.Errorf("%s is called as %q, want %q", arg0, got, want)
		}
	}
	if got := invocation("/tmp/go-build12/b001/exe/router"); strings.Contains(got, "/tmp") {
		t.Errorf("a file that is soon gone: %q", got)
	}
}

type everyOption struct {
	Name  string         `toml:"name" doc:"a text"`
	On    bool           `toml:"on" doc:"a switch"`
	Many  []string       `toml:"many" doc:"texts"`
	Wait  time.Duration  `toml:"wait" doc:"a time"`
	Ratio float64        `toml:"ratio" doc:"a share"`
	Deep  map[string]int `toml:"deep" doc:"more"`
	inner int
}

func TestDocsOfOptions(t *testing.T) {
	kind := router.Kind[everyOption]{
		Name: "every", Doc: "Has them all.",
		Defaults: everyOption{Name: "x", Many: []string{"a", "b"}, Wait: 1500 * time.Millisecond, Ratio: 0.5, inner: 1},
		New:      func(router.Env, everyOption) (router.Handler, error) { return nil, nil },
	}
	var out, errs strings.Builder
	a := &app{kinds: router.NewRegistry(kind), name: "bot", program: "bot", out: &out, err: &errs}
	if code := run(context.Background(), a, []string{"docs", "every"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	const want = `every: Has them all.

[handlers.my_every]
kind = "every"

option  value            default  meaning
name    string           x        a text
on      boolean          false    a switch
many    list of strings  a, b     texts
wait    duration         1.5s     a time
ratio   number           0.5      a share
deep    table            -        more
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
