//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// redisFaults are what Redis itself may do.
func redisFaults() []fault {
	return []fault{
		{number: "2", name: "eviction", run: evicted},
		{number: "16", name: "redis_killed_aof_everysec", run: func(r *round) { r.redisKilled(false) }},
		{number: "16", name: "redis_killed_aof_tail_cut", run: func(r *round) { r.redisKilled(true) }},
		{number: "24", name: "redis_stopped_5s", large: true, run: func(r *round) { r.redisStopped(5 * time.Second) }},
		{number: "24", name: "redis_stopped_30s", large: true, run: func(r *round) { r.redisStopped(30 * time.Second) }},
		{number: "24", name: "redis_stopped_60s", large: true, run: func(r *round) { r.redisStopped(60 * time.Second) }},
		{number: "25", name: "client_kill", run: clientsKilled},
		{number: "25", name: "acl_changed", run: aclChanged},
		{number: "25", name: "password_rotated", run: passwordRotated},
		{number: "26", name: "reply_oom", run: func(r *round) {
			r.refused("OOM", nil, r.configured("maxmemory", "1mb", "0"))
		}},
		{number: "26", name: "reply_readonly", run: func(r *round) {
			r.refused("READONLY", nil, r.replica)
		}},
		{number: "26", name: "reply_masterdown", run: func(r *round) {
			r.refused("MASTERDOWN", redistest.Args("--replica-serve-stale-data", "no"), r.replica)
		}},
		{number: "26", name: "reply_noreplicas", run: func(r *round) {
			r.refused("NOREPLICAS", nil, r.configured("min-replicas-to-write", "1", "0"))
		}},
		{number: "26", name: "reply_misconf", run: func(r *round) {
			r.refused("MISCONF", redistest.Args("--dbfilename", "taken"), r.misconfigured)
		}},
		{number: "26", name: "reply_busy", run: func(r *round) {
			r.refused("BUSY", redistest.Args("--busy-reply-threshold", "10"), r.busy)
		}},
		{number: "26", name: "reply_loading", run: func(r *round) {
			r.refused("LOADING", redistest.Args("--appendonly", "yes", "--appendfsync", "always",
				"--loading-process-events-interval-bytes", "1024", "--enable-debug-command", "yes"), r.loading)
		}},
	}
}

// do runs a command that has to succeed.
func (r *round) do(args ...any) {
	r.Helper()
	if err := r.server.Client().Do(context.Background(), args...).Err(); err != nil {
		r.Fatalf("%v: %v", args, err)
	}
}

