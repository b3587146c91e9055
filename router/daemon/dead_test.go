package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/internal/batch"
	"signalbox/router/routesfile"
)

const deadRoutes = `
[service]
name = "%s"

[redis]
url = "%s"

[channels.orders]
transport = "stream"

[channels.trouble]
transport = "stream"

[[routes]]
name    = "enter"
channel = "orders"
type    = "enter"
handler = "ledger"

[[routes]]
name        = "audit"
channel     = "orders"
type        = "enter"
handler     = "other"
dead_letter = "trouble"

[[routes]]
channel = "trouble"
type    = "note"
handler = "drop"
`

// deadOptions are those of a service whose route enter works with l, and audit with other.
func deadOptions(t *testing.T, url, service string, l, other *ledger) Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, deadRoutes, service, url), 0o600); err != nil {
		t.Fatal(err)
	}
	kind := func(name string, h router.Handler) router.Kind[struct{}] {
		return router.Kind[struct{}]{Name: name, New: func(router.Env, struct{}) (router.Handler, error) { return h, nil }}
	}
	drop := router.HandlerFunc(func(context.Context, *router.Event) error { return nil })
	kinds := router.NewRegistry(kind("ledger", l), kind("other", other), kind("drop", drop))
	return Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: kinds, Stdout: t.Output(), Stderr: t.Output(), Observe: l.observe}
}

// keep adds a letter of route enter of group bot, but for what more says.
func keep(t *testing.T, server *redistest.Server, stream, entry string, more ...string) {
	t.Helper()
	fields := map[string]string{
		"payload": `{"type":"enter","id":"o-1"}`, "reason": "failed", "error": "refused", "service": "bot", "group": "bot",
		"channel": "orders", "name": "orders", "route": "enter", "handler": "ledger", "type": "enter", "id": "o-1",
		"attempts": "1", "last_time": time.Now().UTC().Format(time.RFC3339Nano),
	}
	for i := 0; i < len(more); i += 2 {
		if fields[more[i]] = more[i+1]; more[i+1] == "" {
			delete(fields, more[i])
		}
	}
	if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: entry, Values: fields}).Err(); err != nil {
		t.Fatal(err)
	}
}

