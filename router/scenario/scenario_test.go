package scenario

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"signalbox/config"
	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

var update = flag.Bool("update", false, "write the expected reports anew")

func kinds() *router.Registry {
	r := router.NewRegistry()
	handlers.Register(r)
	sources.Register(r)
	return r
}

// report is the text of a report, without how long it took.
func report(t *testing.T, verbose bool, paths ...string) (string, *Report) {
	t.Helper()
	got, err := Run(t.Context(), Options{Paths: paths, Kinds: kinds()})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := got.WriteText(&out, verbose); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`[0-9.]+ s\n`).ReplaceAllString(out.String(), "… s\n")
	return strings.ReplaceAll(text, filepath.Dir(paths[0])+string(filepath.Separator), ""), got
}

// base is a configuration that takes everything.
const base = `
[channels.a]
transport = "stream"
[[routes]]
channel = "a"
type = "*"
handler = "drop"
`

func TestReports(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"passing", "failing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := report(t, name == "passing", filepath.Join("testdata", name+".toml"))
			golden := filepath.Join("testdata", name+".want")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// write writes files and returns the path of the first.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func TestShippedRoutes(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	text, got := report(t, false, write(t, "routes.toml", string(config.Routes), "routes_test.toml", string(config.Tests)))
	if got.Failed() > 0 || len(got.Unexercised()) > 0 || len(got.Routes) != 9 {
		t.Error(text)
	}
	if took := time.Since(begin); took > 5*time.Second { // a quiet machine needs 0.02 s
		t.Errorf("took %v", took)
	}
}

// Nothing of the process reaches a test: no variable, no override, no file of a secret.
func TestSealed(t *testing.T) {
	secret := write(t, "secret", "s3cret")
	t.Setenv("ROUTE_TYPE", "other")
	t.Setenv("SIGNALBOX_CHANNELS__A__TRANSPORT", "nonsense")
	path := write(t, "routes.toml", `
[channels.a]
transport = "stream"
[handlers.h]
kind = "sql"
dsn = "${file:`+secret+`}"
table = "${TABLE}"
[[routes]]
channel = "a"
type = "${ROUTE_TYPE:-mine}"
handler = "h"
[[tests]]
name = "the default counts"
send = [{ channel = "a", text = '{"type":"mine"}' }]
handled = [{ handler = "h" }]
[[tests]]
name = "a dollar is a dollar, and an override a variable like any other"
env = { ROUTE_TYPE = "$x", SIGNALBOX_CHANNELS__A__TRANSPORT = "nonsense" }
send = [{ channel = "a", message = { type = "$x" } }]
handled = [{ type = "$x" }]
`)
	if text, got := report(t, false, path); got.Failed() > 0 {
		t.Error(text)
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	path := write(t, "routes.toml", string(config.Routes))
	if _, err := Run(t.Context(), Options{Paths: []string{path}, Kinds: kinds()}); !errors.Is(err, ErrNoTests) {
		t.Errorf("no tests: %v", err)
	}
	path = write(t, "routes.toml", string(config.Routes), "routes_test.toml", string(config.Tests))
	_, err := Run(t.Context(), Options{Paths: []string{path}, Kinds: kinds(), Only: regexp.MustCompile("^never$")})
	if err == nil || !strings.Contains(err.Error(), `"^never$"`) {
		t.Errorf("no test of that name: %v", err)
	}
	got, err := Run(t.Context(), Options{Paths: []string{filepath.Dir(path)}, Kinds: kinds(), Only: regexp.MustCompile("price")})
	if err != nil || len(got.Tests) != 1 || got.Routes != nil {
		t.Errorf("one test: %+v, %v", got, err)
	}
	var mistakes routesfile.Errors
	path = write(t, "routes.toml", "[[tests]]\n"+string(config.Routes))
	if _, err = Run(t.Context(), Options{Paths: []string{path}, Kinds: kinds()}); !errors.As(err, &mistakes) {
		t.Errorf("a wrong test: %v", err)
	}
}

// A handler that runs for real and never returns fails its test, and hangs nothing.
func TestPatience(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	registry := router.NewRegistry(router.Kind[struct{}]{
		Name: "stuck", Pure: true,
		New: func(router.Env, struct{}) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error { <-release; return nil }), nil
		},
	})
	path := write(t, "routes.toml", `
[channels.a]
transport = "stream"
[[routes]]
channel = "a"
type = "*"
handler = "stuck"
[[tests]]
name = "x"
send = [{ channel = "a", message = { type = "a" } }]
handled = [{ handler = "stuck" }]
`)
	got, err := Run(t.Context(), Options{Paths: []string{path}, Kinds: registry, patience: 50 * time.Millisecond})
	if err != nil || len(got.Tests[0].Errors) != 1 || !strings.Contains(got.Tests[0].Errors[0], "did not end within 50ms") {
		t.Errorf("%+v, %v", got, err)
	}
}

