package ops

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/router"
)

// What went well is kept while somebody watches only; what failed is always, and is not
// pushed out by what went well.
func TestEventsThatAreKept(t *testing.T) {
	e := newEvents()
	see := func(n int, result router.Result) {
		for i := range n {
			o := outcome(fmt.Sprintf("%s-%d", result, i), result)
			e.see(&o)
		}
	}
	kept := func() map[string]int {
		_, all := e.takeAll(0)
		counts := map[string]int{}
		for i, w := range all {
			counts[w.Result]++
			if i > 0 && all[i-1].Seq >= w.Seq {
				t.Fatalf("event %d is number %d after %d", i, w.Seq, all[i-1].Seq)
			}
		}
		return counts
	}
	see(5, router.Handled)
	see(keptProblems+7, router.Failed)
	if got := kept(); len(got) != 1 || got["failed"] != keptProblems {
		t.Errorf("while nobody watched %v were kept", got)
	}
	e.watch(true)
	for range 20 {
		see(batchEvents-10, router.Handled)
		see(10, router.Unmatched)
		e.take()
	}
	see(3, router.Retried)
	got := kept()
	if got["failed"] != keptProblems-3 || got["retried"] != 3 || got["handled"]+got["unmatched"] != keptOthers {
		t.Errorf("kept %v", got)
	}
	_, all := e.takeAll(0)
	if last := all[len(all)-1].ID; last != "retried-2" {
		t.Errorf("the newest is %s", last)
	}
}

func TestWellDone(t *testing.T) {
	for result, want := range map[router.Result]bool{
		router.Handled: true, router.Skipped: true, router.Filtered: true, router.Duplicate: true, router.Unmatched: true, router.Withdrawn: true, router.Unfinished: true,
		router.Failed: false, router.Retried: false, router.Rejected: false, router.CrashLoop: false,
	} {
		if got := wellDone(&router.Outcome{Result: result}); got != want {
			t.Errorf("%s: %v", result, got)
		}
		if wellDone(&router.Outcome{Result: result, Kept: true}) {
			t.Errorf("%s, and a dead letter: all is well", result)
		}
	}
}

// However large messages are, little is kept and sent at a time.
func TestEventsTakeLittleRoom(t *testing.T) {
	e := newEvents()
	e.watch(true)
	large := []byte(strings.Repeat("x", 1<<20))
	for range 1000 {
		for _, result := range []router.Result{router.Handled, router.Failed} {
			o := outcome("x", result)
			o.Event.Msg = large
			e.see(&o)
		}
	}
	fresh, kept := e.takeAll(0)
	size := func(all []*wireEvent) (n int) {
		for _, w := range all {
			n += w.size()
		}
		return n
	}
	if n := size(fresh); n > 2*batchBytes+2*maxShown || n < batchBytes {
		t.Errorf("%d bytes are sent at a time", n)
	}
	if n := size(kept); n > 2*keptBytes || n < keptBytes {
		t.Errorf("%d bytes are kept", n)
	}
}

// What is kept is no view of what the handlers have, and not more of it than is shown.
func TestWireEventIsACopy(t *testing.T) {
	message := []byte(`{"type":"enter","id":"o-1"}`)
	o := router.Outcome{
		Result: router.Retried, Channel: "orders", Route: "r", Handler: "h", Attempt: 2, Pause: 1500 * time.Millisecond, Took: 3 * time.Microsecond,
		Err: errors.New(strings.Repeat("é", maxError)), Reason: router.ReasonTimeout, Kept: true,
		Event: &router.Event{ID: "o-1", Type: "enter", Key: "k", Name: "md:orders", Msg: message},
	}
	w := newWireEvent(&o)
	clear(message)
	if w.Message != `{"type":"enter","id":"o-1"}` || w.Cut {
		t.Errorf("message %q", w.Message)
	}
	if !strings.HasSuffix(w.Error, "é…") || len(w.Error) > maxError {
		t.Errorf("the error has %d bytes and ends with %q", len(w.Error), w.Error[len(w.Error)-8:])
	}
	w.Error, w.Message, w.At = "", "", 0
	want := wireEvent{
		Channel: "orders", Name: "md:orders", Type: "enter", ID: "o-1", Key: "k", Route: "r", Handler: "h",
		Result: "retried", Reason: "timeout", Kept: true, Attempt: 2, Pause: 1500, Micros: 3,
	}
	if *w != want {
		t.Errorf("%+v, want %+v", *w, want)
	}
	rejected := newWireEvent(&router.Outcome{Result: router.Rejected, Channel: "orders", Err: errors.New("no JSON"), Payload: []byte("\xff")})
	if rejected.Message != "\xff" || rejected.Error != "no JSON" {
		t.Errorf("rejected: %+v", rejected)
	}
}

