package ops

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// Who opens the page is told what is wired, what failed before, and what happens now.
func TestLive(t *testing.T) {
	f := newFake()
	f.stats = router.Stats{
		Channels: map[string]router.ChannelStats{"orders": {
			Received: 10, Types: map[string]uint64{"enter": 9, "other": 1}, Unmatched: 1, Rejected: map[router.Cause]uint64{"a": 1, "b": 2}, CrashLoop: 1, Missing: 5,
		}},
		Routes: []router.RouteStats{
			{Channel: "orders", Route: "gone", Handled: 99},
			{Channel: "orders", Route: "trade", Handled: 8, Failed: 1, Dead: 1, Took: router.Distribution{Count: 9, Sum: 9 * time.Millisecond}},
		},
		Subscriptions: []router.SubscriptionStats{{Channel: "orders", Queued: 1, InHand: 2}, {Channel: "orders", Route: "trade", Queued: 10, InHand: 20}},
	}
	f.reasons = []Reason{{"redis", "away"}}
	f.streams = []Stream{{Channel: "orders", Group: "a", Lag: 3, Pending: 1, Dead: 6}, {Channel: "orders", Group: "b", Lag: -1, Pending: 2, Dead: 6}}
	l := newLive(f.program(), true)
	l.look(outcome("before", router.Failed))
	l.look(outcome("unseen", router.Handled)) // nobody watches
	if l.program.Onlooker.All.Load() {
		t.Error("all is looked at while nobody watches")
	}
	page := browse(t, serveLive(t, l), "")

	config := parse[wireConfig](t, page.await("config"))
	want := wireConfig{
		Service: "desk", Version: "v1", Started: 1000, Write: true, Files: []string{"routes.toml"}, Hash: "0123456789ab", Since: 5000,
		Channels: []wireChannel{
			{Name: "orders", Transport: "stream", Topic: "orders", Types: []string{"enter", "exit"}, Dead: []string{"orders.dead"}},
			{Name: "prices", Transport: "pubsub", Topic: "md:prices", Types: []string{}, Dead: []string{"md:prices.dead"}},
		},
		Handlers: []wireHandler{{Name: "trade", Kind: "exec"}, {Name: "log", Kind: "log", Publishes: []string{"prices"}}},
		Routes: []wireRoute{
			{Channel: "orders", Name: "trade", Types: []string{"enter", "exit", "!x", "a.*"}, Handler: "trade", When: "event.key == '${KEY}'", Policy: "3 attempts", Isolated: true},
			{Channel: "prices", Name: "all", Types: []string{"*"}, Handler: "log"},
		},
	}
	if got, want := fmt.Sprintf("%+v", config), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("config\n%s, want\n%s", got, want)
	}
	before := parse[[]wireEvent](t, page.await("events"))
	if !slices.Equal(ids(before), []string{"before"}) || before[0].Error != "refused" || before[0].Message != `{"type":"enter"}` || before[0].Time != 7000 || before[0].Micros != 1000 || before[0].Name != "" {
		t.Errorf("before: %+v", before)
	}
	l.look(outcome("now", router.Handled))
	if now := page.until("now"); len(now) != 1 {
		t.Errorf("now: %+v", now)
	}
	var counts wireCounts
	for counts.Channels["orders"].Lag == nil || counts.Ready || counts.Channels["prices"].Dead == nil {
		counts = parse[wireCounts](t, page.await("counts"))
	}
	got, _ := json.Marshal(counts.Channels)
	if want := `{"orders":{"received":10,"types":{"enter":9,"other":1},"unmatched":1,"rejected":4,"lost":5,"queued":11,"in_hand":22,"dead":6,"lag":3,"pending":3},` +
		`"prices":{"received":0,"types":{},"lost":7,"gaps":2,"blind":3000,"dead":3}}`; string(got) != want {
		t.Errorf("channels\n%s, want\n%s", got, want)
	}
	if r := counts.Routes; len(r) != 2 || r[0].Handled != 8 || r[0].Dead != 1 || r[0].Calls != 9 || r[0].Micros != 9000 || r[1].Handled != 0 {
		t.Errorf("routes %+v", r)
	}
	if counts.Reconnects != 4 || counts.Away || len(counts.Reasons) != 1 {
		t.Errorf("counts %+v", counts)
	}
}

