//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// claimFaults are about who owns an entry, and for how long.
func claimFaults() []fault {
	return []fault{
		{number: "5", name: "handler_slower_than_claim_after", run: slowHandler},
		{number: "6", name: "batch_ages_in_the_queue", run: agingBatch},
		{number: "8", name: "pending_of_a_foreign_consumer", run: foreignPending},
		{number: "15", name: "owner_paused", run: ownerPaused},
		{number: "17", name: "pending_entries_trimmed", run: pendingTrimmed},
	}
}

// slowHandler: each event takes more than three times as long as the others wait
// until they claim.
func slowHandler(r *round) {
	r.serve()
	c := config{channel: `claim_after = "1s"`, handler: `sleep = "3500ms"`, route: "workers = 8"}
	r.router(c)
	r.router(c)
	r.producer.add(context.Background(), make([]string, r.between(4, 16))...)
	r.settle()
}

// agingBatch: a router reads many events at once and handles them one by one; the last
// waits for longer than the others wait until they claim.
func agingBatch(r *round) {
	r.serve()
	c := config{channel: "claim_after = \"1s\"\nin_flight = 64", handler: fmt.Sprintf("sleep = \"%dms\"", r.between(50, 80))}
	r.router(c)
	r.router(c)
	r.producer.add(context.Background(), make([]string, 120)...)
	r.settle()
}

// foreignPending: a consumer that is no Signalbox process has left 10,000 entries; the
// first 200 it still works on.
func foreignPending(r *round) {
	const all, busy = 10_000, 200
	ctx := context.Background()
	r.serve()
	client := r.server.Client()
	r.producer.add(ctx, make([]string, all)...)
	if err := client.XGroupCreate(ctx, topic, "chaos", "0").Err(); err != nil {
		r.Fatal(err)
	}
	read, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "chaos", Consumer: "python", Streams: []string{topic, ">"}, Count: all}).Result()
	if err != nil || len(read[0].Messages) != all {
		r.Fatalf("read %d: %v", len(read), err)
	}
	first := make([]string, busy)
	for i := range first {
		first[i] = read[0].Messages[i].ID
	}
	stay := func() { // keep them young, as a consumer would that still works on them
		args := &redis.XClaimArgs{Stream: topic, Group: "chaos", Consumer: "python", Messages: first}
		if err := client.XClaimJustID(ctx, args).Err(); err != nil {
			r.Fatal(err)
		}
	}
	r.router(config{channel: "claim_after = \"2s\"\nin_flight = 512"})
	stay()
	r.mend()
	left := func() int64 {
		stay()
		g, _ := r.group()
		return g.Pending
	}
	if !within(r.within, func() bool { return left() == busy }) {
		r.violate("I7", "%d entries are pending after %v, want only the %d that are not idle", left(), r.within, busy)
	}
	r.recovery = time.Since(r.mended)
	if n := r.done(); n != all-busy {
		r.violate("I1", "%d events are handled, want %d", n, all-busy)
	}
	if err := client.XAck(ctx, topic, "chaos", first...).Err(); err != nil {
		r.Fatal(err)
	}
	for _, e := range read[0].Messages[:busy] { // the foreign consumer has handled them
		client.XDel(ctx, topic, e.ID)
	}
}

// ownerPaused: a router stops for longer than its alive mark lasts, another one does
// its work, and it goes on.
func ownerPaused(r *round) {
	const inFlight = 64
	r.serve()
	c := config{channel: fmt.Sprint("claim_after = \"2s\"\nin_flight = ", inFlight), handler: `sleep = "20ms"`}
	r.repeats = inFlight // what its routes had taken over
	owner := r.router(c)
	r.router(c)
	stop := r.load(150)
	r.awaitHandled(r.between(50, 150))
	owner.paused = true
	owner.signal(syscall.SIGSTOP)
	r.mend()
	r.Cleanup(func() { owner.signal(syscall.SIGCONT) })
	eventually(r, "the owner's entries are taken over", func() bool {
		consumers, err := r.server.Client().XInfoConsumers(context.Background(), topic, "chaos").Result()
		if err != nil {
			return false
		}
		for _, c := range consumers {
			if c.Pending > 0 && strings.Contains(c.Name, fmt.Sprintf("-%d-", owner.cmd.Process.Pid)) {
				return false
			}
		}
		return true
	})
	if g, _ := r.group(); g.Pending == 0 {
		r.Fatal("nothing is pending: the fault did not happen")
	}
	owner.signal(syscall.SIGCONT)
	stop()
	r.settle()
}

// pendingTrimmed: a router dies with entries pending, and they are trimmed before
// another one takes over.
func pendingTrimmed(r *round) {
	const inFlight = 100
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "100ms"`, route: "workers = 4"}
	r.repeats = inFlight
	victim := r.router(c)
	r.producer.add(context.Background(), make([]string, r.between(50, inFlight))...)
	r.awaitHandled(r.between(1, 40))
	victim.kill()
	r.mend()
	pending, err := r.server.Client().XPendingExt(context.Background(), &redis.XPendingExtArgs{
		Stream: topic, Group: "chaos", Start: "-", End: "+", Count: inFlight,
	}).Result()
	if err != nil || len(pending) == 0 {
		r.Fatalf("%d entries are pending, so the fault did not happen: %v", len(pending), err)
	}
	kept := r.between(0, min(20, len(pending)-1))
	r.within += time.Duration(kept) * 100 * time.Millisecond // handled one at a time
	if err := r.server.Client().XTrimMaxLen(context.Background(), topic, int64(kept)).Err(); err != nil {
		r.Fatal(err)
	}
	gone := len(pending) - kept // those of them that are the oldest
	heir := r.router(c)
	r.producer.add(context.Background(), make([]string, 10)...)
	r.settle()
	told := func() (n int) {
		for _, l := range heir.lines("pending stream entries were trimmed before they could be delivered") {
			n += l.Events
		}
		return n
	}
	within(5*time.Second, func() bool { return told() >= gone })
	heir.terminate()
	if s, _ := heir.summary(); told() != gone || s.Lost != gone {
		r.violate("X", "%d pending events were trimmed, told: %d, counted: %d", gone, told(), s.Lost)
	}
	r.told = gone
}