// What is left behind still sends, or is about to, when it is closed.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	path := write(t, "routes.toml", base+`
[[tests]]
name = "x"
send = [{ channel = "a", file = "m.jsonl" }]
handled = [{ handler = "drop" }]
`, "m.jsonl", strings.Repeat(`{"type":"x"}`+"\n", 10_000))
	for _, patience := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		got, err := Run(t.Context(), Options{Paths: []string{path}, Kinds: kinds(), patience: patience})
		if err != nil || len(got.Tests[0].Errors) > 1 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	time.Sleep(50 * time.Millisecond) // a panic of what was left behind would come by then
}

func TestStopped(t *testing.T) {
	t.Parallel()
	path := write(t, "routes.toml", base+`
[[tests]]
name = "x"
send = [{ channel = "a", message = { type = "x" } }]
handled = [{ handler = "drop" }]
`)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Run(ctx, Options{Paths: []string{path}, Kinds: kinds()}); err == nil || !strings.Contains(err.Error(), "stopped before all tests had run") {
		t.Error(err)
	}
}

// Thousands of expectations of thousands of things, of which many can meet many.
func TestMuchToCompare(t *testing.T) {
	t.Parallel()
	specific, vague := "", ""
	for i := range 1000 { // with the race detector on a busy machine it must still take less than 5 s
		specific += fmt.Sprintf("{ handler = \"drop\", id = \"%d\" },", i)
		vague += []string{`{ handler = "drop" },`, `{ type = "x" },`}[i%2]
	}
	path := write(t, "routes.toml", base+`
[[tests]]
name = "specific"
send = [{ channel = "a", file = "m.jsonl" }]
handled = [`+specific+`]
[[tests]]
name = "vague"
send = [{ channel = "a", file = "few.jsonl" }]
handled = [`+vague+`]
`, "m.jsonl", strings.Repeat(`{"type":"x"}`+"\n", 5_000), "few.jsonl", strings.Repeat(`{"type":"x"}`+"\n", 700))
	begin := time.Now()
	got, err := Run(t.Context(), Options{Paths: []string{path}, Kinds: kinds()})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 10*time.Second { // a quiet machine needs 0.3 s; pair by pair it took 7
		t.Errorf("took %v", took)
	}
	if n := len(got.Tests[0].Failures); n != 1000 {
		t.Errorf("%d failures, want one for each id that no message has: %v", n, got.Tests[0].Errors)
	}
	if n := len(got.Tests[1].Failures); n != 300 {
		t.Errorf("%d failures, want one for each expectation that nothing is left for: %v", n, got.Tests[1].Errors)
	}
}

// A report has nothing that a terminal would obey, whatever is in messages.
func TestReportIsPrintable(t *testing.T) {
	t.Parallel()
	text, _ := report(t, false, write(t, "routes.toml", base+`
[[tests]]
name = "x\u001b[31m"
send = [
  { channel = "a", message = { type = "t\u001b[31m", id = "\u202e\u0007", data = { a = "\u001b[2J" } } },
  { channel = "a", text = "\u001b[2J\u202e" },
]
handled = [{ data = { a = "\u202e" } }]
`))
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !strings.Contains(text, "t\ufffd[31m") {
		t.Errorf("at %d of:\n%s", i, text)
	}
}

// The tests of the page pass, on the routes of the page.
func TestDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindAllSubmatch(page, -1) {
		file.Write(block[1])
	}
	text, got := report(t, false, write(t, "routes.toml", file.String()))
	if got.Failed() > 0 || len(got.Tests) < 6 || len(got.Unexercised()) > 0 {
		t.Error(text)
	}
}