// A browser that comes back is told what it has not seen, once; one that was told by
// another run, everything.
func TestLiveResumes(t *testing.T) {
	l := newLive(newFake().program(), false)
	url := serveLive(t, l)
	ctx, leave := context.WithCancel(t.Context())
	page, _ := browseUntil(ctx, t, url, "")
	page.await("config")
	if s := page.await("events"); s.id != "" || s.data != "[]" {
		t.Errorf("nothing happened, and it tells %+v", s)
	}
	l.look(outcome("1", router.Failed))
	s := page.await("events")
	l.look(outcome("2", router.Failed))
	leave()
	eventually(t, "nobody watches", func() bool { return !l.program.Onlooker.All.Load() })
	l.look(outcome("3", router.Failed))
	for name, tt := range map[string]struct {
		last string
		want []string
	}{
		"the first":   {"", []string{"1", "2", "3"}},
		"back":        {s.id, []string{"2", "3"}},
		"all seen":    {"1000-3", nil},
		"another run": {"999-3", []string{"1", "2", "3"}},
		"nonsense":    {"1000-x", []string{"1", "2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			page := browse(t, url, tt.last)
			if got := ids(parse[[]wireEvent](t, page.await("events"))); !slices.Equal(got, tt.want) {
				t.Errorf("after %q: %v, want %v", tt.last, got, tt.want)
			}
		})
	}
}

// Between what is kept and what comes, nothing is left out and nothing told twice, however
// many come in while things happen.
func TestLiveTellsEachEventOnce(t *testing.T) {
	l := newLive(newFake().program(), false)
	url := serveLive(t, l)
	const total = 150 // fewer than are kept, and than fit into a batch
	var happening sync.WaitGroup
	happening.Go(func() {
		for i := range total {
			l.look(outcome(strconv.Itoa(i), router.Failed))
			time.Sleep(2 * time.Millisecond)
		}
	})
	var watching sync.WaitGroup
	for range 8 {
		watching.Go(func() {
			all := browse(t, url, "").until(strconv.Itoa(total - 1))
			for i, e := range all {
				if e.ID != strconv.Itoa(i) || len(all) != total {
					t.Errorf("event %d of %d is %s", i, len(all), e.ID)
					return
				}
			}
		})
		time.Sleep(20 * time.Millisecond)
	}
	watching.Wait()
	happening.Wait()
}

func TestLiveHasRoomForSoMany(t *testing.T) {
	l := newLive(newFake().program(), false)
	url := serveLive(t, l)
	var leave context.CancelFunc
	for range maxClients {
		var ctx context.Context
		ctx, leave = context.WithCancel(t.Context())
		t.Cleanup(leave)
		page, _ := browseUntil(ctx, t, url, "")
		page.await("config")
	}
	_, answer := browseUntil(t.Context(), t, url, "")
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusServiceUnavailable || string(text) != `{"error":"64 browsers watch already, and no more may; close one of them"}`+"\n" {
		t.Errorf("%s: %s", answer.Status, text)
	}
	leave()
	eventually(t, "there is room", func() bool {
		_, answer := browseUntil(t.Context(), t, url, "")
		return answer.StatusCode == http.StatusOK
	})
}

// The stream goes on when the server would have ended any other request, and ends with
// the server.
func TestLiveEndsWithItsServer(t *testing.T) {
	f := newFake()
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewUnstartedServer(newLive(f.program(), false))
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	page := browse(t, server.URL, "")
	for range 3 {
		page.await("counts")
	}
	stop()
	page.await("stopping")
	if s, ok := page.next(); ok {
		t.Errorf("after the end it tells %+v", s)
	}
}

// A new configuration, and one that was refused, are told.
func TestLiveTellsReloads(t *testing.T) {
	f := newFake()
	page := browse(t, serveLive(t, newLive(f.program(), false)), "")
	page.await("config")
	f.change(func() {
		f.running.Attempt, f.running.Refused, f.running.Refusal = time.UnixMilli(9000), 1, "routes.toml:1:1: no"
	})
	if c := parse[wireConfig](t, page.await("config")); c.Attempt != 9000 || c.Refusal != "routes.toml:1:1: no" || c.Hash != "0123456789ab" {
		t.Errorf("refused: %+v", c)
	}
	f.change(func() {
		f.running = Running{Hash: "f", Reloads: 1, Config: router.Config{Routes: []router.Route{{Handler: "x", When: func(*router.Event) (bool, error) { return true, nil }}}}}
	})
	if c := parse[wireConfig](t, page.await("config")); c.Hash != "f" || len(c.Channels) != 0 || c.Routes[0].When != "…" {
		t.Errorf("reloaded: %+v", c)
	}
}

// A browser that takes nothing loses its connection, and meanwhile neither who handles
// events nor another browser notices.
func TestLiveWithASlowBrowser(t *testing.T) {
	l := newLive(newFake().program(), false)
	l.limit = time.Second
	url := serveLive(t, l)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	watchers := func() int {
		l.sending.Lock()
		defer l.sending.Unlock()
		return len(l.clients)
	}
	eventually(t, "it is in", func() bool { return watchers() == 1 })
	page := browse(t, url, "")
	large := outcome("large", router.Failed)
	large.Event.Msg = []byte(`"` + strings.Repeat("x", 64<<10) + `"`)
	quick := outcome("quick", router.Handled)
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var longest atomic.Int64
	var handling sync.WaitGroup
	handling.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			for range 10 { // 10,000 a second
				begin := time.Now()
				l.look(quick)
				longest.Store(max(longest.Load(), int64(time.Since(begin))))
			}
			l.look(large)
			<-ticker.C
		}
	})
	handling.Go(func() {
		for ctx.Err() == nil {
			if s := page.await("counts"); strings.Contains(s.data, `"missed":`) {
				t.Errorf("the other browser misses something: %s", s.data)
			}
		}
	})
	eventually(t, "the slow browser is out", func() bool { return watchers() == 1 })
	enough()
	handling.Wait()
	t.Logf("the longest look took %v", time.Duration(longest.Load()))
	if took := time.Duration(longest.Load()); took > 500*time.Millisecond { // far above what a busy machine does to it
		t.Errorf("a look took %v", took)
	}
}

