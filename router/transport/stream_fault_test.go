package transport

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// xadd adds entries to the stream "work", with one field "payload", as any Redis client could.
func xadd(t testing.TB, c *redis.Client, payloads ...string) []string {
	t.Helper()
	pipe := c.Pipeline()
	cmds := make([]*redis.StringCmd, len(payloads))
	for i, p := range payloads {
		cmds[i] = pipe.XAdd(context.Background(), &redis.XAddArgs{Stream: "work", Values: []string{"payload", p}})
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(cmds))
	for i, cmd := range cmds {
		ids[i] = cmd.Val()
	}
	return ids
}

// steal reads entries under a consumer's name and leaves them pending.
func steal(t testing.TB, c *redis.Client, consumer string, count int) {
	t.Helper()
	got, err := c.XReadGroup(context.Background(), &redis.XReadGroupArgs{
		Group: "bot", Consumer: consumer, Streams: []string{"work", ">"}, Count: int64(count), Block: -1,
	}).Result()
	if err != nil || len(got[0].Messages) != count {
		t.Fatalf("steal as %s: %v, %v", consumer, got, err)
	}
}

func makeGroup(t testing.TB, c *redis.Client) {
	t.Helper()
	if err := c.XGroupCreateMkStream(context.Background(), "work", "bot", "0").Err(); err != nil {
		t.Fatal(err)
	}
}

func workers(n node, c StreamConfig) message.Subscriber {
	c.Group = "bot"
	return n.Stream(c)
}

func TestStreamSurvivesRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AOF())
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	xadd(t, server.Client(), texts(10)...)
	items := take(t, messages)
	for len(items) < 10 {
		items = append(items, take(t, messages)...)
	}
	server.Kill()
	done(items) // their acknowledgements must wait
	eventually(t, "the loss is noticed", func() bool { return n.log.count("redis is away") > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	eventually(t, "the subscription is not ready", func() bool { return n.Ready(ctx) != nil })
	server.Restart()
	ready(t, n)
	want := texts(20)
	xadd(t, server.Client(), want...)
	if got := collect(t, messages, 20); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
	if away, back := n.log.count("redis is away"), n.log.count("redis is back"); away > 3 || back == 0 {
		t.Fatalf("%d lines say that redis is away, %d that it is back", away, back)
	}
}

func TestStreamGroupVanishes(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(p redis.Pipeliner){
		"FLUSHALL": func(p redis.Pipeliner) { p.FlushAll(context.Background()) },
		"DEL":      func(p redis.Pipeliner) { p.Del(context.Background(), "work") },
		"DESTROY":  func(p redis.Pipeliner) { p.XGroupDestroy(context.Background(), "work", "bot") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			n := open(t, server.URL())
			// StartNew must not apply to the group's second life.
			messages := subscribe(t, n, workers(n, StreamConfig{StartNew: true}), "work")
			xadd(t, server.Client(), "a")
			collect(t, messages, 1)
			pipe := server.Client().TxPipeline()
			vanish(pipe)
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "work", Values: []string{"payload", "b"}})
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			for collect(t, messages, 1)[0] != "b" { // after DESTROY "a" comes again
				continue
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Fatalf("consuming again took %v", took)
			}
			if lines := n.log.count("consumer group is missing"); lines > 5 {
				t.Fatalf("%d log lines", lines)
			}
		})
	}
}

// A producer that gives ids uses one again after Redis was emptied: the new entry is
// handled, though the old one is still in hand, and only its own end acknowledges it.
func TestStreamIDUsedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 16}), "work")
	add := func(c redis.Cmdable, id, payload string) {
		c.XAdd(context.Background(), &redis.XAddArgs{Stream: "work", ID: id, Values: []string{"payload", payload}})
	}
	pipe := server.Client().TxPipeline()
	add(pipe, "5-1", "old")
	add(pipe, "5-2", "the same")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := take(t, messages)
	pipe = server.Client().TxPipeline()
	pipe.FlushAll(t.Context())
	add(pipe, "5-1", "new")
	add(pipe, "5-2", "the same")
	add(pipe, "5-3", "next")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := take(t, messages)
	if len(first) != 2 || len(second) != 2 || string(second[0].Payload) != "new" || string(second[1].Payload) != "next" {
		t.Fatalf("%d entries, then %d; want 2, and the 2 that are new", len(first), len(second))
	}
	pending := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprint("pending are ", want), func() bool {
			list, err := server.Client().XPendingExt(context.Background(), &redis.XPendingExtArgs{Stream: "work", Group: "bot", Start: "-", End: "+", Count: 9}).Result()
			var ids []string
			for _, p := range list {
				ids = append(ids, p.ID)
			}
			return err == nil && slices.Equal(ids, want)
		})
	}
	pending("5-1", "5-2", "5-3")
	done(first) // both, but only the second of them is still what Redis has
	done(second[1:])
	pending("5-1")
	done(second[:1])
	pending()
	if open := n.group("work", "bot").open; open != 0 {
		t.Errorf("%d are in hand", open)
	}
}

func TestStreamErrorReplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	if err := server.Client().Set(t.Context(), "work", "no stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	messages, err := workers(n, StreamConfig{}).Subscribe(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble is logged", func() bool { return n.log.count("stream cannot be read") == 1 })
	if err := server.Client().Del(t.Context(), "work").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, n)
	xadd(t, server.Client(), "a")
	collect(t, messages, 1)
	if n.log.count("stream cannot be read") != 1 || n.log.count("can be read again") != 1 {
		t.Fatal("the trouble was not logged once at its beginning and once at its end")
	}
}

func TestAbsentAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Absent())
	n := open(t, server.URL())
	if err := n.Check(t.Context()); err == nil {
		t.Fatal("an absent redis passed the check")
	}
	begin := time.Now()
	events, err := workers(n, StreamConfig{}).Subscribe(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := n.PubSub(PubSubConfig{}).Subscribe(t.Context(), "ticks")
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Fatalf("Subscribe took %v", took)
	}
	eventually(t, "it is logged", func() bool { return n.log.count("redis is away") == 1 })
	server.Restart()
	ready(t, n)
	xadd(t, server.Client(), "a")
	server.Client().Publish(t.Context(), "ticks", "b")
	collect(t, events, 1)
	collect(t, ticks, 1)
	if n.log.count("redis is away") != 1 || n.log.count("redis is back") != 1 || n.log.count("level=ERROR") != 0 {
		t.Fatal("redis' absence was not told of once")
	}
	if len(n.lost.gaps()) != 0 {
		t.Fatal("the first connection was reported as a gap")
	}
}

// A reply that was lost on its way leaves entries that are pending under our name and
// that nobody has in hand.
func TestStreamLostReply(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 16, InFlight: 100}), "work")
	xadd(t, server.Client(), "in hand")
	held := take(t, messages)

	// The subscription's own read must not get these: it is blocked on another
	// stream version of the truth only for as long as this transaction takes.
	pipe := server.Client().TxPipeline()
	for _, text := range texts(30) {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "work", Values: []string{"payload", text}})
	}
	pipe.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: "bot", Consumer: n.Consumer(), Streams: []string{"work", ">"}, Block: -1,
	})
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	none(t, messages, 50*time.Millisecond)
	killReaders(t, server.Client())
	if got := collect(t, messages, 30); !slices.Equal(got, texts(30)) {
		t.Fatalf("got %q", got)
	}
	none(t, messages, 50*time.Millisecond) // what is in hand is not read again
	done(held)
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
}

// killReaders cuts the connections that are in XREADGROUP.
func killReaders(t *testing.T, c *redis.Client) {
	t.Helper()
	list, err := c.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(list, "\n") {
		if !strings.Contains(line, "cmd=xreadgroup") {
			continue
		}
		for field := range strings.FieldsSeq(line) {
			if id, ok := strings.CutPrefix(field, "id="); ok {
				if err := c.ClientKillByFilter(t.Context(), "ID", id).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestStreamSlowHandler(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	slow, other := open(t, server.URL()), open(t, server.URL())
	config := StreamConfig{ClaimAfter: 900 * time.Millisecond}
	messages := subscribe(t, slow, workers(slow, config), "work")
	xadd(t, server.Client(), "slow", "queued behind it")
	msg := receive(t, messages)
	eventually(t, "the second is read ahead", func() bool { return pendingOf(t, slow, "work") == 2 })
	others := subscribe(t, other, workers(other, config), "work")
	none(t, others, 3*config.ClaimAfter)
	msg.Ack()
	collect(t, messages, 1)
	none(t, others, config.ClaimAfter)
}

func TestStreamClaimsForeignEntries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	makeGroup(t, server.Client())
	n := open(t, server.URL())
	ids := xadd(t, server.Client(), texts(10_000)...)
	steal(t, server.Client(), "python", 10_000)

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the first 200 are being worked on
		defer close(stopped)
		for {
			server.Client().XClaimJustID(context.Background(), &redis.XClaimArgs{
				Stream: "work", Group: "bot", Consumer: "python", Messages: ids[:200],
			})
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 256, ClaimAfter: time.Second}), "work")
	got := collect(t, messages, 9800)
	close(stop)
	<-stopped
	got = append(got, collect(t, messages, 200)...)
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 10_000 {
		t.Fatalf("%d different events of 10,000 arrived", len(got))
	}
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
}

func TestStreamTrimmedPending(t *testing.T) {
	t.Parallel()
	for name, consumer := range map[string]string{
		"foreign consumer": "python",
		"dead consumer":    consumerPrefix + "host-1-dead",
		"our own":          "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			makeGroup(t, server.Client())
			n := open(t, server.URL())
			if consumer == "" {
				consumer = n.Consumer()
			}
			ids := xadd(t, server.Client(), texts(50)...)
			steal(t, server.Client(), consumer, 50)
			if err := server.Client().XTrimMinID(t.Context(), "work", ids[20]).Err(); err != nil {
				t.Fatal(err)
			}
			config := StreamConfig{MaxBatch: 16, ClaimAfter: 30 * time.Second}
			if consumer == "python" {
				config.ClaimAfter = 500 * time.Millisecond
			}
			messages := subscribe(t, n, workers(n, config), "work")
			if got := collect(t, messages, 30); !slices.Equal(got, texts(50)[20:]) {
				t.Fatalf("got %q", got)
			}
			eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
			eventually(t, "what is gone is reported", func() bool { return n.lost.events(LossTrimmed) >= 20 })
			if lost := n.lost.events(LossTrimmed); lost != 20 {
				t.Fatalf("%d events reported as trimmed, want 20", lost)
			}
		})
	}
}

