package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// latestStore is a router.Latest, which this package does not know.
type latestStore interface {
	Keep(ctx context.Context, events []batch.Kept, ttl time.Duration) error
	Kept(ctx context.Context, topic string, keys ...string) ([]batch.Kept, error)
}

func eachLatest(t *testing.T, test func(t *testing.T, store latestStore)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) latestStore{
		"memory":    func(*testing.T) latestStore { return &MemoryLatest{} },
		"miniredis": func(t *testing.T) latestStore { return open(t, "redis://"+miniredis.RunT(t).Addr()).Latest() },
		"redis":     func(t *testing.T) latestStore { return realRedis(t).Latest() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// tickAt is an event of a key, so many ns after noon.
func tickAt(topic, key string, after int, text string) batch.Kept {
	return batch.Kept{Topic: topic, Key: key, ID: "id of " + text, Time: noon.Add(time.Duration(after)), Payload: []byte(text)}
}

func mustKeep(t *testing.T, store latestStore, ttl time.Duration, events ...batch.Kept) {
	t.Helper()
	if err := store.Keep(t.Context(), events, ttl); err != nil {
		t.Fatal(err)
	}
}

// keptOf is "key=message" of what is kept.
func keptOf(t *testing.T, store latestStore, topic string, keys ...string) string {
	t.Helper()
	kept, err := store.Kept(t.Context(), topic, keys...)
	if err != nil {
		t.Fatal(err)
	}
	words := make([]string, len(kept))
	for i, k := range kept {
		words[i] = k.Key + "=" + string(k.Payload)
	}
	return strings.Join(words, " ")
}

func TestLatestKeepsTheNewest(t *testing.T) {
	t.Parallel()
	eachLatest(t, func(t *testing.T, store latestStore) {
		mustKeep(t, store, 0, tickAt("p", "btc", 5, "b5"), tickAt("p", "eth", 9, "e9"), tickAt("p", "", 1, "none"))
		mustKeep(t, store, 0, tickAt("p", "btc", 4, "b4"), tickAt("p", "eth", 9, "e9 again"), tickAt("other", "btc", 1, "o1"))
		if got, want := keptOf(t, store, "p"), "=none btc=b5 eth=e9 again"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
		// Within one call, too; and a nanosecond counts.
		mustKeep(t, store, 0, tickAt("p", "btc", 7, "b7"), tickAt("p", "btc", 8, "b8"), tickAt("p", "btc", 6, "b6"))
		if got, want := keptOf(t, store, "p", "btc", "missing", ""), "=none btc=b8"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
		if got, want := keptOf(t, store, "other"), "btc=o1"; got != want {
			t.Errorf("the other channel has %q, want %q", got, want)
		}
		if got := keptOf(t, store, "nothing"); got != "" {
			t.Errorf("a channel of which nothing is kept has %q", got)
		}
		kept, err := store.Kept(t.Context(), "p", "btc")
		if err != nil {
			t.Fatal(err)
		}
		if want := tickAt("p", "btc", 8, "b8"); len(kept) != 1 || fmt.Sprint(kept[0]) != fmt.Sprint(want) {
			t.Errorf("kept %v, want %v", kept, want)
		}
	})
}

func TestLatestTakesAnyKey(t *testing.T) {
	t.Parallel()
	eachLatest(t, func(t *testing.T, store latestStore) {
		keys := []string{"a b", "p:x", "\x00\xff", "%s", "'; redis.call('FLUSHALL') --", strings.Repeat("k", 10_000), "+inf", "}", "{p}", "1-1"}
		for i, key := range keys {
			mustKeep(t, store, time.Hour, tickAt("p", key, i, "m"+fmt.Sprint(i)))
		}
		mustKeep(t, store, 0, tickAt("p:x", "", 0, "of another channel"))
		kept, err := store.Kept(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			if i >= len(kept) || kept[i].Key != key || string(kept[i].Payload) != "m"+fmt.Sprint(i) {
				t.Fatalf("slot %d of %d is not that of %.20q", i, len(kept), key)
			}
		}
	})
}

// A feed whose clock is wrong, or who writes nonsense, must not block a slot for good.
func TestLatestOfTheFutureIsNow(t *testing.T) {
	t.Parallel()
	eachLatest(t, func(t *testing.T, store latestStore) {
		future, ancient := tickAt("p", "k", 0, "from 2999"), tickAt("p", "old", 0, "from before")
		future.Time, ancient.Time = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1066, 10, 14, 0, 0, 0, 0, time.UTC)
		mustKeep(t, store, 0, future, ancient)
		time.Sleep(2 * time.Millisecond)
		present := tickAt("p", "k", 0, "now")
		present.Time = time.Now().Add(time.Minute) // of a clock that is a little ahead
		mustKeep(t, store, 0, present)
		if got, want := keptOf(t, store, "p", "k"), "k=now"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
		mustKeep(t, store, 0, tickAt("p", "old", 0, "younger"))
		if got, want := keptOf(t, store, "p", "old"), "old=younger"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
	})
}

func TestLatestEnds(t *testing.T) {
	t.Parallel()
	eachLatest(t, func(t *testing.T, store latestStore) {
		const ttl = 300 * time.Millisecond
		mustKeep(t, store, ttl, tickAt("p", "short", 5, "s"))
		mustKeep(t, store, 0, tickAt("p", "long", 1, "l"))
		begin := time.Now()
		if got, want := keptOf(t, store, "p"), "long=l short=s"; got != want && time.Since(begin) < ttl/2 {
			t.Errorf("kept %q, want %q", got, want)
		}
		eventually(t, "the short one ends", func() bool { return keptOf(t, store, "p") == "long=l" && keptOf(t, store, "p", "short") == "" })
		// What has ended is no older event that a newer one has to be compared with.
		mustKeep(t, store, ttl, tickAt("p", "short", 2, "older"))
		if got, want := keptOf(t, store, "p", "short"), "short=older"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
		mustKeep(t, store, 0, tickAt("p", "short", 3, "for ever"))
		time.Sleep(ttl + 50*time.Millisecond)
		if got, want := keptOf(t, store, "p"), "long=l short=for ever"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
	})
}

// Handlers with different ttl keep one channel: each slot lasts as long as its own says.
func TestLatestEndsNoOtherSlot(t *testing.T) {
	t.Parallel()
	eachLatest(t, func(t *testing.T, store latestStore) {
		const ttl = 300 * time.Millisecond
		mustKeep(t, store, 0, tickAt("p", "for ever", 1, "e"))
		mustKeep(t, store, time.Hour, tickAt("p", "hour", 2, "h"), tickAt("q", "hour", 2, "h"))
		mustKeep(t, store, 0, tickAt("q", "short", 1, "e"))
		mustKeep(t, store, ttl, tickAt("p", "short", 3, "s"), tickAt("q", "short", 3, "s"))
		time.Sleep(ttl + 50*time.Millisecond)
		if got, want := keptOf(t, store, "p"), "for ever=e hour=h"; got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
		if got, want := keptOf(t, store, "q"), "hour=h"; got != want { // no slot of it lasts for ever any more
			t.Errorf("kept %q, want %q", got, want)
		}
	})
}

// A channel that has gone quiet leaves nothing behind, for programs that don't know of ends.
func TestLatestLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	store := n.Latest()
	mustKeep(t, store, 200*time.Millisecond, tickAt("p", "a", 1, "m"), tickAt("p", "b", 1, "m"))
	if got := n.Client().HGetAll(t.Context(), "signalbox:latest:p").Val(); fmt.Sprint(got) != "map[a:m b:m]" {
		t.Errorf("the hash has %v", got)
	}
	eventually(t, "all keys of the channel end", func() bool {
		return n.Client().Exists(t.Context(), "signalbox:latest:p", "signalbox:latest.time:p", "signalbox:latest.until:p").Val() == 0
	})
	// And one whose other keys live loses the slot with the next event, whatever its key.
	mustKeep(t, store, 100*time.Millisecond, tickAt("p", "a", 1, "m"))
	mustKeep(t, store, time.Hour, tickAt("p", "b", 1, "m"))
	time.Sleep(150 * time.Millisecond)
	mustKeep(t, store, time.Hour, tickAt("p", "b", 2, "m2"))
	if got := n.Client().HGetAll(t.Context(), "signalbox:latest:p").Val(); fmt.Sprint(got) != "map[b:m2]" {
		t.Errorf("the hash has %v", got)
	}
}

