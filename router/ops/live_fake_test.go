package ops

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
)

// fake is a program without a router.
type fake struct {
	mu      sync.Mutex
	stats   router.Stats
	running Running
	reasons []Reason
	streams []Stream
	broken  error // of Streams
	asked   atomic.Int64
}

func newFake() *fake {
	return &fake{running: Running{
		Hash: "0123456789abcdef", Since: time.UnixMilli(5000), Files: []string{"routes.toml"},
		Config: router.Config{
			Channels: []router.Channel{
				{Name: "orders", Transport: router.Stream, Types: []string{"enter"}},
				{Name: "prices", Transport: router.PubSub, Topic: "md:prices", DeadLetter: router.DeadLetter{On: true}},
			},
			Handlers: []router.HandlerSpec{{Name: "trade", Kind: "exec"}, {Name: "log", Kind: "log", PublishesTo: []string{"prices"}}},
			Routes: []router.Route{
				{Channel: "orders", Types: []string{"enter", "exit", "!x", "a.*"}, Handler: "trade", Isolated: true},
				{Channel: "prices", Types: []string{"*"}, Handler: "log", Name: "all"},
			},
			Sources: []router.SourceSpec{{Name: "feed", Kind: "websocket", Channel: "prices"}},
		},
		Shown: []Shown{{"event.key == '${KEY}'", "3 attempts"}, {}},
	}}
}

// change changes what the program tells.
func (f *fake) change(by func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by()
}

func (f *fake) program() Program {
	return Program{
		Service: "desk", Version: "v1", Started: time.UnixMilli(1000), Onlooker: &router.Onlooker{},
		Running: func() Running {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.running
		},
		Stats: func() router.Stats {
			f.asked.Add(1)
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.stats
		},
		Sources: func() []Source {
			return []Source{{
				Name: "feed", Kind: "websocket", Channel: "prices", State: SourceStoodDown, Since: time.UnixMilli(8000), Until: time.UnixMilli(9000),
				Why: "wss://me:hunter2@r says 406", Epoch: 7, LastData: time.UnixMilli(7500), Received: 9, Published: 8, Dropped: 3, Missing: 2,
				Rejected: map[router.Cause]uint64{router.CauseNaN: 1, router.CauseEmpty: 4}, Attempts: 6, Sessions: 5, Queued: 1,
			}}
		},
		Losses: func() []Loss {
			return []Loss{
				{Channel: "prices", Reason: "gap", Times: 2, Blind: 3 * time.Second},
				{Channel: "prices", Reason: "overflow", Events: 7, Times: 1},
			}
		},
		Link: func() Link { return Link{Reconnects: 4} },
		Ready: func(context.Context) []Reason {
			f.asked.Add(1)
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.reasons
		},
		Streams: func(context.Context) ([]Stream, error) {
			f.asked.Add(1)
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.streams, f.broken
		},
		Dead: func(context.Context, string, int) ([]Letter, int, error) { return nil, 3, nil },
	}
}

// sent is a server-sent event.
type sent struct{ kind, id, data string }

// listener reads what a browser is told.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
}

func newListener(t *testing.T, body io.Reader) *listener {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 64<<20)
	return &listener{t, lines}
}

// next is the next event; false: there is none any more.
func (l *listener) next() (s sent, ok bool) {
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch {
		case field == "event":
			s.kind = value
		case field == "id":
			s.id = value
		case field == "data":
			s.data = value
		case field == "" && s.kind != "":
			return s, true
		}
	}
	return s, false
}

// await is the next event of a kind.
func (l *listener) await(kind string) sent {
	l.t.Helper()
	for {
		s, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended before a %q: %v", kind, l.lines.Err())
		}
		if s.kind == kind {
			return s
		}
	}
}

// until reads events until one of them is there, and returns all of them.
func (l *listener) until(id string) (all []wireEvent) {
	l.t.Helper()
	for {
		all = append(all, parse[[]wireEvent](l.t, l.await("events"))...)
		if slices.ContainsFunc(all, func(e wireEvent) bool { return e.ID == id }) {
			return all
		}
	}
}

func parse[T any](t *testing.T, s sent) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.data), &v); err != nil {
		t.Fatalf("%s: %v", s.data, err)
	}
	return v
}

// browse opens the stream as a browser does.
func browse(t *testing.T, url, last string) *listener {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	l, _ := browseUntil(ctx, t, url, last)
	return l
}

func browseUntil(ctx context.Context, t *testing.T, url, last string) (*listener, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return newListener(t, answer.Body), answer
}

// serveLive serves l until the test ends.
func serveLive(t *testing.T, l *live) string {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return server.URL
}

func outcome(id string, result router.Result) router.Outcome {
	o := router.Outcome{Result: result, Channel: "orders", Route: "trade", Handler: "trade", Attempt: 1, Took: time.Millisecond, Event: &router.Event{
		ID: id, Type: "enter", Channel: "orders", Name: "orders", Time: time.UnixMilli(7000), Msg: []byte(`{"type":"enter"}`),
	}}
	if result != router.Handled {
		o.Err = errors.New("refused")
	}
	return o
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func ids(events []wireEvent) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// paper is a browser that takes everything at once.
type paper struct {
	mu sync.Mutex
	strings.Builder
	header http.Header
}

func newPaper() *paper { return &paper{header: http.Header{}} }

func (p *paper) Header() http.Header              { return p.header }
func (p *paper) WriteHeader(int)                  {}
func (p *paper) FlushError() error                { return nil }
func (p *paper) SetReadDeadline(time.Time) error  { return nil }
func (p *paper) SetWriteDeadline(time.Time) error { return nil }

func (p *paper) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Builder.Write(text)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Builder.String()
}
