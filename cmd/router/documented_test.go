package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/handlers"
	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

// documentedBlock is the block of TOML that stands in a section of a page and begins
// with a line.
func documentedBlock(t *testing.T, page, heading, first string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/%s has no heading %q", page, heading)
	}
	if end := regexp.MustCompile(`(?m)^##+ `).FindStringIndex(section); end != nil {
		section = section[:end[0]]
	}
	var blocks []string
	for _, block := range tomlBlock.FindAllStringSubmatch(section, -1) {
		if strings.HasPrefix(block[1], first+"\n") {
			blocks = append(blocks, block[1])
		}
	}
	if len(blocks) != 1 {
		t.Fatalf("docs/%s has %d blocks of TOML that begin with %q under %q", page, len(blocks), first, heading)
	}
	return blocks[0]
}

// documented runs an example of the pages on the real router and a real Redis. Its kind
// trade is what the pages call a bot's own.
type documented struct {
	t     *testing.T
	redis *redis.Client
	stop  func() // and wait

	mu       sync.Mutex
	log      bytes.Buffer
	outcomes []router.Outcome
	told     []string // the same in words, such as "enter c-1 handled"
	tries    map[string]int
}

// runDocumented returns when the router of these parts of a file is ready.
func runDocumented(t *testing.T, parts ...string) *documented {
	t.Helper()
	server := redistest.Start(t)
	d := &documented{t: t, redis: server.Client(), tries: map[string]int{}}
	dir := t.TempDir()
	for i, part := range parts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.toml", i)), []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds := router.NewRegistry(router.Kind[struct{}]{Name: "trade", New: func(router.Env, struct{}) (router.Handler, error) {
		return router.HandlerFunc(d.trade), nil
	}})
	handlers.Register(kinds)
	sources.Register(kinds)
	opts := daemon.Options{
		Source: routesfile.Source{Paths: []string{dir}, Set: map[string]string{"redis.url": server.URL()}},
		Kinds:  kinds, Stderr: d, Observe: d.observe,
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, opts) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("outcomes:\n%s\nlog:\n%s", strings.Join(d.words(), "\n"), d.logged())
		}
	})
	t.Cleanup(d.stop)
	eventually(t, "ready", func() bool { return strings.Contains(d.logged(), "msg=ready") || len(ended) > 0 })
	return d
}

// trade does what the data of a command says: it fails or hangs so many times first, and
// goes on until something has become of another event.
func (d *documented) trade(ctx context.Context, event *router.Event) error {
	var command struct {
		Fails, Hangs int
		Until        string
	}
	if err := json.Unmarshal(event.Data, &command); err != nil {
		return err
	}
	d.mu.Lock()
	d.tries[event.ID]++
	try := d.tries[event.ID]
	d.mu.Unlock()
	switch {
	case try <= command.Fails:
		return errors.New("refused")
	case try <= command.Hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	for command.Until != "" && !slices.Contains(d.words(), command.Until) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// begun is how many commands the bot has begun.
func (d *documented) begun() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tries)
}

func (d *documented) observe(o router.Outcome) {
	d.mu.Lock()
	d.outcomes = append(d.outcomes, o)
	d.mu.Unlock()
	d.tell(inWords(o))
}

// tell lets go on what waits until this has happened.
func (d *documented) tell(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, what)
}

// inWords is an outcome as a script has it: route, id or what an own event says, result.
func inWords(o router.Outcome) string {
	text := o.Route + " " + string(o.Result)
	if event := o.Event; event != nil && strings.HasPrefix(event.Type, "signalbox.") {
		data := regexp.MustCompile(`"seconds":[0-9.e-]+`).ReplaceAllString(string(event.Data), `"seconds":…`)
		text = fmt.Sprintf("%s %s %s %s", o.Route, event.Type, data, o.Result)
	} else if event != nil {
		text = fmt.Sprintf("%s %s %s", o.Route, event.ID, o.Result)
	}
	if o.Result != router.Retried && o.Attempt > 1 {
		text += fmt.Sprintf(" at attempt %d", o.Attempt)
	}
	if o.Result == router.Retried || o.Result == router.Failed {
		text += ": " + o.Err.Error()
	}
	return text
}

func (d *documented) words() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told)
}

// Write takes the router's log.
func (d *documented) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(line)
}

func (d *documented) logged() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

var someTimeAgo = regexp.MustCompile(`"(\d+s) ago"`)

// do sends a command to Redis. What begins with "{" is its last argument.
func (d *documented) do(command string) {
	d.t.Helper()
	head, message, found := strings.Cut(command, " {")
	var args []any
	for arg := range strings.FieldsSeq(head) {
		args = append(args, arg)
	}
	if found {
		args = append(args, someTimeAgo.ReplaceAllStringFunc("{"+message, func(text string) string {
			age, err := time.ParseDuration(someTimeAgo.FindStringSubmatch(text)[1])
			if err != nil {
				d.t.Fatal(err)
			}
			return `"` + time.Now().Add(-age).UTC().Format(time.RFC3339Nano) + `"`
		}))
	}
	if err := d.redis.Do(d.t.Context(), args...).Err(); err != nil {
		d.t.Fatalf("%s: %v", command, err)
	}
}

// play sends what follows ">" and waits for the outcomes that follow. Routes run side by
// side: the order counts for each by itself.
func (d *documented) play(script string) {
	d.t.Helper()
	seen := 0
	var want []string
	settle := func() {
		d.t.Helper()
		if len(want) == 0 {
			return
		}
		eventually(d.t, strings.Join(want, "\n"), func() bool { return len(d.words()) >= seen+len(want) })
		got := d.words()[seen:]
		byRoute(got)
		byRoute(want)
		if !slices.Equal(got, want) {
			d.t.Fatalf("outcomes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		seen, want = seen+len(want), nil
	}
	for line := range strings.Lines(strings.TrimSpace(script)) {
		line = strings.TrimSpace(line)
		if command, sent := strings.CutPrefix(line, "> "); sent {
			settle()
			d.do(command)
		} else {
			want = append(want, line)
		}
	}
	settle()
	d.stop()
	if more := d.words()[seen:]; len(more) > 0 {
		d.t.Errorf("more outcomes:\n%s", strings.Join(more, "\n"))
	}
}

func byRoute(outcomes []string) {
	slices.SortStableFunc(outcomes, func(a, b string) int {
		a, _, _ = strings.Cut(a, " ")
		b, _, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
}
