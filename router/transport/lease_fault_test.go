package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

// holderEnv makes the test binary the holder of a lease, which publishes until it loses it.
const holderEnv = "SIGNALBOX_TEST_HOLDER"

func holder(url string) {
	r, err := Open(Config{URL: url, Service: "holder"}, nil)
	if err != nil {
		panic(err)
	}
	term, err := feedLease(node{Redis: r}, time.Second).Acquire(context.Background())
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := term.Publish(context.Background(), outgoing(fmt.Sprint("theirs ", i))); errors.Is(err, ErrNotHeld) {
			fmt.Println("lost after", i)
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// A process that stood still while another took over publishes nothing when it goes on.
func TestAFrozenHolderPublishesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, n.PubSub(PubSubConfig{MaxBatch: 256}), "prices")
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), holderEnv+"="+server.URL())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	collect(t, messages, 100)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	term := acquire(t, feedLease(n, time.Second))
	if g := term.Grant(); g.Orderly || g.Silent < time.Second-watchMost {
		t.Errorf("the grant is %+v", g)
	}
	mustPublish(t, term, "mine")
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	last, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(last, "lost after ") {
		t.Errorf("the frozen one said %q, %v", last, err)
	}
	mustPublish(t, term, "end")
	var got []string
	for len(got) == 0 || got[len(got)-1] != "end" {
		got = append(got, collect(t, messages, 1)...)
	}
	if at := slices.Index(got, "mine"); at != len(got)-2 {
		t.Errorf("after %q came %q", "mine", got[at+1:])
	}
}

// Even a holder whose own clock misleads it publishes nothing: Redis refuses it.
func TestRedisRefusesWhoIsNoHolder(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		for _, stream := range []bool{false, true} {
			a, b := open(t, url), open(t, url)
			cfg := LeaseConfig{Source: fmt.Sprint("feed ", stream), For: short, Topic: fmt.Sprint("prices ", stream), Stream: stream}
			old := acquire(t, a.Lease(cfg))
			// As if it were certain of its lease, and renewed nothing.
			future := time.Now().Add(time.Hour)
			old.last.Store(&future)
			b.Client().HSet(t.Context(), leasePrefix+cfg.Source, "holder", "of another process")
			if err := old.Publish(t.Context(), outgoing("late")); !errors.Is(err, ErrNotHeld) {
				t.Errorf("error %v", err)
			}
			select {
			case <-old.Done():
			default:
				t.Error("its term goes on")
			}
			fresh := acquire(t, b.Lease(cfg))
			number := int64(1 << 40)
			script, args := (&fenced{t: old}).call(number, 0, outgoing("delayed by the network"))
			if at, err := script.run(t.Context(), a.Client(), old.l.key(), args...).Int64(); at != 0 || err != nil {
				t.Errorf("a call that was under way: %d, %v", at, err)
			}
			mustPublish(t, fresh, "on time")
			if n := b.Client().XLen(t.Context(), cfg.Topic).Val(); stream && n != 1 {
				t.Errorf("%d entries, want 1", n)
			}
			if a.log.count("lease is lost") != 1 || a.log.count(errOther.Error()) != 1 {
				t.Errorf("want one line about it:\n%s", a.log)
			}
		}
	})
}

// The term of a holder that is cut off is over before another begins, again and again.
func TestATermEndsBeforeTheNext(t *testing.T) {
	t.Parallel()
	const lasts, rounds = time.Second, 20
	server := redistest.Start(t)
	w := wireTo(t, server.Addr())
	a, b := open(t, w.url()), open(t, server.URL())
	cfg := func(i int) LeaseConfig { return LeaseConfig{Source: fmt.Sprint("feed", i), For: lasts} }
	terms := make([]*Term, rounds)
	var each sync.WaitGroup
	for i := range rounds {
		each.Go(func() { terms[i] = acquire(t, a.Lease(cfg(i))) })
	}
	each.Wait()
	var mu sync.Mutex
	var margins []time.Duration
	for i := range rounds {
		var over time.Time
		ended := make(chan struct{})
		each.Go(func() {
			<-terms[i].Done()
			over = time.Now()
			close(ended)
		})
		each.Go(func() {
			next := acquire(t, b.Lease(cfg(i)))
			begin := time.Now()
			select {
			case <-ended:
			default:
				t.Errorf("round %d: two holders", i)
			}
			<-ended
			mu.Lock()
			defer mu.Unlock()
			margins = append(margins, begin.Sub(over))
			if next.Grant().Epoch <= terms[i].Grant().Epoch || next.Grant().Orderly {
				t.Errorf("round %d: %+v after %+v", i, next.Grant(), terms[i].Grant())
			}
		})
	}
	time.Sleep(lasts)
	w.mute.Store(true)
	each.Wait()
	slices.Sort(margins)
	t.Logf("between the end of a term and the next, of leases for %v: %v to %v", lasts, margins[0], margins[len(margins)-1])
}

