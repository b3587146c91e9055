package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/routesfile"
	"signalbox/router/source"
)

func TestUnready(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, tc := range []struct {
		stats source.Stats
		want  string // empty: it is no reason
	}{
		{source.Stats{State: source.Connected}, ""},
		{source.Stats{State: source.Connected, Trouble: "no answer to the subscription"}, `source "feed": no answer to the subscription`},
		{source.Stats{State: source.StandingBy, Why: "of no interest"}, ""},
		{source.Stats{State: source.StandingBy, Trouble: "its lease cannot be asked for"}, `source "feed": its lease cannot be asked for`},
		{source.Stats{State: source.Connecting, Holds: true}, `source "feed": it is connecting`},
		{source.Stats{State: source.Waiting, Why: "EOF", Until: in(90 * time.Second)}, `source "feed": it is not connected: EOF; it tries again in 1m30s`},
		{source.Stats{State: source.Waiting, Why: "EOF", Until: in(time.Millisecond)}, `source "feed": it is not connected: EOF; it tries again in 1s`},
		{source.Stats{State: source.Waiting, Why: "EOF", Until: in(-time.Second)}, `source "feed": it is not connected: EOF`},
		{source.Stats{State: source.Waiting}, `source "feed": it is not connected`},
		{source.Stats{State: source.StoodDown, Why: "code 12", Until: in(15 * time.Minute)}, `source "feed": it stands down: code 12; it tries again in 15m0s`},
		{source.Stats{State: source.GivenUp, Why: "no such account"}, `source "feed": it is given up: no such account`},
	} {
		tc.stats.Source = "feed"
		var texts []string
		for _, reason := range unready([]source.Stats{{Source: "well", State: source.Connected}, tc.stats}, now) {
			texts = append(texts, reason.Text)
			if reason.What != "source" {
				t.Errorf("the reason is %q", reason.What)
			}
		}
		if got := strings.Join(texts, "|"); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.stats.State, got, tc.want)
		}
	}
}

// Whatever the engine counts is shown, under the names that both sides have.
func TestShownSource(t *testing.T) {
	var stats source.Stats
	for i, v := 0, reflect.ValueOf(&stats).Elem(); i < v.NumField(); i++ {
		switch field := v.Field(i); field.Interface().(type) {
		case string, source.State:
			field.SetString(v.Type().Field(i).Name)
		case int, int64:
			field.SetInt(int64(i))
		case uint64:
			field.SetUint(uint64(i)) //nolint:gosec // a small number
		case bool:
			field.SetBool(true)
		case time.Time:
			field.Set(reflect.ValueOf(time.Unix(int64(i), 0)))
		case map[router.Cause]uint64:
			field.Set(reflect.ValueOf(map[router.Cause]uint64{"nan": 1}))
		default:
			t.Fatalf("what is a %s?", field.Type())
		}
	}
	from, to := reflect.ValueOf(stats), reflect.ValueOf(shownSource(stats, true))
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		if name == "Source" {
			name = "Name"
		}
		if got := to.FieldByName(name); !got.IsValid() || fmt.Sprint(got) != fmt.Sprint(from.Field(i)) {
			t.Errorf("%s is %v, want %v", name, got, from.Field(i))
		}
	}
	for theirs, ours := range map[source.State]ops.SourceState{
		source.StandingBy: ops.SourceStandingBy, source.Waiting: ops.SourceWaiting, source.Connecting: ops.SourceConnecting,
		source.Connected: ops.SourceConnected, source.StoodDown: ops.SourceStoodDown, source.GivenUp: ops.SourceGivenUp,
	} {
		if string(theirs) != string(ours) {
			t.Errorf("the state %q is called %q on the HTTP side", theirs, ours)
		}
	}
}

// kindOf is a kind of source whose sessions do that.
func kindOf(name string, does router.SourceFunc) router.SourceKind[struct{}] {
	return router.SourceKind[struct{}]{
		Name: name, Doc: "Does what a test says.",
		New: func(router.SourceEnv, struct{}) (router.Source, error) { return does, nil },
	}
}

const sourceRoutes = `
[http]
listen = "127.0.0.1:0"
[redis]
url = %q
[channels.prices]
transport = "pubsub"
[sources.given_up]
channel = "prices"
lease   = false
[sources.silent]
channel = "prices"
lease   = false
backoff = "1h"
max_backoff = "1h"
[sources.troubled]
channel = "prices"
lease   = false
hours   = "Mon 00:00-00:01 UTC"
[sources.well]
channel = "prices"
lease   = false
[[routes]]
channel = "prices"
type    = "tick"
handler = "ledger"
`

