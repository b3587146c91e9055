package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"signalbox/router"
)

// Who opens the page is told what is wired, what failed before, and what happens now.
func TestLive(t *testing.T) {
	f := newFake()
	f.stats = router.Stats{
		Channels: map[string]router.ChannelStats{"orders": {
			Received: 10, Types: map[string]uint64{"enter": 9, "other": 1}, Unmatched: 1, Rejected: map[router.Cause]uint64{"a": 1, "b": 2}, CrashLoop: 1, Missing: 5,
		}},
		Routes: []router.RouteStats{
			{Channel: "orders", Route: "gone", Handled: 99},
			{Channel: "orders", Route: "trade", Handled: 8, Failed: 1, Dead: 1, Took: &router.Distribution{Count: 9, Sum: 9 * time.Millisecond}},
		},
		Subscriptions: []router.SubscriptionStats{{Channel: "orders", Queued: 1, InHand: 2}, {Channel: "orders", Route: "trade", Queued: 10, InHand: 20}},
	}
	f.reasons = []Reason{{"redis", "redis://desk:hunter2@r is away"}}
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
		Sources: []wireSource{{Name: "feed", Kind: "websocket", Channel: "prices"}},
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
	got, _ = json.Marshal(counts.Sources)
	if want := `{"feed":{"state":"stood_down","since":8000,"until":9000,"why":"wss://***@r says 406","epoch":7,"data":7500,` +
		`"received":9,"published":8,"rejected":5,"lost":5,"attempts":6,"sessions":5,"queued":1}}`; string(got) != want {
		t.Errorf("sources\n%s, want\n%s", got, want)
	}
	if counts.Reconnects != 4 || counts.Away || len(counts.Reasons) != 1 || counts.Reasons[0].Text != "redis://***@r is away" {
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

// A HEAD is answered, and takes nobody's place.
func TestLiveAnswersHead(t *testing.T) {
	l := newLive(newFake().program(), false)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, serveLive(t, l), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	l.sending.Lock()
	defer l.sending.Unlock()
	if answer.Header.Get("Content-Type") != "text/event-stream" || len(l.clients) > 0 {
		t.Errorf("%v, %d watch", answer.Header, len(l.clients))
	}
}

// A new configuration, and one that was refused, are told.
func TestLiveTellsReloads(t *testing.T) {
	f := newFake()
	page := browse(t, serveLive(t, newLive(f.program(), false)), "")
	page.await("config")
	f.change(func() {
		f.running.Attempt, f.running.Refused, f.running.Refusal = time.UnixMilli(9000), 1, "no redis://desk:hunter2@10.0.0.5"
	})
	if c := parse[wireConfig](t, page.await("config")); c.Attempt != 9000 || c.Refusal != "no redis://***@10.0.0.5" || c.Hash != "0123456789ab" {
		t.Errorf("refused: %+v", c)
	}
	f.change(func() {
		f.running = Running{Hash: "f", Reloads: 1, Config: router.Config{Routes: []router.Route{{Handler: "x", When: func(*router.Event) (bool, error) { return true, nil }}}}}
	})
	if c := parse[wireConfig](t, page.await("config")); c.Hash != "f" || len(c.Channels) != 0 || c.Routes[0].When != "…" {
		t.Errorf("reloaded: %+v", c)
	}
}
