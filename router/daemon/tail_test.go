package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/handlers"
	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/routesfile"
)

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"10m":                       "1795693800000-0 2026-11-26T11:50:00Z",
		"1h30m":                     "1795689000000-0 2026-11-26T10:30:00Z",
		"2026-11-26T11:59:59.5Z":    "1795694399500-0 2026-11-26T11:59:59Z",
		"2026-11-26T12:59:00+01:00": "1795694340000-0 2026-11-26T11:59:00Z",
		"1795694340000-7":           "1795694340000-7 1795694340000-7",
		"0-0":                       "0-0 0-0",
		"1900-01-01T00:00:00Z":      "0-0 1900-01-01T00:00:00Z", // ids begin in 1970
	} {
		s, err := parseSince(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		id, _ := s.begin(now)
		if got := id + " " + s.moment(now); got != want {
			t.Errorf("%s begins at %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"0s":              "--since 0s: want a time back from now, such as 10m; 0-0 is the beginning",
		"-10m":            "--since -10m: want a time back from now",
		"2d":              `--since "2d": want a time back from now such as 90s, 10m or 48h, a time such as`,
		"2026-11-26":      `--since "2026-11-26": want`,
		"1795694340000":   `--since "1795694340000": want`,
		"1795694340000-x": `--since "1795694340000-x": want`,
		"-1-0":            `--since "-1-0": want`,
	} {
		_, err := parseSince(text)
		if _, usage := errors.AsType[*UsageError](err); !usage || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

func TestSinceNotFuture(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		text, last string
		future     bool
	}{
		{"10m", "0", false},
		{"2026-11-26T12:00:00Z", "0", false},
		{"2026-11-26T12:00:00.9Z", "0", false}, // clocks differ
		{"2026-11-26T12:00:02Z", "0", true},
		{"2026-11-26T12:00:02Z", "1795694399000-0", true},
		{"1795694400000-3", "1795694400000-3", false},
		{"1795694999000-0", "1795694400000-0", true},
		{"1795694999000-0", "1795694999000-0", false}, // a producer that makes ids of its own
	} {
		s, err := parseSince(tc.text)
		if err != nil {
			t.Fatal(err)
		}
		err = s.notFuture(now, map[string]string{"a": "1-0", "b": tc.last})
		if (err != nil) != tc.future || tc.future && err.Error() != "--since "+tc.text+": is in the future; in Redis it is 2026-11-26T12:00:00Z" {
			t.Errorf("%s, the last being %s: %v", tc.text, tc.last, err)
		}
	}
}

// TestTailSinceHasNoGap looks at streams of several pages that grow meanwhile: each entry
// is shown once, and what was kept is in the order of ids.
func TestTailSinceHasNoGap(t *testing.T) {
	const kept, more = 1_500, 500
	server := redistest.Start(t)
	client := server.Client()
	add := func(stream string, n int) {
		for begin := 0; begin < n; begin += 250 {
			_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
				for range 250 {
					p.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []any{"type", "tick"}})
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	for range 2 {
		add("a", kept/2)
		add("b", kept/2)
	}
	grown := make(chan struct{})
	go func() {
		defer close(grown)
		add("a", more)
		add("b", more)
	}()
	var out bytes.Buffer
	opts := tailOptions(t, server.URL())
	opts.Stdout = &out
	if err := Tail(t.Context(), opts, TailOptions{Since: "1h", N: 2 * (kept + more), For: patience, JSON: true}); err != nil {
		t.Fatal(err)
	}
	<-grown
	shown := map[string][]string{}
	var before entryID
	sorted := 0
	for line := range strings.Lines(out.String()) {
		var e shownEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		shown[e.Channel] = append(shown[e.Channel], e.ID)
		id, _ := parseEntryID(e.ID)
		if id.before(before) && sorted < 2*kept {
			t.Fatalf("line %d: %s is shown too late", sorted, e.ID)
		}
		before = id
		sorted++
	}
	for _, stream := range []string{"a", "b"} {
		entries, err := client.XRange(t.Context(), stream, "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range entries {
			ids = append(ids, e.ID)
		}
		if !slices.Equal(shown[stream], ids) {
			t.Errorf("%d entries of %s are shown, want all %d in their order", len(shown[stream]), stream, len(ids))
		}
	}
}

// TestNextPage keeps pages small where entries are large, and bounded where they are not.
func TestNextPage(t *testing.T) {
	for _, tc := range []struct{ count, size, want int }{
		{firstPage, 0, 2 * firstPage},
		{maxPage, 0, maxPage},
		{200, 100, maxPage},
		{maxPage, pageBytes, maxPage / 2},
		{1, pageBytes, 1},
	} {
		if got := nextPage(tc.count, tc.size); got != tc.want {
			t.Errorf("after %d entries of %d bytes a page of %d, want %d", tc.count, tc.size, got, tc.want)
		}
	}
}

// tailOptions are those of a configuration with the streams a and b.
func tailOptions(t *testing.T, url string) Options {
	t.Helper()
	text := fmt.Sprintf("[redis]\nurl = %q\n[channels.a]\ntransport = \"stream\"\n[channels.b]\ntransport = \"stream\"\n", url) +
		"[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = \"drop\"\n"
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	return Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: kinds, Stdout: t.Output(), Stderr: t.Output()}
}

// TestWhere asks a condition about events, and says of which it has no answer.
func TestWhere(t *testing.T) {
	w, err := newWhere(`event.data.price > 97000.0`, "desk")
	if err != nil {
		t.Fatal(err)
	}
	var notes, summary strings.Builder
	w.notes = &notes
	for data, want := range map[string]bool{
		`{"price":97001}`: true, `{"price":96999}`: false, `{"other":1}`: false, `{"none":1}`: false, `{"price":"97001"}`: false,
	} {
		e := router.Event{Type: "tick\x1b", Channel: "prices", Data: []byte(data)}
		if got := w.has(&e); got != want {
			t.Errorf("%s: %t, want %t", data, got, want)
		}
	}
	w.summary(&summary)
	if n := w.passedOver(); n != 3 {
		t.Errorf("passed over %d, want 3", n)
	}
	for _, want := range []string{
		"--where passes over an event: event.data.price is missing (type tick\\x1b on prices)\n",
		"--where passes over an event: data.price is a string: write double(event.data.price) (type tick\\x1b on prices)\n",
	} {
		if strings.Count(notes.String(), want) != 1 {
			t.Errorf("notes %q lack %q", notes.String(), want)
		}
	}
	if want := "--where passed over 2 events because a member is missing; the first: event.data.price is missing (type tick\\x1b on prices)\n"; summary.String() != want {
		t.Errorf("summary %q, want %q", summary.String(), want)
	}
	w.notes = nil // what nobody told is in the summary
	if w.summary(&summary); !strings.Contains(summary.String(), "--where passed over 1 event because it cannot be evaluated; the first: data.price is a string") {
		t.Errorf("summary %q", summary.String())
	}
}

func TestWhereMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`event.dta.price > 1`: "--where:1:7: event has no field \"dta\"; did you mean \"data\"?\n" +
			"    1 | event.dta.price > 1\n      |       ^^^",
		" ":        "--where: the condition is empty; remove it, or write one such as event.data.bot == service",
		`event.id`: "--where: the condition is a string, not true or false; compare it with something",
		"event.data.a == 1 &&\n evnt.type == 'b'": "--where:2:2: unknown name \"evnt\"; did you mean \"event\"?\n" +
			"    2 |  evnt.type == 'b'\n      |  ^^^^",
	} {
		_, err := newWhere(text, "desk")
		if _, usage := errors.AsType[*UsageError](err); !usage || err.Error() != want {
			t.Errorf("%s: error\n%v\nwant\n%s", text, err, want)
		}
	}
}