// While nobody watches, nothing is asked, and nothing runs.
func TestLiveRestsWhileNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		l := newLive(f.program(), false)
		rest := func() {
			t.Helper()
			before := f.asked.Load()
			time.Sleep(time.Hour)
			if n := f.asked.Load() - before; n > 0 || l.program.Onlooker.All.Load() {
				t.Errorf("asked %d times, all is looked at: %v", n, l.program.Onlooker.All.Load())
			}
		}
		rest()
		for range 2 {
			ctx, leave := context.WithCancel(t.Context())
			watching := make(chan struct{})
			go func() {
				defer close(watching)
				l.ServeHTTP(newPaper(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/live", http.NoBody))
			}()
			before := f.asked.Load()
			time.Sleep(time.Minute)
			synctest.Wait()
			// 60 counts and looks at readiness, 20 at streams, and those of the beginning.
			if n := f.asked.Load() - before; n < 140 || n > 150 || !l.program.Onlooker.All.Load() {
				t.Errorf("asked %d times in a minute", n)
			}
			leave()
			<-watching
			synctest.Wait()
			rest()
		}
	})
}

// Answers of Redis count for a while when it says no more, and a heartbeat is sent even if
// nothing else is.
func TestLiveKeepsTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.streams = []Stream{{Channel: "orders", Group: "a", Lag: 3, Dead: -1}}
		l := newLive(f.program(), false)
		ctx, leave := context.WithCancel(t.Context())
		out, watching := newPaper(), make(chan struct{})
		go func() {
			defer close(watching)
			l.ServeHTTP(out, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/live", http.NoBody))
		}()
		knows := func(what string) bool {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			text := out.String()
			return strings.Contains(text[strings.LastIndex(text, "event: counts"):], what)
		}
		if !knows(`"lag":3`) || knows(`"dead":-1`) {
			t.Error("the lag is not told, or what is not known is")
		}
		f.change(func() { f.streams, f.broken = nil, errors.New("away") })
		time.Sleep(8 * time.Second)
		if !knows(`"lag":3`) {
			t.Error("the last answer does not count any more after ten seconds")
		}
		time.Sleep(10 * time.Second)
		if knows(`"lag":3`) {
			t.Error("the last answer counts for ever")
		}
		if !strings.Contains(out.String(), "\n:\n\n") {
			t.Error("no heartbeat")
		}
		leave()
		<-watching
	})
}

// What was not shown is counted, as far as the router counts it or we left it out.
func TestLiveCountsWhatIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		handled := func(n uint64) {
			f.change(func() { f.stats.Routes = []router.RouteStats{{Channel: "orders", Route: "trade", Handled: n}} })
		}
		handled(1000) // before anybody watches
		l := newLive(f.program(), false)
		for _, want := range []struct{ shown, all, unshown uint64 }{{3, 1010, 7}, {batchEvents + 9, 1010, 16}, {0, 2000, 1006}} {
			ctx, leave := context.WithCancel(t.Context())
			out, watching := newPaper(), make(chan struct{})
			go func() {
				defer close(watching)
				l.ServeHTTP(out, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/live", http.NoBody))
			}()
			synctest.Wait()
			for i := range want.shown {
				l.look(outcome(strconv.Itoa(int(i)), router.Handled))
			}
			handled(want.all)
			time.Sleep(2 * time.Second)
			leave()
			<-watching
			if text := fmt.Sprintf(`"unshown":%d}`, want.unshown); !strings.Contains(out.String(), text) {
				t.Errorf("%+v: no %s in the last of\n%s", want, text, out.String()[max(0, len(out.String())-300):])
			}
		}
	})
}

// A Redis that hangs keeps nobody from opening the page.
func TestLiveOpensWhileRedisHangs(t *testing.T) {
	p, hangs := newFake().program(), make(chan struct{})
	p.Ready = func(context.Context) []Reason {
		<-hangs
		return nil
	}
	l := newLive(p, false)
	url := serveLive(t, l)
	t.Cleanup(func() { close(hangs) }) // before the server waits for its requests
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		page, _ := browseUntil(ctx, t, url, "")
		page.await("counts")
		leave()
		eventually(t, "nobody watches", func() bool { return !p.Onlooker.All.Load() })
	}
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