// Routers that keep the same channel race with each other, and none sets it back.
func TestLatestRace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const routers, keys, each = 4, 5, 400
	var events []batch.Kept
	for i := range keys * each {
		events = append(events, tickAt("p", fmt.Sprint(i%keys), i, fmt.Sprint(i)))
	}
	var racing sync.WaitGroup
	for r := range routers {
		store := open(t, server.URL()).Latest()
		random := rand.New(rand.NewPCG(1, uint64(r))) //nolint:gosec // the same in each run
		racing.Go(func() {
			for _, i := range random.Perm(len(events)) {
				if err := store.Keep(t.Context(), events[i:min(i+random.IntN(7)+1, len(events))], 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reader := open(t, server.URL()).Latest()
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { // never backwards, and message and time belong together
		last := map[string]time.Time{}
		for {
			select {
			case <-stop:
				return
			default:
			}
			kept, err := reader.Kept(t.Context(), "p")
			if err != nil {
				t.Error(err)
				return
			}
			for _, k := range kept {
				if k.Time.Before(last[k.Key]) || k.ID != "id of "+string(k.Payload) || fmt.Sprint(k.Time.Sub(noon).Nanoseconds()) != string(k.Payload) {
					t.Errorf("%v after %v", k, last[k.Key])
				}
				last[k.Key] = k.Time
			}
		}
	})
	racing.Wait()
	close(stop)
	reading.Wait()
	if got, want := keptOf(t, reader, "p"), "0=1995 1=1996 2=1997 3=1998 4=1999"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// What is large goes in several calls, so that each is through in time on a slow link.
func TestLatestOfLargeMessages(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	var events []batch.Kept
	for i := range 10 {
		events = append(events, tickAt("p", fmt.Sprint(i), i, strings.Repeat("x", keepBytes/2-i)))
	}
	events = append(events, tickAt("p", "huge", 11, strings.Repeat("y", 3*keepBytes)), tickAt("p", "small", 12, "s"), tickAt("q", "small", 1, "s"))
	mustKeep(t, n.Latest(), 0, events...)
	stats := n.Client().Info(t.Context(), "commandstats").Val()
	if !strings.Contains(stats, "cmdstat_evalsha:calls=9,") { // 5 of two each, huge, small, q, and the one that found no script
		t.Errorf("not in 8 calls and one without the script:\n%s", stats)
	}
	if kept, err := n.Latest().Kept(t.Context(), "p"); err != nil || len(kept) != len(events)-1 {
		t.Errorf("%d kept, %v", len(kept), err)
	}
}

// A Redis that has forgotten the scripts is told again; one that refuses says so.
func TestLatestScriptsAreLoaded(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	store := n.Latest()
	for range 2 {
		mustKeep(t, store, 0, tickAt("p", "k", 1, "m"))
		if err := n.Client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got := keptOf(t, store, "p"); got != "k=m" {
		t.Errorf("kept %q", got)
	}
	if err := n.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-script", "-evalsha").Err(); err != nil {
		t.Fatal(err)
	}
	err := store.Keep(t.Context(), []batch.Kept{tickAt("p", "k", 2, "m")}, 0)
	if err == nil || !strings.Contains(err.Error(), `keep the latest of "p"`) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("without permission: %v", err)
	}
}

// A subscription begins with what is kept, before what is published meanwhile, again after
// each gap; and goes on without it where it can't be read.
func TestPubSubBeginsWithWhatIsKept(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	store := n.Latest()
	mustKeep(t, store, 0, tickAt("p", "a", 1, "kept a"), tickAt("p", "b", 2, "kept b"))
	release := make(chan struct{})
	sub := n.PubSub(PubSubConfig{MaxBatch: 256, Kept: func(ctx context.Context, topic string) ([]batch.Kept, error) {
		<-release // as slow as it likes: what is published waits
		return store.Kept(ctx, topic)
	}})
	messages := subscribe(t, n, sub, "p")
	if err := n.PubSubPublisher().Publish("p", messagesOf("live 1", "live 2")...); err != nil {
		t.Fatal(err)
	}
	none(t, messages, 50*time.Millisecond)
	close(release)
	got := collect(t, messages, 4)
	if want := []string{"kept a", "kept b", "live 1", "live 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	mustKeep(t, store, 0, tickAt("p", "a", 3, "kept later"))
	if err := n.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := collect(t, messages, 2), []string{"kept b", "kept later"}; !slices.Equal(got, want) {
		t.Errorf("after the gap: %q, want %q", got, want)
	}
}

func TestPubSubGoesOnWithoutWhatIsKept(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	tries := 0
	sub := n.PubSub(PubSubConfig{MaxBatch: 256, Kept: func(context.Context, string) ([]batch.Kept, error) {
		tries++
		return nil, fmt.Errorf("refused for the %d. time", tries)
	}})
	messages := subscribe(t, n, sub, "p")
	if err := n.PubSubPublisher().Publish("p", messagesOf("live")...); err != nil {
		t.Fatal(err)
	}
	if got, want := collect(t, messages, 1), []string{"live"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n.log.count("kept events could not be read") != 1 || tries != keptTries {
		t.Errorf("%d tries, log:\n%s", tries, n.log)
	}
}

// A second subscription to a name that is subscribed to already begins likewise.
func TestASecondSubscriptionBeginsWithWhatIsKept(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	store := n.Latest()
	mustKeep(t, store, 0, tickAt("p", "a", 1, "kept"))
	cfg := PubSubConfig{MaxBatch: 256, Kept: func(ctx context.Context, topic string) ([]batch.Kept, error) { return store.Kept(ctx, topic) }}
	for range 2 {
		messages := subscribe(t, n, n.PubSub(cfg), "p")
		if got, want := collect(t, messages, 1), []string{"kept"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
