package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/routesfile"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

const dedupeKey = "signalbox:dedupe:bot:bot:orders:enter:"

// ledger is the effects and the outcomes of several routers.
type ledger struct {
	mu       sync.Mutex
	effects  []string       // ids, in order
	outcomes map[string]int // "o-1 handled"
	verdicts []error        // of the next effects
	enter    chan string    // when not nil, told of each effect, which then waits for leave
	leave    chan struct{}
}

func (l *ledger) Handle(_ context.Context, event *router.Event) error {
	l.mu.Lock()
	l.effects = append(l.effects, event.ID)
	var verdict error
	if len(l.verdicts) > 0 {
		verdict, l.verdicts = l.verdicts[0], l.verdicts[1:]
	}
	l.mu.Unlock()
	if l.enter != nil {
		l.enter <- event.ID
		<-l.leave
	}
	return verdict
}

func (l *ledger) observe(o router.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outcomes == nil {
		l.outcomes = map[string]int{}
	}
	if o.Event != nil {
		l.outcomes[o.Event.ID+" "+string(o.Result)]++
	}
}

func (l *ledger) count(id string, result router.Result) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outcomes[id+" "+string(result)]
}

func (l *ledger) done() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.effects)
}

// await waits until an id has had so many outcomes of a sort.
func (l *ledger) await(t *testing.T, id string, result router.Result, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %s %d times", id, result, n), func() bool { return l.count(id, result) >= n })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

const dedupeRoutes = `
[service]
name  = "bot"
drain = "5s"

[redis]
url = "%s"

[channels.orders]
transport = "%s"
key_field = "order"

[[routes]]
name    = "enter"
channel = "orders"
type    = "enter"
handler = "ledger"
timeout = "1s"
%s
`

// kinds is the registry whose one kind is this ledger.
func (l *ledger) kinds() *router.Registry {
	return router.NewRegistry(router.Kind[struct{}]{Name: "ledger", New: func(router.Env, struct{}) (router.Handler, error) { return l, nil }})
}

func dedupeFile(t *testing.T, url, transport, policy string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, dedupeRoutes, url, transport, policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runDeduped runs a router as a process would, until the test ends.
func runDeduped(t *testing.T, l *ledger, url, transport, policy string) {
	t.Helper()
	source := routesfile.Source{Paths: []string{dedupeFile(t, url, transport, policy)}}
	runUntilEnd(t, Options{Source: source, Kinds: l.kinds(), Observe: l.observe})
}

// runUntilEnd runs a router until the test ends, and returns when it is ready.
func runUntilEnd(t *testing.T, opts Options) {
	t.Helper()
	log := &readyLog{Writer: t.Output(), ready: make(chan struct{})}
	opts.Stderr = log
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-log.ready:
	case <-time.After(patience):
		t.Fatal("the router is not ready")
	}
}

// readyLog is a log that notices when the router says that it is ready.
type readyLog struct {
	io.Writer
	once  sync.Once
	ready chan struct{}
}

func (l *readyLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("msg=ready")) {
		l.once.Do(func() { close(l.ready) })
	}
	return l.Writer.Write(line)
}

