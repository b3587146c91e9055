package ops

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pageCSP is what the page is served under; it has to get on with it.
const pageCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// fakeRouter tells the page what a router would: wireConfig, wireCounts and wireEvents.
type fakeRouter struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	config   wireConfig
	counts   wireCounts
	seq      uint64
	events   []wireEvent // all so far, as the rings of the real one
	watchers map[chan []byte]bool
	dead     map[string][]Letter
	posts    []string // path and body of each POST
	server   *http.Server

	refusal atomic.Int64 // the status of all answers, when it is not 0
}

// newFakeRouter serves the page and its API until the test ends.
func newFakeRouter(t *testing.T, config wireConfig) *fakeRouter {
	t.Helper()
	f := &fakeRouter{t: t, addr: "127.0.0.1:0", config: config, watchers: map[chan []byte]bool{}, dead: map[string][]Letter{}}
	f.zero()
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fakeRouter) url() string { return "http://" + f.addr }

// zero sets all counters back, as a restart does.
func (f *fakeRouter) zero() {
	f.counts = wireCounts{Ready: true, Channels: map[string]channelCount{}, Routes: make([]routeCount, len(f.config.Routes))}
	for _, c := range f.config.Channels {
		f.counts.Channels[c.Name] = channelCount{Types: map[string]uint64{}}
	}
	f.seq, f.events = 0, nil
}

func (f *fakeRouter) start() {
	var listener net.Listener
	for attempt := 0; ; attempt++ {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(f.t.Context(), "tcp", f.addr); err == nil {
			break
		}
		if attempt == 50 {
			f.t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.addr = listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/", page())
	mux.HandleFunc("GET /api/live", f.live)
	mux.HandleFunc("GET /api/dead", f.deadLetters)
	mux.HandleFunc("POST /api/replay", f.replay)
	mux.HandleFunc("POST /api/publish", f.publish)
	f.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pageCSP)
		// As a proxy does whose router is away, or a router that wants a token.
		if status := int(f.refusal.Load()); status != 0 {
			http.Error(w, http.StatusText(status), status)
			return
		}
		mux.ServeHTTP(w, r)
	})}
	go func() { _ = f.server.Serve(listener) }()
}

func (f *fakeRouter) stop() { _ = f.server.Close() }

// restart is another process at the same address.
func (f *fakeRouter) restart() {
	f.stop()
	f.mu.Lock()
	f.config.Started = time.Now().UnixMilli()
	f.zero()
	f.mu.Unlock()
	f.start()
}

func (f *fakeRouter) live(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	frames := make(chan []byte, 10_000)
	f.mu.Lock()
	frames <- pageFrame("config", f.config)
	frames <- pageFrame("events", f.events)
	f.watchers[frames] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, frames)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	next := f.countsFrame()
	for {
		if _, err := w.Write(next); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case next = <-frames:
		case <-tick.C:
			next = f.countsFrame()
		}
	}
}

func pageFrame(kind string, what any) []byte {
	body, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, body)
}

func (f *fakeRouter) countsFrame() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.At = time.Now().UnixMilli()
	return pageFrame("counts", f.counts)
}

// watched is how many pages are connected.
func (f *fakeRouter) watched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

// send tells everybody who watches; the caller holds the mutex.
func (f *fakeRouter) send(kind string, what any) {
	for frames := range f.watchers {
		select {
		case frames <- pageFrame(kind, what):
		default:
		}
	}
}

// change changes the configuration and the counters, and tells the page.
func (f *fakeRouter) change(change func(config *wireConfig, counts *wireCounts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.config, &f.counts)
	f.send("config", f.config)
}

// happen counts what became of a message, on each route that is named, and tells it.
func (f *fakeRouter) happen(e wireEvent, routes ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received(e)
	var told []wireEvent
	for _, name := range routes {
		told = append(told, f.onRoute(e, name))
	}
	if len(routes) == 0 {
		told = append(told, f.numbered(e))
	}
	f.events = append(f.events, told...)
	f.send("events", told)
}

func (f *fakeRouter) received(e wireEvent) {
	c := f.counts.Channels[e.Channel]
	c.Types = maps.Clone(c.Types)
	c.Received++
	switch e.Result {
	case "rejected":
		c.Rejected++
	case "unmatched":
		c.Unmatched++
		fallthrough
	default:
		c.Types[f.known(e.Channel, e.Type)]++
	}
	f.counts.Channels[e.Channel] = c
}

func (f *fakeRouter) known(channel, typ string) string {
	for _, c := range f.config.Channels {
		if c.Name == channel && slices.Contains(c.Types, typ) {
			return typ
		}
	}
	return "other"
}

func (f *fakeRouter) onRoute(e wireEvent, name string) wireEvent {
	i := slices.IndexFunc(f.config.Routes, func(r wireRoute) bool { return r.Channel == e.Channel && r.Name == name })
	if i < 0 {
		f.t.Errorf("the fake has no route %s of %s", name, e.Channel)
		return e
	}
	n := &f.counts.Routes[i]
	switch e.Result {
	case "handled":
		n.Handled++
	case "failed":
		n.Failed++
	case "retried":
		n.Retried++
	case "skipped":
		n.Skipped++
	case "duplicate":
		n.Duplicates++
	}
	n.Calls++
	n.Micros += uint64(e.Micros)
	e.Route, e.Handler = name, f.config.Routes[i].Handler
	return f.numbered(e)
}

func (f *fakeRouter) numbered(e wireEvent) wireEvent {
	f.seq++
	e.Seq = f.seq
	if e.At == 0 {
		e.At = time.Now().UnixMilli()
	}
	return e
}

func (f *fakeRouter) deadLetters(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	letters := f.dead[r.URL.Query().Get("channel")]
	pageAnswer(w, http.StatusOK, map[string]any{"letters": letters, "total": len(letters)})
}

func (f *fakeRouter) replay(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Channel string   `json:"channel"`
		IDs     []string `json:"ids"`
	}
	if !f.posted(w, r, &asked) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead[asked.Channel] = slices.DeleteFunc(f.dead[asked.Channel], func(l Letter) bool { return slices.Contains(asked.IDs, l.ID) })
	pageAnswer(w, http.StatusOK, map[string]string{"result": fmt.Sprintf("%d replayed", len(asked.IDs))})
}

func (f *fakeRouter) publish(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Channel, Type string
		Data          json.RawMessage
	}
	if f.posted(w, r, &asked) {
		pageAnswer(w, http.StatusOK, map[string]string{"result": "2 subscribers got it"})
	}
}

// posted reads a body that is permitted, and remembers it.
func (f *fakeRouter) posted(w http.ResponseWriter, r *http.Request, into any) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var raw json.RawMessage
	err := json.NewDecoder(r.Body).Decode(&raw)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	switch {
	case err != nil:
		pageAnswer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	case !f.config.Write:
		pageAnswer(w, http.StatusForbidden, map[string]string{"error": "[http] write is off"})
	default:
		f.posts = append(f.posts, r.URL.Path+" "+string(raw))
		return true
	}
	return false
}

func (f *fakeRouter) sent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

func pageAnswer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