func TestShownMessage(t *testing.T) {
	for _, tt := range []struct {
		message, want string
		cut           bool
	}{
		{"", "", false},
		{strings.Repeat("x", maxShown), strings.Repeat("x", maxShown), false},
		{strings.Repeat("x", maxShown+1), strings.Repeat("x", maxShown), true},
		{"x" + strings.Repeat("é", maxShown), "x" + strings.Repeat("é", maxShown/2-1), true},
		{strings.Repeat("\x80", maxShown+9), strings.Repeat("\x80", maxShown-4), true}, // no UTF-8
	} {
		if got, cut := ShownMessage(tt.message); got != tt.want || cut != tt.cut {
			t.Errorf("%d bytes: %d, cut %v; want %d, %v", len(tt.message), len(got), cut, len(tt.want), tt.cut)
		}
		if got, _ := ShownMessage([]byte(tt.message)); got != tt.want {
			t.Errorf("%d bytes: %d", len(tt.message), len(got))
		}
	}
}

// A browser that does not keep up gets the newest, and learns how many it missed.
func TestClientDropsTheOldest(t *testing.T) {
	c := newClient()
	for i := range queueNotices + 5 {
		c.putEvents(notice{text: []byte(strconv.Itoa(i)), events: 2})
		c.putCounts(newNotice("counts", "", wireCounts{At: int64(i)}))
		c.putConfig(newNotice("config", "", i))
	}
	texts := c.take()
	if len(texts) != queueNotices+2 || string(texts[1]) != "5" || string(texts[queueNotices]) != strconv.Itoa(queueNotices+4) {
		t.Errorf("%d texts, from %q", len(texts), texts[1])
	}
	if want := fmt.Sprintf("event: config\ndata: %d\n\n", queueNotices+4); string(texts[0]) != want {
		t.Errorf("config %q, want %q", texts[0], want)
	}
	counts := string(texts[len(texts)-1])
	if !strings.HasPrefix(counts, fmt.Sprintf("event: counts\ndata: {\"at\":%d,", queueNotices+4)) || !strings.HasSuffix(counts, ",\"missed\":10}\n\n") {
		t.Errorf("counts %q", counts)
	}
	if more := c.take(); len(more) != 0 {
		t.Errorf("%d are told again", len(more))
	}
	large := make([]byte, queueBytes/2+1)
	for range 3 {
		c.putEvents(notice{text: large, events: 1})
	}
	if texts := c.take(); len(texts) != 1 || c.missed != 12 {
		t.Errorf("%d large ones wait, %d were missed", len(texts), c.missed)
	}
}

// Many handlers at once do not wait for each other, nor for who watches.
func TestLookIsSafeForConcurrentUse(t *testing.T) {
	l := newLive(newFake().program(), false)
	page := browse(t, serveLive(t, l), "")
	var handlers sync.WaitGroup
	for i := range 8 {
		handlers.Go(func() {
			for j := range 200 {
				l.look(outcome(fmt.Sprintf("%d-%d", i, j), []router.Result{router.Handled, router.Failed}[j%2]))
			}
		})
	}
	handlers.Wait()
	l.look(outcome("last", router.Failed))
	var seqs []uint64
	page.await("config")
	for {
		for _, e := range parse[[]wireEvent](t, page.await("events")) {
			seqs = append(seqs, e.Seq)
		}
		if len(seqs) > 0 {
			break
		}
	}
	if !slices.IsSorted(seqs) {
		t.Error("events are out of order")
	}
}

func BenchmarkLook(b *testing.B) {
	for _, bench := range []struct {
		name    string
		watched bool
		result  router.Result
	}{{"handled, nobody watches", false, router.Handled}, {"handled", true, router.Handled}, {"failed", true, router.Failed}} {
		b.Run(bench.name, func(b *testing.B) {
			l := newLive(newFake().program(), false)
			l.events.watch(bench.watched)
			o := outcome("01a20132-1296-7bbe-bbc6-39d712eaa4d5", bench.result)
			o.Event.Msg = []byte(`{"type":"enter","data":"` + strings.Repeat("x", 250) + `"}`)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%batchEvents == 0 { // as every tick
					l.events.take()
				}
				l.look(o)
			}
		})
	}
}