// evicted fills Redis until it evicts the stream, which has everything that was not
// handled yet.
func evicted(r *round) {
	ctx := context.Background()
	r.serve()
	r.within = 5 * time.Second
	p := r.router(config{})
	stop := r.load(500)
	r.awaitHandled(100)
	r.do("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "3mb")
	junk := strings.Repeat("x", 50_000)
	for i := 0; i < 10_000 && !p.logged(noGroup); i++ {
		_ = r.server.Client().Set(ctx, fmt.Sprint("junk", i), junk, 0).Err()
	}
	r.happened(p, noGroup)
	r.do("CONFIG", "SET", "maxmemory", "0")
	r.mend()
	r.repeats = r.producer.events()
	stop()
	r.settle()
}

// redisKilled kills Redis, which may come back without what it acknowledged last.
func (r *round) redisKilled(cut bool) {
	r.serve(redistest.Args("--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes"))
	c := config{handler: `sleep = "1ms"`}
	r.router(c)
	r.router(c)
	stop := r.load(300)
	r.awaitHandled(r.between(100, 400))
	r.server.Kill()
	if cut {
		r.cutTail()
	}
	r.server.Restart()
	r.mend()
	r.repeats = r.producer.events()                // acknowledgements may be gone as well
	time.Sleep(r.lasting(0, 500*time.Millisecond)) // some more events
	stop()
	r.settle()
}

// cutTail cuts the last bytes off the append-only file.
func (r *round) cutTail() {
	files, err := filepath.Glob(filepath.Join(r.server.Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		r.Fatalf("append-only files: %v %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		r.Fatal(err)
	}
	keep := info.Size() - int64(r.between(1, int(info.Size()/3)))
	if err := os.Truncate(files[0], keep); err != nil {
		r.Fatal(err)
	}
}

// redisStopped has Redis answer nothing for a while.
func (r *round) redisStopped(lasting time.Duration) {
	const inFlight = 128
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "1ms"`}
	r.repeats = 2 * inFlight
	r.router(c)
	r.router(c)
	stop := r.load(200)
	r.awaitHandled(100)
	r.server.Pause()
	r.Cleanup(r.server.Resume)
	time.Sleep(lasting) // how long the fault lasts
	r.server.Resume()
	r.mend()
	stop()
	r.settle()
}

// clientsKilled ends all connections of the routers, again and again.
func clientsKilled(r *round) {
	r.serve()
	c := config{channel: `claim_after = "24h"`, handler: `sleep = "500us"`}
	r.router(c)
	r.router(c)
	stop := r.load(1000)
	for range r.between(3, 10) {
		r.awaitHandled(r.done() + 20)
		clients, err := r.server.Client().ClientList(context.Background()).Result()
		if err != nil {
			r.Fatal(err)
		}
		for line := range strings.Lines(clients) {
			if id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " "); strings.Contains(line, "name=signalbox:") {
				_ = r.server.Client().Do(context.Background(), "CLIENT", "KILL", "ID", id).Err() // it may be gone
			}
		}
	}
	r.mend()
	stop()
	r.settle()
}

// user makes a Redis user that routers log in as.
func (r *round) user() (env string) {
	r.do("ACL", "SETUSER", "bot", "on", ">old", "~*", "&*", "+@all")
	return "SIGNALBOX_REDIS__URL=redis://bot:old@" + r.server.Addr() + "/0"
}

// aclChanged takes permissions away for a while.
func aclChanged(r *round) {
	const inFlight = 128
	r.serve()
	r.repeats = inFlight // without XACK or the alive mark others take over
	c := config{channel: fmt.Sprint("in_flight = ", inFlight)}
	env := r.user()
	r.router(c, env)
	stop := r.load(500)
	r.awaitHandled(100)
	for _, less := range [][]any{{"-xack"}, {"-xreadgroup"}, {"-pexpire", "-set"}, {"-@all"}, {"resetkeys"}} {
		r.do(append([]any{"ACL", "SETUSER", "bot"}, less...)...)
		time.Sleep(r.lasting(100*time.Millisecond, 500*time.Millisecond)) // how long the fault lasts
		r.do("ACL", "SETUSER", "bot", "+@all", "~*")
	}
	r.mend()
	stop()
	r.settle()
}

// passwordRotated changes the password, ends all connections, and changes it back.
func passwordRotated(r *round) {
	r.serve()
	env := r.user()
	r.router(config{}, env)
	stop := r.load(500)
	r.awaitHandled(100)
	r.do("ACL", "SETUSER", "bot", "resetpass", ">new")
	r.do("CLIENT", "KILL", "USER", "bot")
	time.Sleep(r.lasting(time.Second, 2*time.Second)) // how long the fault lasts
	r.do("ACL", "SETUSER", "bot", "resetpass", ">old")
	r.mend()
	stop()
	r.settle()
}

// breaks makes Redis refuse commands, and returns what mends it.
type breaks func() (mend func())

// refused has Redis answer with errors for a while. The errors are real: each is what
// Redis 7 says in the state that it is put into.
func (r *round) refused(code string, option redistest.Option, fail breaks) {
	if option == nil {
		r.serve()
	} else {
		r.serve(option)
	}
	const inFlight = 128
	r.repeats = inFlight
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "1ms"`}
	r.router(c)
	r.producer.add(context.Background(), make([]string, 1000)...)
	r.awaitHandled(r.between(100, 300))
	mend := fail()
	seen := false
	for end := time.Now().Add(r.lasting(time.Second, 2*time.Second)); time.Now().Before(end); {
		stats, err := r.server.Client().Info(context.Background(), "errorstats").Result()
		seen = seen || err == nil && strings.Contains(stats, "errorstat_"+code+":") || redis.HasErrorPrefix(err, code)
		r.producer.add(context.Background(), make([]string, 10)...)
		time.Sleep(20 * time.Millisecond) // a steady load
	}
	mend()
	if stats, _ := r.server.Client().Info(context.Background(), "errorstats").Result(); !seen && !strings.Contains(stats, "errorstat_"+code+":") {
		r.Fatalf("nobody was refused with %s: the fault did not happen\n%s", code, stats)
	}
	r.mend()
	r.producer.add(context.Background(), make([]string, 100)...)
	r.settle()
}

// configured sets a parameter, and back.
func (r *round) configured(parameter, bad, good string) breaks {
	return func() func() {
		r.do("CONFIG", "SET", parameter, bad)
		return func() { r.do("CONFIG", "SET", parameter, good) }
	}
}

// replica makes the server the replica of one that is not there.
func (r *round) replica() func() {
	r.do("REPLICAOF", "127.0.0.1", "1")
	return func() { r.do("REPLICAOF", "NO", "ONE") }
}

// misconfigured makes a snapshot fail, after which Redis refuses writes.
func (r *round) misconfigured() func() {
	if err := os.MkdirAll(filepath.Join(r.server.Dir(), "taken", "by a folder"), 0o700); err != nil {
		r.Fatal(err)
	}
	r.do("CONFIG", "SET", "save", "3600 1")
	r.do("BGSAVE")
	eventually(r, "the snapshot fails", func() bool {
		info, err := r.server.Client().Info(context.Background(), "persistence").Result()
		return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
	})
	return func() { r.do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no") }
}

// busy runs a script without end.
func (r *round) busy() func() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.server.Client().Eval(context.Background(), "while true do end", nil).Err()
	}()
	return func() {
		for {
			_ = r.server.Client().Do(context.Background(), "SCRIPT", "KILL").Err()
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// loading has Redis read its append-only file again, slowly.
func (r *round) loading() func() {
	r.do("CONFIG", "SET", "key-load-delay", "1000") // µs for each command of the file
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.server.Client().Do(context.Background(), "DEBUG", "LOADAOF").Err()
	}()
	return func() {
		<-ended
		r.do("CONFIG", "SET", "key-load-delay", "0")
	}
}
