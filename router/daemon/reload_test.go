package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router"
)

// tally counts what it handles, by the number in the data.
type tally struct {
	mu    sync.Mutex
	times map[int]int
	late  int // that came after a higher number
	last  int
}

func (c *tally) Handle(_ context.Context, e *router.Event) error {
	var data struct{ N int }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[data.N]++
	if data.N < c.last {
		c.late++
	}
	c.last = data.N
	return nil
}

func (c *tally) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times)
}

// tallyOptions make another instance of each revision.
type tallyOptions struct {
	Revision int `toml:"revision"`
}

func tallyKind(name string, c *tally) router.Kind[tallyOptions] {
	return router.Kind[tallyOptions]{Name: name, New: func(router.Env, tallyOptions) (router.Handler, error) { return c, nil }}
}

// A hundred reloads under load, in which routes, handlers and channels come, change and
// go, and the file breaks and is repaired: each event on the channels that stay is
// handled exactly once, in order.
func TestReloadsUnderLoad(t *testing.T) {
	const rate, reloads = 5000, 100
	server := redistest.Start(t)
	counts := map[string]*tally{"quick": {times: map[int]int{}}, "safe": {times: map[int]int{}}}
	kinds := router.NewRegistry(tallyKind("quick", counts["quick"]), tallyKind("safe", counts["safe"]), (&counter{}).kind("other"))
	b := runBox(t, reloadable(server.URL(), 0), kinds)

	sent, stop := 0, make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			_, err := server.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
				for range rate / 100 / 2 {
					sent++
					text := fmt.Sprintf(`{"type":"a","data":{"N":%d}}`, sent)
					p.Publish(t.Context(), "quick", text)
					p.XAdd(t.Context(), &redis.XAddArgs{Stream: "safe", Values: []string{"payload", text}})
				}
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	refused := 0
	for i := 1; i <= reloads; i++ {
		if i%10 == 5 {
			b.write(t, "[channels.quick\n")
			refused++
		} else {
			b.write(t, reloadable(server.URL(), i))
		}
		b.reload <- struct{}{}
		b.log.await(t, "msg=reloaded", i-refused)
		b.log.await(t, "msg=\"reload refused", refused)
	}
	close(stop)
	sending.Wait()
	deadline := time.Now().Add(patience)
	for name, c := range counts {
		for c.len() < sent && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		twice := 0
		for n := range maps.Values(c.times) {
			if n > 1 {
				twice++
			}
		}
		t.Logf("%s: %d sent, %d handled, %d twice, %d late", name, sent, c.len(), twice, c.late)
		if c.len() != sent || twice > 0 || c.late > 0 {
			t.Errorf("%s: %d of %d events were handled, %d of them twice, %d late", name, c.len(), sent, twice, c.late)
		}
	}
	b.stop()
	t.Logf("%s", b.log.String()[max(0, len(b.log.String())-300):])
}

// reloadable is a configuration in which two channels stay and all else varies with i.
func reloadable(url string, i int) string {
	text := fmt.Sprintf("[redis]\nurl = %q\n[service]\nname = \"box\"\n[channels.quick]\ntransport = \"pubsub\"\nkey_field = \"data.k\"\noverflow = %q\nqueue = %d\nqueue_bytes = %d\nin_flight = %d\ndescription = \"%d\"\n[channels.safe]\ntransport = \"stream\"\nmax_len = %d\nin_flight = %d\nclaim_after = \"%ds\"\n",
		url, []string{"drop_oldest", "newest_per_key"}[i/2%2], 60_000+i, 40<<20+i, 2000+i, i, 1_000_000+i, 1000+i/4%2, 30+i%5)
	for _, name := range []string{"quick", "safe"} {
		text += fmt.Sprintf("[handlers.%s]\nrevision = %d\n", name, i/3)
		text += fmt.Sprintf("[[routes]]\nchannel = %[1]q\ntype = \"a\"\nhandler = %[1]q\nretry = { attempts = %[2]d }\n", name, 1+i%4)
	}
	for _, extra := range []string{"a", "b", "c"} {
		if rand.IntN(2) == 0 {
			text += fmt.Sprintf("[channels.%[1]s]\ntransport = \"%[2]s\"\n[[routes]]\nname = \"x%[3]d\"\nchannel = [%[1]q, \"quick\"]\ntype = \"*\"\nhandler = \"other\"\nisolated = %[4]t\n",
				extra, []string{"pubsub", "stream"}[rand.IntN(2)], i%5+10*slices.Index([]string{"a", "b", "c"}, extra), i%7 == 0)
		}
	}
	return text
}

// What a reload cannot apply is refused, and told without its value.
func TestReloadRefusesWhatNeedsARestart(t *testing.T) {
	server := redistest.Start(t)
	text := func(service, redis, log string) string {
		return fmt.Sprintf("[service]\n%s\n[redis]\nurl = %q\n%s\n[log]\n%s\n[channels.in]\ntransport = \"stream\"\n[[routes]]\nchannel = \"in\"\ntype = \"*\"\nhandler = \"other\"\n",
			service, server.URL(), redis, log)
	}
	b := runBox(t, text("", "", ""), router.NewRegistry((&counter{}).kind("other")))
	for i, tc := range []struct{ text, want string }{
		{text(`name = "else"`, "", ""), "[service] name changed"},
		{text(`drain = "1s"`, "", ""), "[service] drain changed"},
		{text("", `password = "geheim"`, ""), "[redis] changed"},
		{text("", "", `format = "json"`), "[log] format changed"},
	} {
		b.write(t, tc.text)
		b.reload <- struct{}{}
		b.log.await(t, "msg=\"reload refused", i+1)
		b.log.await(t, tc.want, 1)
	}
	b.write(t, text("", "", `level = "debug"`))
	b.reload <- struct{}{}
	b.log.await(t, "msg=reloaded", 1)
	send(t, server.Client(), `transport = "stream"`, 500)
	b.log.await(t, "level=DEBUG msg=handled", 1)
}
