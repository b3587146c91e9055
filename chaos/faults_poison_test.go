//go:build failpoints

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// poisonFaults are events that harm whoever handles them.
func poisonFaults() []fault {
	return []fault{
		{number: "4", name: "dead_letter_refused", run: deadRefused},
		{number: "19", name: "poisoned_stream", run: poisoned},
		{number: "19", name: "memory_eaten", run: memoryEaten},
		{number: "31", name: "hostile_envelopes", run: hostile},
	}
}

// deadRefused: dead letters cannot be written. What is not handled stays pending until
// they can.
func deadRefused(r *round) {
	r.serve()
	env := r.user()
	p := r.router(config{channel: "in_flight = 4", handler: `sleep = "2ms"`}, env)
	r.producer.add(context.Background(), r.some(600, 5, "permanent")...)
	r.awaitHandled(r.between(1, 100))
	dead := topic + ".dead"
	mend := one(r,
		func() func() { // the key is something else
			client, ctx, saved := r.server.Client(), context.Background(), dead+".saved"
			swap := func(change func(redis.Pipeliner)) {
				_, _ = client.TxPipelined(ctx, func(p redis.Pipeliner) error { // RENAME fails when there was none yet
					change(p)
					return nil
				})
			}
			swap(func(p redis.Pipeliner) { p.Rename(ctx, dead, saved); p.Set(ctx, dead, "x", 0) })
			return func() { swap(func(p redis.Pipeliner) { p.Del(ctx, dead); p.Rename(ctx, saved, dead) }) }
		},
		func() func() { // it may not write there
			r.do("ACL", "SETUSER", "bot", "-xadd")
			return func() { r.do("ACL", "SETUSER", "bot", "+xadd") }
		},
		func() func() { // there is no memory left
			r.do("CONFIG", "SET", "maxmemory", "1mb")
			return func() { r.do("CONFIG", "SET", "maxmemory", "0") }
		},
	)()
	refusal := "dead letters cannot be written; their events wait"
	if r.broken != "" {
		r.awaitHandled(r.done() + 200)
	} else {
		eventually(r, "a dead letter is refused", func() bool { return p.logged(refusal) })
	}
	mend()
	r.mend()
	r.settle()
}

// poisoned: some events panic, end the goroutine, hang or fail for good, and some are
// no events. All others are handled, in order, and another channel does not notice.
// Once nothing does any harm, the dead letters are replayed.
func poisoned(r *round) {
	ctx := context.Background()
	r.serve()
	do := r.some(400, 4, "panic", "exit", "hang", "permanent")
	hangs := 0
	for _, what := range do {
		if what == "hang" {
			hangs++
		}
	}
	r.within += time.Duration(hangs) * 1500 * time.Millisecond // a second each until it is left behind
	tame := filepath.Join(r.dir, "tame")
	p := r.router(config{handler: fmt.Sprintf("tame = %q", tame), route: `timeout = "50ms"`, rest: r.beside()})
	delete(r.idle, p) // goroutines that hang are left behind
	stop := r.loadOf(r.other, 500)
	r.producer.add(ctx, do[:200]...)
	malformed := r.between(1, 8)
	if err := r.producer.addRaw(ctx, slices.Repeat([][]byte{[]byte(`{"type":`)}, malformed)...); err != nil {
		r.Fatal(err)
	}
	r.producer.add(ctx, do[200:]...)
	r.mend()
	r.settle()
	r.throughput()
	stop()
	eventually(r, "the other channel is done", func() bool { return r.doneOf('q') == r.other.events() })
	r.inOrder()
	r.letters(do, malformed)
	if err := os.WriteFile(tame, nil, 0o600); err != nil {
		r.Fatal(err)
	}
	eventually(r, "handlers that hung return", func() bool { return r.open() == 0 })
	for _, reason := range []string{"panic", "permanent", "timeout"} {
		p.command("dead", "replay", "work", "--reason", reason, "--yes")
	}
	r.mend()
	r.settle()
	if !within(r.within, func() bool { return r.doneOf('p') == r.producer.events() }) {
		r.violate("replay", "%d of %d events are handled after a replay", r.doneOf('p'), r.producer.events())
	}
}

