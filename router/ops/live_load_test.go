package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

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

// A mistake in what is shown ends neither the router nor the rest of the page.
func TestLiveSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		p := newFake().program()
		p.Streams = func(context.Context) ([]Stream, error) { panic("a mistake") }
		l := newLive(p, false)
		l.log = slog.New(slog.NewTextHandler(&logs, nil))
		ctx, leave := context.WithCancel(t.Context())
		out, watching := newPaper(), make(chan struct{})
		go func() {
			defer close(watching)
			l.ServeHTTP(out, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/live", http.NoBody))
		}()
		time.Sleep(5 * time.Second)
		leave()
		<-watching
		if n := strings.Count(out.String(), "event: counts"); n < 4 {
			t.Errorf("%d counts in five seconds", n)
		}
		if text := logs.String(); strings.Count(text, "no longer tells all") != 1 || !strings.Contains(text, "a mistake") {
			t.Errorf("log: %s", text)
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