// Of many who wait, one gets what is released, each time with a higher epoch.
func TestOneOfManyGetsTheLease(t *testing.T) {
	t.Parallel()
	const waiting, rounds = 3, 100
	server := redistest.Start(t)
	var holders, granted atomic.Int64
	var epoch atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for range waiting {
		n := open(t, server.URL())
		all.Go(func() {
			for granted.Load() < rounds {
				term, err := feedLease(n, short).Acquire(ctx)
				if err != nil {
					if granted.Load() < rounds {
						t.Error(err)
					}
					return
				}
				if holders.Add(1) > 1 {
					t.Error("two holders")
				}
				if last := epoch.Swap(term.Grant().Epoch); last >= term.Grant().Epoch {
					t.Errorf("epoch %d after %d", term.Grant().Epoch, last)
				}
				round := granted.Add(1)
				select {
				case <-term.Done():
				case <-time.After(time.Millisecond):
				}
				holders.Add(-1)
				term.Release(ctx, round%10 != 0) // every tenth dies
			}
			cancel()
		})
	}
	all.Wait()
	if granted.Load() < rounds {
		t.Errorf("%d terms", granted.Load())
	}
}

// waits lets another process wait for the lease; what it got is a failure.
func waits(t *testing.T, n node, lasts time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		term, err := feedLease(n, lasts).Acquire(ctx)
		if err == nil {
			term.Release(context.Background(), false)
		}
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("who waits got the lease (%v)", err)
		}
	})
}

// A Redis that loses everything while the lease is held gets it back from the holder.
func TestLeaseSurvivesTheLossOfData(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, n.PubSub(PubSubConfig{MaxBatch: 256}), "prices")
	const lasts = 2 * time.Second
	term := acquire(t, feedLease(n, lasts))
	waits(t, open(t, server.URL()), lasts)
	mustPublish(t, term, "1")
	begun := server.Client().HGet(t.Context(), term.l.key(), "since").Val()
	for range 3 {
		server.Client().FlushAll(t.Context())
		mustPublish(t, term, "2") // at once
		record := server.Client().HGetAll(t.Context(), term.l.key()).Val()
		if record["epoch"] != fmt.Sprint(term.Grant().Epoch) || record["holder"] != n.Consumer() ||
			record["since"][:10] != begun[:10] || record["published"] == "" || record["service"] != "bot" {
			t.Fatalf("the record is %v", record)
		}
		server.Client().FlushAll(t.Context())
		eventually(t, "the holder renews it", func() bool { return server.Client().Exists(t.Context(), term.l.key()).Val() == 1 })
		time.Sleep(lasts / 2)
	}
	server.Kill()
	server.Restart()
	ready(t, n)
	eventually(t, "it is published again", func() bool { return term.Publish(t.Context(), outgoing("3")) == nil })
	time.Sleep(lasts + lasts/2)
	select {
	case <-term.Done():
		t.Error("it lost the lease")
	default:
	}
	if got, want := collect(t, messages, 5), []string{"1", "2", "2", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A Redis that is started with an old copy of its data, in which an earlier holder had
// closed its session, gives the lease to nobody else.
func TestLeaseSurvivesAnOldCopy(t *testing.T) {
	t.Parallel()
	const lasts = 2 * time.Second
	server := redistest.Start(t)
	a, b := open(t, server.URL()), open(t, server.URL())
	acquire(t, feedLease(a, lasts)).Release(t.Context(), true)
	if err := server.Client().Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	term := acquire(t, feedLease(b, lasts))
	if !term.Grant().Orderly {
		t.Fatalf("the grant is %+v", term.Grant())
	}
	server.Kill()
	server.Restart()
	orderly := func() bool { return server.Client().HGet(t.Context(), term.l.key(), "orderly").Val() == "1" }
	w := feedLease(open(t, server.URL()), lasts).watch()
	if grant, _, err := w.once(t.Context()); grant != nil || err != nil {
		t.Errorf("who asks first gets it: %v, %v", grant, err)
	}
	if !orderly() {
		t.Log("the holder was faster: this round shows less")
	}
	w.rest()
	_ = w.client.Close()
	waits(t, open(t, server.URL()), lasts)
	eventually(t, "it is published again", func() bool { return term.Publish(t.Context(), outgoing("1")) == nil })
	time.Sleep(lasts + lasts/2)
	if !term.held() {
		t.Error("it lost the lease")
	}
}

// What is granted over a Redis that was emptied and started again has a higher epoch than
// all before, whoever gets it.
func TestEpochsNeverGoBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ahead := open(t, server.URL())
	// It was granted many terms within a second: its epochs are ahead of the clock.
	ahead.epochs.learn("feed", time.Now().Unix()+100)
	last := int64(0)
	for round, n := range []node{open(t, server.URL()), ahead, ahead, open(t, server.URL())} {
		term := acquire(t, feedLease(n, short))
		if epoch := term.Grant().Epoch; epoch <= last {
			t.Errorf("round %d: epoch %d after %d", round, epoch, last)
		} else {
			last = epoch
		}
		term.Release(t.Context(), false)
		switch round {
		case 0:
			server.Client().FlushAll(t.Context())
		case 1:
			server.Kill()
			server.Restart()
		}
	}
}