// A process that was paused for longer than its mark lives must not hand over what
// others took meanwhile.
func TestStreamOwnerWasPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{}), "work")
	ids := xadd(t, server.Client(), texts(10)...)
	first := receive(t, messages)
	eventually(t, "all are read", func() bool { return pendingOf(t, n, "work") == 10 })
	server.Client().XClaimJustID(t.Context(), &redis.XClaimArgs{
		Stream: "work", Group: "bot", Consumer: "peer", Messages: ids[1:6],
	})
	n.alive.age(2 * aliveTTL)
	first.Ack()
	for _, want := range texts(10)[6:] {
		msg := receive(t, messages)
		if string(msg.Payload) != want {
			t.Fatalf("got %s, want %s", msg.Payload, want)
		}
		msg.Ack()
	}
	none(t, messages, 50*time.Millisecond)
	eventually(t, "the peer's entries are left alone", func() bool { return pendingOf(t, n, "work") == 5 })
}

// Nor may what was handed over be handled that others took, or be acknowledged.
func TestStreamOwnerWasPausedWithWorkInHand(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	makeGroup(t, server.Client())
	ids := xadd(t, server.Client(), texts(10)...)
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	items := take(t, messages)
	if len(items) != 10 {
		t.Fatalf("%d entries were handed over, want 10", len(items))
	}
	begin := func(i int) bool { return items[i].Owner.(batch.Revocable).Begin(t.Context(), items[i]) }
	if !begin(0) || !begin(1) {
		t.Error("not ours, though nothing has happened")
	}
	server.Client().XClaimJustID(t.Context(), &redis.XClaimArgs{
		Stream: "work", Group: "bot", Consumer: "peer", Messages: ids[1:6],
	})
	n.alive.age(2 * aliveTTL)
	for i := 2; i < 10; i++ {
		if ours := begin(i); ours != (i >= 6) {
			t.Errorf("entry %d: ours is %v", i, ours)
		}
	}
	for _, i := range []int{0, 1, 6, 7, 8, 9} { // 1 was in a handler when the peer took it
		items[i].Owner.Done(items[i])
	}
	eventually(t, "what is ours is acknowledged", func() bool { return pendingOf(t, n, "work") == 5 })
	if n.log.count("took over what it had in hand") != 1 {
		t.Error("nothing was logged")
	}
	// Its place is free again: as many as before can be taken over.
	more := texts(20)[10:]
	xadd(t, server.Client(), more...)
	if got := collect(t, messages, 10); !slices.Equal(got, more) {
		t.Errorf("got %q", got)
	}
}

// A group that came back empty while this process stood still has not lost what it had.
func TestStreamOwnerWasPausedAndRedisEmptied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	makeGroup(t, server.Client())
	xadd(t, server.Client(), texts(3)...)
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	items := take(t, messages)
	both := server.Client().TxPipeline() // before n can make the group itself
	both.FlushAll(t.Context())
	both.XGroupCreateMkStream(t.Context(), "work", "bot", "0") // another router did
	if _, err := both.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.alive.age(2 * aliveTTL)
	for i, item := range items {
		if !item.Owner.(batch.Revocable).Begin(t.Context(), item) {
			t.Errorf("entry %d was given up, and nobody else has it", i)
		}
		item.Owner.Done(item)
	}
}