// memoryEaten: an event makes its handler take more and more memory, until the process is
// killed for that. It is given up, and all others are handled.
func memoryEaten(r *round) {
	const inFlight, deaths, limit = 32, 2, 600 << 20
	r.serve()
	timeout, reason := "0s", "crash_loop" // nothing ends the handler, and each process dies of it
	if r.rand.IntN(2) == 0 {
		timeout, reason = "200ms", "timeout" // it is given up, but eats on until the process dies
	}
	c := config{
		channel: fmt.Sprint("max_deliveries = ", deaths, "\nin_flight = ", inFlight),
		route:   fmt.Sprintf("timeout = %q", timeout), rest: r.beside(),
	}
	r.repeats = deaths * 2 * (inFlight + unacknowledged)
	do := make([]string, r.between(50, 100))
	at := r.rand.IntN(len(do))
	do[at] = "eat"
	r.producer.add(context.Background(), do...)
	stop := r.loadOf(r.other, 200)
	for died := 0; ; died++ {
		p := r.launch(c)
		p.limitMemory(limit)
		if died == deaths || reason == "timeout" && died == 1 {
			break
		}
		r.awaitDeath(p)
	}
	r.mend()
	r.settle()
	stop()
	eventually(r, "the other channel is done", func() bool { return r.doneOf('q') >= r.other.events() })
	id, _ := r.producer.message(at, "eat")
	if dead := r.dead(); len(dead) != 1 || dead[0] != (letter{id, reason}) {
		r.violate("letters", "want one dead letter for %s, because of %s; got %+v", id, reason, dead)
	}
}

// open counts the effects that have begun and not ended.
func (r *round) open() (n int) {
	for _, of := range r.effects() {
		for _, e := range of {
			if e.end.IsZero() {
				n++
			}
		}
	}
	return n
}

// throughput checks that the other channel has kept up.
func (r *round) throughput() {
	r.Helper()
	sent := r.other.events()
	if done := r.doneOf('q'); done*10 < sent*9 {
		r.violate("throughput", "the other channel handled %d of %d events meanwhile", done, sent)
	}
}

// inOrder checks that events were begun in the order in which they were sent.
func (r *round) inOrder() {
	r.Helper()
	var at time.Time
	effects := r.effects()
	for n := range r.producer.events() {
		id, _ := r.producer.message(n, "")
		of := effects[id]
		if len(of) == 0 {
			continue
		}
		if of[0].begin.Before(at) {
			r.violate("order", "%s began before the one before it", id)
			return
		}
		at = of[0].begin
	}
}

// letters checks that what could not be handled is kept, for the right reason.
func (r *round) letters(do []string, malformed int) {
	r.Helper()
	reasons := map[string]string{"panic": "panic", "exit": "panic", "hang": "timeout", "permanent": "permanent"}
	want := map[letter]int{}
	for n, what := range do {
		if what != "" {
			id, _ := r.producer.message(n, "")
			want[letter{id, reasons[what]}]++
		}
	}
	if malformed > 0 {
		want[letter{"", "malformed"}] = malformed
	}
	got := map[letter]int{}
	for _, l := range r.dead() {
		got[l]++
	}
	for l, n := range want {
		if got[l] != n {
			r.violate("letters", "%d dead letters %+v, want %d", got[l], l, n)
		}
	}
	for l, n := range got {
		if want[l] == 0 {
			r.violate("letters", "%d dead letters %+v, want none", n, l)
		}
	}
}

// hostile: messages that are made to harm stand among good ones. The good ones are
// handled, the others are kept as they are.
func hostile(r *round) {
	ctx := context.Background()
	megabytes := 8
	if *large {
		megabytes = 64
	}
	deep := 100_000
	bad := [][]byte{
		[]byte("{\"type\":\"work\",\"data\":\"\xff\xfe\"}"),
		[]byte(`{"type":"work","type":"other"}`),
		[]byte(`{"type":"work","data":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}`),
		append(append([]byte(`{"type":"work","data":"`), bytes.Repeat([]byte("x"), megabytes<<20)...), `"}`...),
		[]byte(`{"type":"work"} {"type":"work"}`),
		[]byte(`{"type":"work"`),
		[]byte(`[{"type":"work"}]`),
		[]byte(`{"type":7}`),
		[]byte(``),
		[]byte("\x00"),
		[]byte(`{"type":"work","data":NaN}`),
	}
	r.serve()
	r.router(config{})
	r.rand.Shuffle(len(bad), func(i, j int) { bad[i], bad[j] = bad[j], bad[i] })
	for _, message := range bad {
		r.producer.add(ctx, make([]string, r.between(1, 30))...)
		if err := r.producer.addRaw(ctx, message); err != nil {
			r.Fatal(err)
		}
	}
	// Type is not type: this one is good.
	id, good := r.producer.message(1_000_000, "")
	good = bytes.Replace(good, []byte("{"), []byte(`{"Type":"none","TYPE":7,`), 1)
	if err := r.producer.addRaw(ctx, good); err != nil {
		r.Fatal(err)
	}
	r.producer.sent[id] = sent{acknowledged: true}
	r.producer.add(ctx, make([]string, 30)...)
	r.settle()
	if of := r.effects()[id]; !handled(of) {
		r.violate("I1", "%s, which has Type beside type, was not handled", id)
	}
	kept, err := r.server.Client().XRange(ctx, topic+".dead", "-", "+").Result()
	if err != nil {
		r.Fatal(err)
	}
	for _, message := range bad {
		there := slices.ContainsFunc(kept, func(e redis.XMessage) bool { return e.Values["payload"] == string(message) })
		if !there {
			r.violate("letters", "a hostile message is not kept as it was: %.60q", message)
		}
	}
}