func keepMany(t *testing.T, server *redistest.Server, n int) {
	t.Helper()
	pipe := server.Client().Pipeline()
	for i := range n {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "orders.dead", Values: []string{
			"payload", `{"type":"enter"}`, "reason", "failed", "service", "bot", "group", "bot",
			"channel", "orders", "route", "enter", "type", "enter", "id", fmt.Sprintf("o-%d", i), "entry", "5-0",
			"last_time", time.Now().UTC().Format(time.RFC3339Nano),
		}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func length(t *testing.T, server *redistest.Server, stream string) int64 {
	t.Helper()
	n, err := server.Client().XLen(t.Context(), stream).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func openTestDesk(t *testing.T, opts Options, what DeadOptions) *desk {
	t.Helper()
	what.Channel = "orders"
	d, err := openDesk(t.Context(), opts, what)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func ids(t *testing.T, letters iter.Seq2[letter, error]) []string {
	t.Helper()
	var got []string
	for l, err := range letters {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.id)
	}
	return got
}

// A replay runs in the route that gave up, in its group: not in the other route, not in
// another service's group on the same stream.
func TestReplayOfItsRouteOfItsGroup(t *testing.T) {
	server := redistest.Start(t)
	bot := &ledger{verdicts: []error{router.Permanent(errors.New("closed"))}}
	audit, other, otherAudit := &ledger{}, &ledger{}, &ledger{}
	opts := deadOptions(t, server.URL(), "bot", bot, audit)
	runUntilEnd(t, opts)
	runUntilEnd(t, deadOptions(t, server.URL(), "other", other, otherAudit))
	add(t, server, `{"id":"o-1","type":"enter"}`)
	bot.await(t, "o-1", router.Failed, 1)
	other.await(t, "o-1", router.Handled, 2)
	eventually(t, "the audit is handled", func() bool { return len(audit.done()) == 1 })

	var out strings.Builder
	opts.Stdout = &out
	if err := ReplayDead(t.Context(), opts, ReplayOptions{DeadChange: DeadChange{DeadOptions: DeadOptions{Channel: "orders"}, Yes: true}}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "1 dead letter of orders replayed\n" {
		t.Errorf("says %q", out.String())
	}
	eventually(t, "it is handled", func() bool { return len(bot.done()) == 2 })
	add(t, server, `{"id":"o-2","type":"enter"}`) // when it is handled, so is what came before
	for _, l := range []*ledger{bot, other} {
		l.await(t, "o-2", router.Handled, 2)
	}
	for name, test := range map[string]struct {
		l    *ledger
		want []string
	}{
		"bot enter":   {bot, []string{"o-1", "o-1", "o-2"}},
		"bot audit":   {audit, []string{"o-1", "o-2"}},
		"other enter": {other, []string{"o-1", "o-2"}},
		"other audit": {otherAudit, []string{"o-1", "o-2"}},
	} {
		if got := test.l.done(); !slices.Equal(got, test.want) {
			t.Errorf("%s has handled %v, want %v", name, got, test.want)
		}
	}
	for _, group := range []string{"bot", "other"} {
		eventually(t, group+" has acknowledged all", func() bool {
			p, err := server.Client().XPending(t.Context(), "orders", group).Result()
			return err == nil && p.Count == 0
		})
	}
	if n := length(t, server, "orders.dead"); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
}

// Letters come in pages; none is missed, and the pages in between end with ctx.
func TestReplayInPages(t *testing.T) {
	server := redistest.Start(t)
	const total = 3*maxPage + 7
	keepMany(t, server, total)
	opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
	d := openTestDesk(t, opts, DeadOptions{})

	ctx, interrupt := context.WithCancel(t.Context())
	none := func(*letter) bool { return false }
	done, err := d.eachPage(ctx, total, none, func(_ context.Context, page []letter) (int, error) {
		interrupt()
		return len(page), nil
	})
	if done != maxPage || !errors.Is(err, errInterrupted) {
		t.Errorf("%d letters were dealt with, then %v; want one page, then the interruption", done, err)
	}
	if err := halfway(err, done, total, "replayed"); err.Error() != "interrupted; 256 of 775 dead letters replayed, the others are as they were" {
		t.Error(err)
	}

	keep(t, server, "orders.dead", "*", "id", "late") // as a replay that failed again
	r := &replay{desk: d}
	if err := r.plan(t.Context()); err != nil || r.total != total {
		t.Fatalf("plans %d, %v; want %d", r.total, err, total)
	}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if added, left := length(t, server, "orders"), length(t, server, "orders.dead"); added != total || left != 1 {
		t.Errorf("%d were added and %d are left, want %d and the one that came later", added, left, total)
	}
	entries, err := server.Client().XRange(t.Context(), "orders", "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		want := map[string]any{
			"_watermill_message_uuid": fmt.Sprintf("o-%d", i), "metadata": "", "payload": `{"type":"enter"}`,
			"signalbox_group": "bot", "signalbox_route": "enter", "signalbox_replays": "1",
			"signalbox_id": fmt.Sprintf("o-%d", i), "signalbox_time": "1970-01-01T00:00:00.005Z",
		}
		if !maps.Equal(e.Values, want) {
			t.Fatalf("entry %d is %v, want %v", i, e.Values, want)
		}
	}
}

// Large letters come in small pages.
func TestLargeDeadLetters(t *testing.T) {
	server := redistest.Start(t)
	large := strings.Repeat("x", pageBytes/4)
	const total = 14
	for range total {
		keep(t, server, "orders.dead", "*", "payload", large)
	}
	d := openTestDesk(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}), DeadOptions{})
	var pages []int
	done, err := d.eachPage(t.Context(), total, (&replay{desk: d}).skip, func(_ context.Context, page []letter) (int, error) {
		pages = append(pages, len(page))
		return len(page), nil
	})
	if err != nil || done != total || !slices.Equal(pages, []int{4, 4, 4, 2}) {
		t.Errorf("%d letters in pages of %v, %v", done, pages, err)
	}
}

// What was added and cannot be removed is said to be there twice; what could not be
// added stays.
func TestReplayHalfway(t *testing.T) {
	server := redistest.Start(t)
	keepMany(t, server, 2)
	d := openTestDesk(t, deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{}), DeadOptions{})
	r := &replay{desk: d, total: 2}
	limit(t, server, "-xdel")
	if err := r.run(t.Context()); err == nil || !strings.Contains(err.Error(), "those were replayed and would be again; 2 of 2 dead letters replayed") {
		t.Error(err)
	}
	limit(t, server, "-xadd")
	if err := r.run(t.Context()); err == nil || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), "; 0 of 2 dead letters replayed") {
		t.Error(err)
	}
	limit(t, server, "+xdel")
	if n := length(t, server, "orders.dead"); n != 2 {
		t.Errorf("%d are left, want both", n)
	}
	letters := []letter{{id: "1-0"}, {id: "2-0"}}
	if sent := sentOf(letters, batch.Errors{errors.New("full"), nil}); len(sent) != 1 || sent[0].id != "2-0" {
		t.Errorf("sent %v", sent)
	}
	if sent := sentOf(letters, errors.New("closed")); len(sent) != 0 {
		t.Errorf("sent %v", sent)
	}
}

