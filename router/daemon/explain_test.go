package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

const explainedRoutes = `[service]
name = "momentum"
[channels.in]
transport = "stream"
key_field = "data.key"
unmatched = "dead_letter"
[channels.feed]
transport = "pubsub"
type_field = "e"
id_field = "t"
time_field = "T"
key_field = "s"
max_bytes = 200
split = "list"
[channels.far]
transport = "pubsub"
pattern = "far:*"
dead_letter = "in"
[[routes]]
name = "one"
channel = "in"
type = ["a", "b.*", "!b.test"]
when = 'event.data.n > 1 && (event.data.tags.exists(t, t == "x") || event.key == "k")'
max_age = "1m"
dedupe = { window = "1h", by = "key" }
handler = "drop"
[[routes]]
name = "two"
channel = "in"
type = ["a", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"]
when = 'event.msg.data == event.data && event.time < timestamp("2100-01-01T00:00:00Z")'
retry = { attempts = 2, backoff = "1s" }
handler = "drop"
[[routes]]
channel = ["feed", "far"]
type = "*"
when = 'event.data.q != "" && event.name != ""'
handler = "drop"
`

// explainKinds has the one kind that the tests need.
func explainKinds() *router.Registry {
	return router.NewRegistry(router.Kind[struct{}]{Name: "drop", New: func(router.Env, struct{}) (router.Handler, error) {
		return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
	}})
}

func explainOptions(t testing.TB, routes string, out, errs io.Writer) Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, []byte(routes), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{Kinds: explainKinds(), Stdout: out, Stderr: errs}
	opts.Source.Paths = []string{file}
	return opts
}

// TestExplainMessages explains whole messages; the answer is what each route says.
func TestExplainMessages(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		channel, message string
		want             string // a line for each event: its routes' results, and the last clause of the first
	}{
		{"in", `{"type":"a","id":"1","data":{"n":2,"tags":["x"],"key":"k"}}`, "match match dedupe: remembered for 1h by key k"},
		{"in", `{"type":"a","id":"1","data":{"n":2,"tags":["x"]}}`, "match match dedupe: remembered for 1h by id 1"},
		{"in", `{"type":"a","id":"1","data":{"n":2,"tags":[]}}`, `no_match match when: event.data.tags.exists(t, t == "x") || event.key == "k": event.data.tags is [], event.key is ""`},
		{"in", `{"type":"a","data":{"tags":["x"]}}`, `no_match match when: event.data.n > 1: event.data.n is missing`},
		{"in", `{"type":"a","data":{"n":"2","tags":["x"]}}`, `fails match when: event.data.n > 1: "2" > 1; the event would fail here: data.n is a string: write double(event.data.n)`},
		{"in", `{"type":"a","time":"2026-01-01T00:00:00Z","data":{"n":2,"tags":["x"]}}`, `no_match match max_age: … old, and 1m is the most`},
		{"in", `{"type":"b.x","data":{"n":2,"tags":["x"]}}`, `match no_match dedupe: remembered for 1h by id`},
		{"in", `{"type":"b.test"}`, `no_match no_match type: "!b.test" excludes it`},
		{"in", `{"type":"z"}`, `no_match no_match type: not in "a" "b.*" "!b.test"`},
		{"in", `{"type":"a","data":[1e999,-0]}`, `no_match match when: event.data.n > 1: event.data.n is missing`},
		{"feed", `{"list":[{"e":"x","q":1},{"e":"y"},{"q":1}]}`, "match when true\nno_match when: event.data.q != \"\": event.data.q is missing\nno_type"},
		{"feed", `{"list":[]}`, "the message is an array without elements: it holds no event"},
		{"feed", `{"e":"` + strings.Repeat("x", 200) + `"}`, "too_big"},
		{"far", `{"type":"x","data":{"q":1}}`, `unknown when: event.name != "": unknown without a message`},
		{"in", "", "empty"},
		{"in", "\xff", "invalid_utf8"},
		{"in", `{"type":"a\u0000"`, "not_json"},
		{"in", `[]`, "not_object"},
		{"in", `{"type":""}`, "bad_type"},
		{"in", `{"type":"a","data":NaN}`, "nan"},
	} {
		var out strings.Builder
		err := Explain(t.Context(), explainOptions(t, explainedRoutes, &out, io.Discard), ExplainOptions{Channel: tc.channel, From: strings.NewReader(tc.message), JSON: true})
		var got []string
		taken := false
		for line := range strings.Lines(out.String()) {
			var one explained
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			taken = taken || one.Matches+one.Unknown > 0
			got = append(got, inShort(one))
		}
		if got := strings.Join(got, "\n"); got != tc.want {
			t.Errorf("%s on %s\n got %s\nwant %s", tc.message, tc.channel, got, tc.want)
		}
		if (err == nil) != taken {
			t.Errorf("%s on %s: %v", tc.message, tc.channel, err)
		}
	}
}