// A router that could not finish what an ended subscription had handed over leaves it,
// and the next subscription reads it again. Until then that extends it, so that nobody
// claims it.
func TestStreamReadsAgainWhatWasLeft(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	makeGroup(t, server.Client())
	ids := xadd(t, server.Client(), texts(3)...)
	old := workers(n, StreamConfig{MaxBatch: 64})
	items := take(t, subscribe(t, n, old, "work"))
	if len(items) != 3 {
		t.Fatalf("%d entries were handed over, want 3", len(items))
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	next := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	eventually(t, "the next subscription extends what is in hand", func() bool {
		g := n.group("work", "bot")
		g.mu.Lock()
		subs := slices.Collect(maps.Keys(g.subs))
		g.mu.Unlock()
		return len(subs) == 1 && len(g.held(subs[0])) == 3
	})
	n.alive.age(2 * aliveTTL)
	if owner := items[0].Owner.(batch.Revocable); owner.Begin(t.Context(), items[0]) {
		t.Error("ours, though nobody asks any more")
	} else {
		owner.Leave(items[0])
	}
	items[1].Owner.Done(items[1])
	items[1].Owner.(batch.Revocable).Leave(items[1]) // of no effect
	items[2].Owner.(batch.Revocable).Leave(items[2])
	if got, want := collect(t, next, 2), texts(3); !slices.Equal(slices.Sorted(slices.Values(got)), []string{want[0], want[2]}) {
		t.Errorf("got %q again of %v", got, ids)
	}
	none(t, next, 50*time.Millisecond)
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
}

// A subscription that ends leaves what it did not hand over to the next one.
func TestStreamResubscribe(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	want := texts(500)
	xadd(t, server.Client(), want...)
	old := workers(n, StreamConfig{MaxBatch: 7})
	messages := subscribe(t, n, old, "work")
	held := take(t, messages)
	seen := make(map[string]int)
	for _, item := range held {
		seen[string(item.Payload)]++
	}
	next := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range collect(t, next, len(want)-len(held)) {
		seen[text]++
	}
	none(t, next, 100*time.Millisecond)
	done(held)
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
	for _, text := range want {
		if seen[text] != 1 {
			t.Fatalf("%s was delivered %d times", text, seen[text])
		}
	}
}

// Stopping interrupts a blocked read: it takes milliseconds, not the rest of BLOCK.
func TestStreamStopsAtOnce(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]node{"redis": realRedis(t), "miniredis": mini(t)} {
		sub := workers(n, StreamConfig{})
		messages := subscribe(t, n, sub, "work")
		collectOne := func() {
			xadd(t, n.Client(), "a")
			collect(t, messages, 1)
		}
		collectOne()
		begin := time.Now()
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 700*time.Millisecond {
			t.Fatalf("closing on %s took %v", name, took)
		}
	}
}

// Entries of all shapes, in the forms that Python programs write.
func TestStreamForeignEntries(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	messages := subscribe(t, n, workers(n, StreamConfig{}), "work")
	for _, values := range [][]string{
		{"payload", `{"type":"a"}`, "other", "x"},
		{"data", `{"type":"b"}`},
		{"message", "plain"},
		{"type", "c", "data", `{"n":1}`, "qty", "3"},
	} {
		n.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: "work", Values: values})
	}
	for _, want := range []string{
		`{"type":"a"}`, `{"type":"b"}`, "plain", `{"data":{"n":1},"qty":"3","type":"c"}`,
	} {
		msg := receive(t, messages)
		if string(msg.Payload) != want {
			t.Errorf("got %s, want %s", msg.Payload, want)
		}
		if b := batch.FromContext(msg.Context()); entryTime(b.Items[0].ID) != b.Items[0].Time {
			t.Errorf("time %v of id %s", b.Items[0].Time, b.Items[0].ID)
		}
		msg.Ack()
	}
}

// A connection on which nothing comes any more is noticed, and nothing is handled twice.
func TestStreamHalfOpen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{}), "work")
	xadd(t, server.Client(), texts(3)...)
	msg := receive(t, messages)
	eventually(t, "all are read", func() bool { return pendingOf(t, n, "work") == 3 })
	server.Pause()
	begin := time.Now()
	eventually(t, "the silence is noticed", func() bool { return n.log.count("redis is away") > 0 })
	if took := time.Since(begin); took > 10*time.Second {
		t.Fatalf("a silent connection was noticed after %v", took)
	}
	server.Resume()
	msg.Ack()
	if got := collect(t, messages, 2); !slices.Equal(got, texts(3)[1:]) {
		t.Fatalf("got %q", got)
	}
	none(t, messages, 100*time.Millisecond)
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
}
