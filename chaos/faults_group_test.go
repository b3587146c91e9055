//go:build failpoints

package chaos

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// groupFaults take away what Redis keeps.
func groupFaults() []fault {
	ctx := context.Background()
	return []fault{
		{number: "2", name: "flushall", run: func(r *round) { r.wiped(func(p redis.Pipeliner) { p.FlushAll(ctx) }) }},
		{number: "2", name: "del_stream", run: func(r *round) { r.wiped(func(p redis.Pipeliner) { p.Del(ctx, topic) }) }},
		{number: "2", name: "xgroup_destroy", run: func(r *round) { r.wiped(func(p redis.Pipeliner) { p.XGroupDestroy(ctx, topic, "chaos") }) }},
	}
}

// wiped takes stream or group away under load, and adds events at once: they are there
// before anybody can make the group again.
func (r *round) wiped(wipe func(redis.Pipeliner)) {
	r.serve()
	r.within = 5 * time.Second
	a := r.router(config{})
	b := r.router(config{})
	stop := r.load(1000)
	r.awaitHandled(r.between(200, 600))
	r.producer.addAfter(context.Background(), wipe, 20)
	r.mend()
	r.repeats = r.producer.events() // a group that is made again at the beginning reads what is left again
	stop()
	r.settle()
	if !b.logged(noGroup) { // one of them is the first to notice, and may make it before the other does
		r.happened(a, noGroup)
	}
	for _, p := range []*proc{a, b} {
		lines := p.lines(noGroup)
		if seconds := time.Since(r.mended).Seconds(); float64(len(lines)) > seconds+2 {
			r.violate("log", "%s: %d lines in %.0f s", p.name, len(lines), seconds)
		}
	}
}