// inShort is what TestExplainMessages compares. Ages are left out.
func inShort(one explained) string {
	if one.Rejected != "" {
		return one.Cause
	}
	if len(one.Routes) == 0 {
		return one.Outcome
	}
	var words []string
	for _, r := range one.Routes {
		words = append(words, r.Result)
	}
	last := one.Routes[0].Clauses[len(one.Routes[0].Clauses)-1].Text
	if strings.HasPrefix(last, "max_age: ") {
		last = "max_age: … old" + last[strings.Index(last, ", and"):]
	}
	return strings.Join(append(words, last), " ")
}

func TestExplainTexts(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	opts := explainOptions(t, explainedRoutes, &out, io.Discard)
	err := Explain(t.Context(), opts, ExplainOptions{Channel: "in", Type: "z\x1b[2J"})
	if err == nil || !strings.Contains(out.String(), "no route takes this type: the event is counted as unmatched and kept in in.dead") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), `z\x1b[2J`) || !strings.Contains(out.String(), `"c7" … (10)`) {
		t.Errorf("the types are not as they should be shown:\n%s", out.String())
	}
	out.Reset()
	err = Explain(t.Context(), opts, ExplainOptions{Channel: "far", Type: "x", Data: `{"q":1}`})
	if err != nil || !strings.Contains(out.String(), "dead letters in in") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	out.Reset()
	err = Explain(t.Context(), opts, ExplainOptions{Channel: "in", Type: "a", Data: `{"n":2,"tags":["x"]}`})
	if err != nil || !strings.HasPrefix(out.String(), "in · stream · a · sent now\n") || !strings.Contains(out.String(), "remembered for 1h by id\n") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	// Where the data is the message, it may say its id and time.
	out.Reset()
	err = Explain(t.Context(), opts, ExplainOptions{Channel: "feed", Type: "x", Data: `{"q":1,"t":7,"T":1700000000,"s":"BTC"}`})
	if err != nil || !strings.HasPrefix(out.String(), "feed · pubsub · x · id 7 · key BTC · ") || strings.Contains(out.String(), "sent now") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	for _, what := range []ExplainOptions{{Channel: "inn", Type: "a"}, {Channel: "in", Type: "a", Data: "{"}} {
		var usage *UsageError
		if err := Explain(t.Context(), opts, what); !errors.As(err, &usage) {
			t.Errorf("%+v: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, writer := io.Pipe()
	defer writer.Close()
	if err := Explain(ctx, opts, ExplainOptions{Channel: "in", From: silent}); !errors.Is(err, errInterrupted) {
		t.Errorf("reading nothing ends with %v", err)
	}
}

// What publish refuses since it does not satisfy its schema is a message all the same, which
// a router rejects.
func TestExplainAgainstSchema(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	opts := explainOptions(t, "[channels.a]\ntransport = \"stream\"\nschemas = { x = \"x.json\" }\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"drop\"\n", &out, io.Discard)
	const schema = `{"properties": {"id": {"format": "uuid"}, "data": {"required": ["size"]}}}`
	if err := os.WriteFile(filepath.Join(filepath.Dir(opts.Source.Paths[0]), "x.json"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Explain(t.Context(), opts, ExplainOptions{Channel: "a", Type: "x", Data: `{"n":1}`})
	if err == nil || !strings.Contains(out.String(), "rejected (schema): data.size is missing") || strings.Contains(out.String(), "none") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	out.Reset()
	err = Explain(t.Context(), opts, ExplainOptions{Channel: "a", Type: "x", Data: `{"size":1}`})
	if err != nil || !strings.HasPrefix(out.String(), "a · stream · x · sent now\n") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

// What config hides of a condition, explain shows as it is written.
func TestExplainHidesSecrets(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	opts := explainOptions(t, "[channels.a]\ntransport = \"pubsub\"\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"drop\"\n"+
		"when = 'event.data.by == \"${API_TOKEN}\" && event.data.bot == \"${BOT}\"'\n", &out, io.Discard)
	opts.Source.Environ = []string{"API_TOKEN=hunter2", "BOT=me"}
	for _, data := range []string{`{"by":"x","bot":"me"}`, `{"by":"hunter2","bot":"you"}`, `{"bot":"me"}`} {
		err := Explain(t.Context(), opts, ExplainOptions{Channel: "a", Type: "x", Data: data})
		if err == nil || !strings.Contains(out.String(), "${API_TOKEN}") || strings.Contains(out.String(), "hunter2") {
			t.Errorf("%v:\n%s", err, out.String())
		}
		out.Reset()
	}
}

func TestExplainColours(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newExplainPrinter(&out, false)
	p.colours = true
	one := explained{Channel: "in", Transport: "stream", Name: "in", Type: "a", Matches: 1, Routes: []explainedRoute{
		{Route: "x", Handler: "log", Kind: "log", Result: resultMatch, Clauses: []clause{{"type", resultMatch, `type "a"`}}},
		{Route: "y", Handler: "h", Kind: "log", At: "f:1", Result: resultNo, Clauses: []clause{{"type", resultMatch, "t"}, {"when", resultNo, "when: \x1b[1m"}}},
	}}
	if err := p.print(one); err != nil {
		t.Fatal(err)
	}
	want := "in · stream · a\n" +
		"  \x1b[32m✓\x1b[0m x → log      \n      type \"a\"\n      \n" +
		"  \x1b[31m✗\x1b[0m y → h (log)  \x1b[2mf:1\x1b[0m\n      when: \\x1b[1m\n" +
		"1 of 2 routes matches\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestRoughly(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1234567: "1ms", 2123 * time.Millisecond: "2.1s", 61500 * time.Millisecond: "1m2s", 3 * time.Hour: "3h",
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%v) is %s, want %s", d, got, want)
		}
	}
	now := time.Now()
	for s, want := range map[*subject]string{
		{Event: router.Event{Time: now}}:                   "just arrived",
		{Event: router.Event{Time: now}, sent: "sent now"}: "sent now",
		{Event: router.Event{Time: now.Add(time.Second)}}:  "1s ahead",
		{Event: router.Event{Time: now.Add(-time.Minute)}}: "1m old",
	} {
		if got := s.age(now); got != want {
			t.Errorf("%v: %s, want %s", s.Time, got, want)
		}
	}
}

// FuzzExplainMessage looks for messages on which explaining panics, or prints what a
// terminal obeys.
func FuzzExplainMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"a","id":"1","data":{"n":2,"tags":["x"],"key":"k"}}`, `{"list":[{"e":"x","q":1},{"e":"y"},{"q":1}]}`,
		`{"type":"\u001b[2J\u202e","id":"\u0000none","time":1e300,"data":{"n":"\ud800"}}`, "\xff\x1b]0;\x07", `{"e":"x","T":-1,"s":{}}`,
	} {
		f.Add(seed)
	}
	opts := explainOptions(f, explainedRoutes, io.Discard, io.Discard)
	p, err := openToExplain(opts, ExplainOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message string) {
		for _, ch := range p.loaded.Config.Channels {
			e, err := newExplainer(opts, p, ch)
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range []ExplainOptions{
				{From: strings.NewReader(message)}, {Type: message}, {Type: "a", Data: message}, {Type: message, Data: `{"q":1}`},
			} {
				all, err := e.message(t.Context(), what)
				if _, usage := errors.AsType[*UsageError](err); err != nil && (!usage || what.Type == "") {
					t.Errorf("%+v: %v", what, err)
				}
				for _, asJSON := range []bool{false, true} {
					tame(t, all, asJSON)
				}
			}
		}
	})
}

// tame fails when an explanation has what a terminal obeys.
func tame(t *testing.T, all []explained, asJSON bool) {
	t.Helper()
	var out strings.Builder
	p := newExplainPrinter(&out, asJSON)
	for _, one := range all {
		if err := p.print(one); err != nil {
			t.Fatal(err)
		}
	}
	obeyed := func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x9b || r == 0x202e }
	if strings.ContainsFunc(out.String(), obeyed) || asJSON && !json.Valid([]byte("["+strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", ",")+"]")) {
		t.Errorf("%q is obeyed by terminals, or no JSON", out.String())
	}
}