// A source that does not work is never hidden: not while the router is else as well as can be.
func TestReadyTellsOfSources(t *testing.T) {
	server := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, sourceRoutes, server.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	stays := func(trouble error) router.SourceFunc {
		return func(ctx context.Context, to router.Sink) error {
			to.Opened("test://here")
			to.Trouble(trouble)
			to.Emit([]byte(`{"type":"tick"}`))
			<-ctx.Done()
			return ctx.Err()
		}
	}
	l := &ledger{}
	kinds := l.kinds()
	kinds.AddSources(
		kindOf("given_up", func(context.Context, router.Sink) error { return router.Permanent(errors.New("no such account")) }),
		kindOf("silent", func(context.Context, router.Sink) error { return errors.New("nobody answers") }),
		kindOf("troubled", stays(errors.New("no answer to the subscription"))),
		kindOf("well", stays(nil)),
	)
	log := &journal{wrote: make(chan struct{})}
	opts := Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: kinds, Observe: l.observe, Stderr: log}
	p := runProgram(t, opts)
	want := []string{
		`source "given_up": it is given up: no such account`,
		`source "silent": it is not connected: nobody answers; it tries again in `,
		`source "troubled": no answer to the subscription`,
	}
	var texts []string
	eventually(t, "each reason is there", func() bool {
		texts = nil
		for _, reason := range p.ready(t.Context()) {
			texts = append(texts, reason.Text)
		}
		return slices.EqualFunc(texts, want, strings.HasPrefix)
	})
	eventually(t, "what was read is published", func() bool { return p.opsSources()[3].Published == 2 }) // and that it is connected

	shown := p.opsSources()
	for i, state := range []ops.SourceState{ops.SourceGivenUp, ops.SourceWaiting, ops.SourceConnected, ops.SourceConnected} {
		if shown[i].State != state || shown[i].Channel != "prices" {
			t.Errorf("source %d: %+v, want it %s", i, shown[i], state)
		}
	}
	if well := shown[3]; well.At != "test://here" || well.Received != 1 || well.Sessions != 1 || !well.Expected || well.LastData.IsZero() || shown[2].Expected {
		t.Errorf("sources %+v", shown)
	}

	// The same by all the other ways.
	log.await(t, `level=ERROR msg="the source is given up, until the configuration is changed or the router starts again" source=given_up`, 1)
	page := regexp.MustCompile(`page=(http://\S+)/`).FindStringSubmatch(log.String())[1]
	var out strings.Builder
	opts.Stdout = &out
	err := AskHealth(t.Context(), opts, HealthOptions{AskOptions: AskOptions{URL: page, Timeout: patience}})
	if _, printed := errors.AsType[*PrintedError](err); !printed || !strings.HasPrefix(out.String(), "not ready: "+want[0]+"; "+want[1]) {
		t.Errorf("router health says %q, %v", out.String(), err)
	}
	for path, says := range map[string]string{
		"/readyz":  `503 {"status":"not ready","reasons":[{"what":"source","text":"source \"given_up\": it is given up: no such account"},`,
		"/metrics": `signalbox_source_state{channel="prices",source="given_up",state="given_up"} 1`,
	} {
		if got := fetched(t, page+path); !strings.Contains(got, says) {
			t.Errorf("%s says %s", path, got)
		}
	}
}

// A source whose messages Redis refuses is connected and of no use, and so is a router that
// cannot ask who holds the source.
func TestReadyTellsWhatRedisRefuses(t *testing.T) {
	server := redistest.Start(t)
	rules := func(rules ...any) {
		t.Helper()
		if err := server.Client().Do(t.Context(), append([]any{"ACL", "SETUSER", "default"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "routes.toml")
	text := fmt.Sprintf("[redis]\nurl = %q\n[channels.prices]\ntransport = \"pubsub\"\n[sources.feed]\nchannel = \"prices\"\nlease_for = \"1s\"\ntakeover_delay = \"10ms\"\n"+
		"[[routes]]\nchannel = \"prices\"\ntype = \"tick\"\nhandler = \"ledger\"\n", server.URL())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &ledger{}
	kinds := l.kinds()
	kinds.AddSources(kindOf("feed", func(ctx context.Context, to router.Sink) error {
		to.Opened("test://here")
		for ctx.Err() == nil {
			to.Emit([]byte(`{"type":"tick"}`))
			time.Sleep(10 * time.Millisecond)
		}
		return ctx.Err()
	}))
	p := runProgram(t, Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: kinds, Observe: l.observe})
	says := func(want string) {
		t.Helper()
		eventually(t, "it is "+want, func() bool {
			reasons := p.ready(t.Context())
			if want == "" {
				return len(reasons) == 0
			}
			return len(reasons) == 1 && strings.HasPrefix(reasons[0].Text, want)
		})
	}
	says("")
	rules("-publish")
	says(`source "feed": what it reads cannot be published: publish to "prices": `)
	rules("+publish")
	says("")
	rules("-evalsha")
	says(`source "feed": it does not connect, since its lease cannot be asked for: NOPERM`)
	rules("+evalsha")
	says("")
}

// fetched is the status and the body of an answer.
func fetched(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, body)
}