// One id, sent again and again to two routers of one group, has one effect.
func TestDedupeOnAStream(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{}
	for range 2 {
		runDeduped(t, l, server.URL(), "stream", `dedupe = "10m"`)
	}
	const ids, times = 50, 6
	for range times {
		for i := range ids {
			add(t, server, fmt.Sprintf(`{"id":"o-%d","type":"enter"}`, i))
		}
	}
	for i := range ids {
		id := fmt.Sprintf("o-%d", i)
		l.await(t, id, router.Duplicate, times-1)
		if n := l.count(id, router.Handled); n != 1 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
	if effects := l.done(); len(effects) != ids {
		t.Errorf("%d effects of %d ids", len(effects), ids)
	}
	eventually(t, "nothing is pending", func() bool { return pending(t, server) == 0 })
	if mark := server.Client().Get(t.Context(), dedupeKey+"o-0").Val(); mark != "done" {
		t.Errorf("the mark is %q", mark)
	}
}

// Two routers get every message of a Pub/Sub channel; one of them handles it.
func TestDedupeOnPubSub(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{}
	for range 2 {
		runDeduped(t, l, server.URL(), "pubsub", `dedupe = { window = "10m", by = "key" }`)
	}
	const keys = 50
	for i := range keys {
		for _, id := range []string{"first", "second"} {
			message := fmt.Sprintf(`{"id":"%d-%s","type":"enter","order":"%d"}`, i, id, i)
			if err := server.Client().Publish(t.Context(), "orders", message).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	total := func(result router.Result) (n int) {
		for i := range keys {
			n += l.count(fmt.Sprintf("%d-first", i), result) + l.count(fmt.Sprintf("%d-second", i), result)
		}
		return n
	}
	eventually(t, "each message is decided twice", func() bool { return total(router.Handled)+total(router.Duplicate) == 4*keys })
	if total(router.Handled) != keys || len(l.done()) != keys {
		t.Errorf("%d handled, %d effects of %d keys", total(router.Handled), len(l.done()), keys)
	}
}

// victimEnv makes the test binary a router, of this file, whose handler says that it
// has begun and never ends, for tests that kill it.
const victimEnv = "SIGNALBOX_TEST_VICTIM"

func victim(file string) {
	l := &ledger{enter: make(chan string)}
	go func() { fmt.Println(<-l.enter) }()
	go func() { // the test has gone, however it went
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	err := Run(context.Background(), Options{Source: routesfile.Source{Paths: []string{file}}, Kinds: l.kinds(), Stderr: io.Discard})
	panic(err)
}

// A router that is killed between its lease and its success leaves the event to
// others: one of them takes it over, and handles it when the lease has ended.
func TestDedupeAfterAKill(t *testing.T) {
	t.Parallel() // a lease takes its time
	server := redistest.Start(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dead := exec.CommandContext(t.Context(), program)
	dead.Env = append(os.Environ(), victimEnv+"="+dedupeFile(t, server.URL(), "stream", `dedupe = "10m"`))
	begun, err := dead.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.StdinPipe(); err != nil { // open as long as the test lives
		t.Fatal(err)
	}
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	add(t, server, `{"id":"o-1","type":"enter"}`)
	if line, err := bufio.NewReader(begun).ReadString('\n'); line != "o-1\n" {
		t.Fatal(line, err)
	}
	_ = dead.Process.Kill()
	_ = dead.Wait()
	lease := server.Client().PTTL(t.Context(), dedupeKey+"o-1").Val()
	begin := time.Now()
	if lease < time.Second {
		t.Fatalf("the dead router left a lease of %v", lease)
	}

	l := &ledger{}
	runDeduped(t, l, server.URL(), "stream", `dedupe = "10m"`)
	l.await(t, "o-1", router.Handled, 1)
	if waited := time.Since(begin); waited < lease-time.Second || len(l.done()) != 1 {
		t.Errorf("handled after %v of %v, %d times", waited, lease, len(l.done()))
	}
	eventually(t, "nothing is pending", func() bool { return pending(t, server) == 0 })
}

// The same, of a lease that nobody holds any more.
func TestDedupeAfterALease(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	l := &ledger{}
	begin := time.Now()
	const lease = 2 * time.Second
	if err := client.Set(t.Context(), dedupeKey+"o-1", "lease:dead", lease).Err(); err != nil {
		t.Fatal(err)
	}
	// A dead consumer of the group has it pending.
	if err := client.XGroupCreateMkStream(t.Context(), "orders", "bot", "0").Err(); err != nil {
		t.Fatal(err)
	}
	add(t, server, `{"id":"o-1","type":"enter"}`)
	if err := client.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "bot", Consumer: "signalbox-dead-1-0", Streams: []string{"orders", ">"}}).Err(); err != nil {
		t.Fatal(err)
	}
	runDeduped(t, l, server.URL(), "stream", `dedupe = "10m"`)
	l.await(t, "o-1", router.Handled, 1)
	if waited := time.Since(begin); waited < lease || len(l.done()) != 1 {
		t.Errorf("handled after %v, %d times", waited, len(l.done()))
	}
	eventually(t, "nothing is pending", func() bool { return pending(t, server) == 0 })
}

// While a router of the group handles an event, its copy waits, here or there.
func TestDedupeBetweenRouters(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{enter: make(chan string), leave: make(chan struct{})}
	for range 2 {
		runDeduped(t, l, server.URL(), "stream", "dedupe = \"10m\"\nworkers = 4")
	}
	add(t, server, `{"id":"o-1","type":"enter"}`)
	add(t, server, `{"id":"o-1","type":"enter"}`)
	<-l.enter
	key := dedupeKey + "o-1"
	eventually(t, "it is held", func() bool {
		return strings.HasPrefix(server.Client().Get(t.Context(), key).Val(), "lease:")
	})
	select {
	case id := <-l.enter:
		t.Fatalf("%s has a second effect while the first lasts", id)
	case <-time.After(300 * time.Millisecond):
	}
	l.leave <- struct{}{}
	l.await(t, "o-1", router.Duplicate, 1)
	if got := l.done(); len(got) != 1 {
		t.Errorf("effects %v", got)
	}
}

// What failed for good may come again.
func TestDedupeAfterGivingUp(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{verdicts: []error{errors.New("refused"), errors.New("refused"), nil}}
	runDeduped(t, l, server.URL(), "stream", "dedupe = \"10m\"\nretry = { attempts = 2, backoff = \"10ms\" }")
	add(t, server, `{"id":"o-1","type":"enter"}`)
	l.await(t, "o-1", router.Failed, 1)
	if n := server.Client().Exists(t.Context(), dedupeKey+"o-1").Val(); n != 0 {
		t.Error("the lease is still there")
	}
	add(t, server, `{"id":"o-1","type":"enter"}`)
	l.await(t, "o-1", router.Handled, 1)
	add(t, server, `{"id":"o-1","type":"enter"}`)
	l.await(t, "o-1", router.Duplicate, 1)
	if got := l.done(); len(got) != 3 {
		t.Errorf("effects %v", got)
	}
}

// With a Redis that takes no marks nothing is handled and nothing is lost; when it does
// again, everything is handled.
func TestDedupeRefused(t *testing.T) {
	server := redistest.Start(t)
	l := &ledger{}
	runDeduped(t, l, server.URL(), "stream", `dedupe = "10m"`)
	add(t, server, `{"id":"o-1","type":"enter"}`)
	l.await(t, "o-1", router.Handled, 1)

	limit(t, server, "-set")
	add(t, server, `{"id":"o-3","type":"enter"}`)
	l.await(t, "o-3", router.Retried, 3)
	if got := l.done(); len(got) != 1 || pending(t, server) != 1 {
		t.Errorf("effects %v, %d pending", got, pending(t, server))
	}
	limit(t, server, "+set")
	l.await(t, "o-3", router.Handled, 1)
	eventually(t, "nothing is pending", func() bool { return pending(t, server) == 0 })
}

// limit changes what the router's user may do.
func limit(t *testing.T, server *redistest.Server, rule string) {
	t.Helper()
	if err := server.Client().Do(t.Context(), "ACL", "SETUSER", "default", rule).Err(); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, server *redistest.Server, message string) {
	t.Helper()
	if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: "orders", Values: []string{"data", message}}).Err(); err != nil {
		t.Fatal(err)
	}
}

func pending(t *testing.T, server *redistest.Server) int64 {
	t.Helper()
	p, err := server.Client().XPending(t.Context(), "orders", "bot").Result()
	if err != nil {
		t.Fatal(err)
	}
	return p.Count
}