// Letters of several places come in order; the filters leave what they say.
func TestDeadFilters(t *testing.T) {
	server := redistest.Start(t)
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }
	var all []string
	for i, at := range []struct {
		stream string
		fields []string
	}{
		{"orders.dead", nil},
		{"trouble", []string{"route", "audit", "service", "other", "group", "other"}},
		{"orders.dead", []string{"type", "exit", "reason", "timeout", "last_time", ago(time.Hour)}},
		{"trouble", []string{"type", "", "id", "", "route", "", "reason", "malformed", "payload", "x", "last_time", ago(3 * time.Hour)}},
		{"orders.dead", []string{"type", "", "id", "", "route", "", "reason", "crash_loop", "payload", `{"type":"exit"}`}},
	} {
		all = append(all, fmt.Sprintf("%d-0", i+1))
		keep(t, server, at.stream, all[i], at.fields...)
	}
	keep(t, server, "trouble", "*", "channel", "elsewhere")
	opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
	for name, test := range map[string]struct {
		what DeadOptions
		want []int
	}{
		"all":          {DeadOptions{}, []int{0, 1, 2, 3, 4}},
		"service":      {DeadOptions{Services: []string{"other"}}, []int{1}},
		"route":        {DeadOptions{Routes: []string{"enter"}}, []int{0, 2}},
		"routes":       {DeadOptions{Routes: []string{"enter", "audit"}}, []int{0, 1, 2}},
		"type":         {DeadOptions{Types: []string{"*", "!exit"}}, []int{0, 1, 3}},
		"crash loop":   {DeadOptions{Types: []string{"exit"}}, []int{2, 4}},
		"reason":       {DeadOptions{Reasons: []string{"timeout", "malformed"}}, []int{2, 3}},
		"older":        {DeadOptions{Older: 30 * time.Minute}, []int{2, 3}},
		"newer":        {DeadOptions{Newer: 30 * time.Minute}, []int{0, 1, 4}},
		"between":      {DeadOptions{Older: 30 * time.Minute, Newer: 2 * time.Hour}, []int{2}},
		"ids":          {DeadOptions{IDs: []string{all[3], all[0], all[3]}}, []int{0, 3}},
		"id and route": {DeadOptions{IDs: []string{all[3], all[0]}, Routes: []string{"enter"}}, []int{0}},
	} {
		var want []string
		for _, i := range test.want {
			want = append(want, all[i])
		}
		if got := ids(t, openTestDesk(t, opts, test.what).letters(t.Context())); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Two places may each have a letter of one id: both are meant.
func TestDeadLettersOfOneID(t *testing.T) {
	server := redistest.Start(t)
	for _, stream := range []string{"orders.dead", "trouble"} {
		err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: "5-1", Values: []string{"channel", "orders", "reason", "failed"}}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
	opts.Stdout = &out
	if err := ShowDead(t.Context(), opts, "orders", "5-1"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`letter   5-1 in "orders.dead"`, `letter   5-1 in "trouble"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

// A letter whose event nobody decoded keeps the time of its entry: a route with max_age
// must not take it for news.
func TestTimeOfALetter(t *testing.T) {
	for want, fields := range map[int64]map[string]string{
		1000: {"time": "1970-01-01T00:00:01Z", "entry": "2000-0", "first_time": "1970-01-01T00:00:03Z"},
		2000: {"entry": "2000-0", "first_time": "1970-01-01T00:00:03Z"},
		3000: {"first_time": "1970-01-01T00:00:03Z"},
	} {
		l := letter{fields: fields}
		if got := l.sent().UnixMilli(); got != want {
			t.Errorf("%v is from %d, want %d", fields, got, want)
		}
	}
}

func TestListNewest(t *testing.T) {
	server := redistest.Start(t)
	keepMany(t, server, alignedRows+50)
	opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
	for n, want := range map[int]int{0: alignedRows + 50, 1: 1, 20: 20, 5000: alignedRows + 50} {
		var out strings.Builder
		opts.Stdout = &out
		if err := ListDead(t.Context(), opts, DeadListOptions{DeadOptions: DeadOptions{Channel: "orders"}, N: n}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != want+1 || !strings.Contains(lines[len(lines)-1], fmt.Sprintf(" o-%d ", alignedRows+49)) {
			t.Errorf("-n %d: %d lines, the last %q; want %d, and o-%d", n, len(lines), lines[len(lines)-1], want+1, alignedRows+49)
		}
	}
}

func TestShownAge(t *testing.T) {
	now := time.Now()
	for age, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 47 * time.Hour: "47h", 50 * time.Hour: "2d",
	} {
		if got := shownAge(now.Add(-age), now); got != want {
			t.Errorf("%v is shown as %q, want %q", age, got, want)
		}
	}
}

// One letter with a huge type or id leaves the others in sight.
func TestDeadRowsAreNarrow(t *testing.T) {
	var out strings.Builder
	p := newRowPrinter(&out, false, time.Now())
	huge := strings.Repeat("\x1b", 5000)
	for _, row := range []deadRow{{Letter: "1-0", Type: huge, ID: huge, Error: huge}, {Letter: "2-0", Type: "enter", ID: "01a20132-1296-7bbe-bbc6-39d712eaa4d5", Error: "boom"}} {
		if err := p.row(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if ends := strings.Fields(lines[2]); ends[len(ends)-1] != "boom" || len(lines[2]) > 500 || !strings.Contains(lines[2], "01a20132-1296-7bbe-bbc6-39d712eaa4d5") {
		t.Errorf("the line of a small letter has %d characters: %q", len(lines[2]), lines[2])
	}
}

// A key that is no stream where dead letters should be is said, and hides nothing else.
func TestDeadOverviewWithAnUnreadableStream(t *testing.T) {
	server := redistest.Start(t)
	keepMany(t, server, 3)
	if err := server.Client().Set(t.Context(), "trouble", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
	var out strings.Builder
	opts.Stdout = &out
	if err := ListDead(t.Context(), opts, DeadListOptions{}); err == nil || !strings.Contains(err.Error(), `"trouble"`) {
		t.Errorf("error %v, want one on trouble", err)
	}
	if words := strings.Fields(out.String()); !slices.Contains(words, "orders") || !slices.Contains(words, "3") {
		t.Errorf("the letters of orders are not counted:\n%s", out.String())
	}
}

// A replay to a group where the route is not any more is warned about.
func TestReplayWarnsOfARouteThatMoved(t *testing.T) {
	for name, tt := range map[string]struct{ isolated, group string }{
		"it is isolated now":       {"isolated = true", "bot"},
		"it is isolated no more":   {"isolated = false", "bot.enter"},
		"it is where it was":       {"isolated = false", "bot"},
		"it is isolated as it was": {"isolated = true", "bot.enter"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			for _, group := range []string{"bot", "bot.enter"} { // a group stays when nobody reads it any more
				if err := server.Client().XGroupCreateMkStream(t.Context(), "orders", group, "0").Err(); err != nil {
					t.Fatal(err)
				}
			}
			keep(t, server, "orders.dead", "*", "group", tt.group)
			opts := deadOptions(t, server.URL(), "bot", &ledger{}, &ledger{})
			b := &box{file: opts.Source.Paths[0]}
			b.write(t, strings.Replace(fmt.Sprintf(deadRoutes, "bot", server.URL()), "handler = \"ledger\"", "handler = \"ledger\"\n"+tt.isolated, 1))
			d := openTestDesk(t, opts, DeadOptions{})
			r := &replay{desk: d}
			if err := r.plan(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.lookAtGroups(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := strings.Contains(name, "now") || strings.Contains(name, "no more"); want == (len(r.warnings) == 0) {
				t.Errorf("warnings %q", r.warnings)
			}
		})
	}
}