// While Redis stands still, the term ends; afterwards there is a next one, and what was
// published meanwhile by the old one is not.
func TestLeaseOverAPauseOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := open(t, server.URL()), open(t, server.URL())
	messages := subscribe(t, b, b.PubSub(PubSubConfig{MaxBatch: 256}), "prices")
	term := acquire(t, feedLease(a, short))
	next := make(chan *Term)
	go func() { next <- acquire(t, feedLease(b, short)) }()
	time.Sleep(short)
	server.Client().Do(t.Context(), "CLIENT", "PAUSE", (5 * short).Milliseconds(), "ALL")
	begin := time.Now()
	published := make(chan error)
	go func() { published <- term.Publish(context.Background(), outgoing("in the pause")) }()
	over(t, term)
	if took := time.Since(begin); took > short {
		t.Errorf("the term ended after %v", took)
	}
	second := <-next
	if err := <-published; err == nil {
		t.Log("Redis took it when the pause was over")
	}
	mustPublish(t, second, "after it")
	if got := collect(t, messages, 1)[0]; got == "in the pause" { // Redis took it before another held the lease
		got = collect(t, messages, 1)[0]
		if got != "after it" {
			t.Errorf("got %q", got)
		}
	}
	none(t, messages, short)
	if a.log.count("lease is lost") != 1 || a.log.count("could not be renewed for 210ms: ") != 1 {
		t.Errorf("want one line about it:\n%s", a.log)
	}
}

// A machine that was suspended publishes nothing when it wakes up, and its term ends.
func TestLeaseAfterASuspension(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	term := acquire(t, feedLease(n, short))
	last := beforeASleep(*term.last.Load(), time.Hour)
	term.last.Store(&last)
	if err := term.Publish(t.Context(), outgoing("x")); !errors.Is(err, ErrNotHeld) {
		t.Errorf("error %v", err)
	}
	over(t, term)
}

// Who waits counts by a clock that nobody can set, and that stands still with the machine.
func TestWhoWaitsCountsByTheMonotonicClock(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	w := feedLease(n, time.Minute).watch()
	defer func() {
		w.rest()
		_ = w.client.Close()
	}()
	if grant, _, err := w.once(t.Context()); grant != nil || err != nil {
		t.Fatal(grant, err)
	}
	w.seen.since = beforeASleep(w.seen.since, time.Hour)
	if grant, _, err := w.once(t.Context()); grant != nil || err != nil {
		t.Fatalf("it took the lease: %v, %v", grant, err)
	}
	w.seen.since = w.seen.since.Add(-time.Minute)
	if grant, _, err := w.once(t.Context()); grant == nil || err != nil {
		t.Fatalf("it did not take the lease: %v", err)
	}
}

// What was seen on a connection does not count on another: that may lead to another server.
func TestWhoWaitsCountsOnOneConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	wire := wireTo(t, server.Addr())
	n := open(t, wire.url())
	w := feedLease(n, time.Minute).watch()
	defer func() {
		w.rest()
		_ = w.client.Close()
	}()
	if _, _, err := w.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.seen.since = w.seen.since.Add(-time.Minute) // it may take the lease now
	wire.cut()
	if _, _, err := w.once(t.Context()); err == nil {
		t.Fatal("no error without a connection")
	}
	if grant, _, err := w.once(t.Context()); grant != nil || err != nil {
		t.Errorf("it took the lease: %v, %v", grant, err)
	}
}

// With the settings that everybody has, what is released is taken within a second.
func TestAnOrderlyHandOverTakesLessThanASecond(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := []node{open(t, server.URL()), open(t, server.URL())}
	var longest time.Duration
	term := acquire(t, feedLease(nodes[0], 0))
	for round := range 6 {
		next := make(chan *Term)
		go func() { next <- acquire(t, feedLease(nodes[(round+1)%2], 0)) }()
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		term.Release(t.Context(), true)
		term = <-next
		longest = max(longest, time.Since(begin))
	}
	t.Logf("the longest hand-over took %v", longest)
	if longest > time.Second {
		t.Errorf("a hand-over took %v", longest)
	}
}

// On a slow link, to a server that has to be told each script, a term lasts.
func TestLeaseOnASlowLink(t *testing.T) {
	t.Parallel()
	const lasting = 1500 * time.Millisecond
	server := redistest.Start(t)
	w := wireTo(t, server.Addr())
	n := open(t, w.url())
	w.slow.Store(int64(50 * time.Millisecond)) // three times there and back is longer than a sixth of the lease
	for round := range 2 {
		term := acquire(t, n.Lease(LeaseConfig{Source: "feed", For: lasting, Topic: "prices"}))
		if round == 1 {
			if err := server.Client().ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-term.Done():
			t.Fatalf("round %d: the term is over", round)
		case <-time.After(2 * lasting):
		}
		term.Release(t.Context(), true)
	}
}
