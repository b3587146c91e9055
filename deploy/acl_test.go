package deploy

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

const (
	user     = "signalbox"
	operator = "signalbox-operator"
)

var allowed = []string{
	"PING",
	"HELLO 3",
	"SELECT 1",
	"TIME",
	"CLIENT SETNAME signalbox:router",
	"CLIENT GETNAME",
	"CLIENT ID",
	"CLIENT UNBLOCK 7",
	"SUBSCRIBE price_data",
	"UNSUBSCRIBE price_data",
	"PSUBSCRIBE *",
	"PUNSUBSCRIBE *",
	"PUBLISH bot_status {}",
	"PUBSUB NUMSUB price_data",
	"PUBSUB NUMPAT",
	"XADD trade_commands * payload {}",
	"XADD trade_commands MAXLEN ~ 100000 * payload {}",
	"XADD trade_commands.dead * payload {}",
	"XREAD COUNT 1 STREAMS trade_commands 0",
	"XREADGROUP GROUP router c COUNT 256 BLOCK 1000 STREAMS trade_commands >",
	"XACK trade_commands router 1-1 1-2",
	"XCLAIM trade_commands router c 0 1-1 JUSTID",
	"XAUTOCLAIM trade_commands router c 60000 0 COUNT 100",
	"XPENDING trade_commands router",
	"XPENDING trade_commands router - + 10 c",
	"XINFO STREAM trade_commands",
	"XINFO GROUPS trade_commands",
	"XINFO CONSUMERS trade_commands router",
	"XGROUP CREATE trade_commands router 0 MKSTREAM",
	"XGROUP CREATE trade_commands router 0 MKSTREAM ENTRIESREAD 5",
	"SET signalbox:routes:trade_commands:router hash EX 60 GET",
	"GET signalbox:trimmed:trade_commands:router",
	"SET signalbox:trimmed:trade_commands:router 5 GET",
	"DEL signalbox:trimmed:trade_commands:router",
	"XLEN trade_commands",
	"TYPE trade_commands",
	"INFO persistence",
	"XRANGE trade_commands - + COUNT 1",
	"XREVRANGE trade_commands + - COUNT 1",
	"GET signalbox:alive:router:c",
	"MGET signalbox:alive:router:c signalbox:alive:router:d",
	"EXISTS signalbox:alive:router:c",
	"PTTL signalbox:alive:router:c",
	"SET signalbox:alive:router:c 1 PX 3000",
	"PEXPIRE signalbox:alive:router:c 3000",
	"EXPIRE signalbox:alive:router:c 3",
	"DEL signalbox:alive:router:c",
	"SET signalbox:dedupe:bot:bot:orders:enter:o-1 lease:token PX 40000 NX",
	"SET signalbox:dedupe:bot:bot:orders:enter:o-1 done EX 600",
	"GET signalbox:dedupe:bot:bot:orders:enter:o-1",
	"PEXPIRE signalbox:dedupe:bot:bot:orders:enter:o-1 40000",
	"DEL signalbox:dedupe:bot:bot:orders:enter:o-1",
	"SCRIPT LOAD x",
	"EVALSHA 0000000000000000000000000000000000000000 3 signalbox:latest:prices signalbox:latest.time:prices signalbox:latest.until:prices 1",
	"HSET signalbox:latest:prices BTCUSDT {}",
	"HGETALL signalbox:latest.time:prices",
	"ZADD signalbox:latest.until:prices 1 BTCUSDT",
	"HLEN signalbox:latest:prices",
	"ZCARD signalbox:latest.until:prices",
	"ZRANGE signalbox:latest.until:prices -1 -1 WITHSCORES",
	"PERSIST signalbox:latest:prices",
	"EVALSHA 0000000000000000000000000000000000000000 1 signalbox:lease:feed holder",
	"HMGET signalbox:lease:feed holder epoch",
	"HSET signalbox:lease:feed beat 2",
	"EVALSHA 0000000000000000000000000000000000000000 1 signalbox:connects:feed 20 600000",
	"LRANGE signalbox:connects:feed 0 19",
	"LPUSH signalbox:connects:feed 1",
	"RPUSH signalbox:connects:feed 1",
	"LTRIM signalbox:connects:feed 0 999",
	"PEXPIRE signalbox:connects:feed 600000",
	"PTTL signalbox:connects:feed",
	"DEL signalbox:connects:feed",
}

var denied = []string{
	// Other people's keys, and streams in ways that lose events.
	"SET trade_commands x",
	"DEL trade_commands",
	"DEL signalbox:alive:router:c trade_commands",
	"EXPIRE trade_commands 0",
	"PEXPIRE trade_commands 0",
	"UNLINK trade_commands",
	"RENAME trade_commands other",
	"COPY trade_commands other",
	"MOVE trade_commands 1",
	"PERSIST trade_commands",
	"DUMP trade_commands",
	"RESTORE other 0 x",
	"MIGRATE host 6379 trade_commands 0 1000",
	"SORT trade_commands",
	"GETSET signalbox:x 1",
	"APPEND signalbox:x 1",
	"LPUSH signalbox:x 1",
	"HSET signalbox:x a 1",
	"XDEL trade_commands 1-1",
	"XTRIM trade_commands MAXLEN 0",
	"XSETID trade_commands 1-1",
	"XGROUP DESTROY trade_commands router",
	"XGROUP SETID trade_commands router $",
	"XGROUP DELCONSUMER trade_commands router c",
	"XGROUP CREATECONSUMER trade_commands router c",
	// Looking around.
	"KEYS *",
	"SCAN 0",
	"RANDOMKEY",
	"DBSIZE",
	"OBJECT ENCODING trade_commands",
	"MEMORY USAGE trade_commands",
	"COMMAND",
	"PUBSUB CHANNELS",
	"CLIENT LIST",
	"CLIENT INFO",
	"SLOWLOG GET",
	"LATENCY DOCTOR",
	"MONITOR",
	// Code.
	"EVAL return 0",
	"EVALSHA 0000000000000000000000000000000000000000 1 trade_commands",
	"EVALSHA 0000000000000000000000000000000000000000 2 signalbox:latest:prices trade_commands",
	"HSET signalbox:dedupe:x a 1",
	"HSET other a 1",
	"LPUSH signalbox:alive:x 1",
	"EVALSHA 0000000000000000000000000000000000000000 2 signalbox:lease:feed trade_commands",
	"HDEL other a",
	"ZADD signalbox:alive:x 1 a",
	"EVAL_RO return 0",
	"SCRIPT FLUSH",
	"FCALL f 0",
	"FUNCTION LOAD x",
	"FUNCTION LIST",
	"MODULE LOAD /x.so",
	"MODULE LIST",
	// The server and its other users.
	"ACL LIST",
	"ACL SETUSER signalbox allcommands",
	"ACL WHOAMI",
	"CONFIG GET *",
	"CONFIG SET dir /",
	"CONFIG REWRITE",
	"CLIENT KILL ID 7",
	"CLIENT PAUSE 1000",
	"CLIENT NO-EVICT on",
	"CLIENT TRACKING on",
	"FLUSHALL",
	"FLUSHDB",
	"SWAPDB 0 1",
	"DEBUG SLEEP 1",
	"SHUTDOWN",
	"SAVE",
	"BGSAVE",
	"BGREWRITEAOF",
	"REPLICAOF host 6379",
	"FAILOVER",
	"CLUSTER INFO",
	"PSYNC x 0",
	"WAIT 1 0",
	"MULTI",
	"WATCH trade_commands",
}

// What a person may, and what is the router's alone.
var (
	operatorAllowed = []string{
		"PING",
		"HELLO 3",
		"SELECT 1",
		"CLIENT SETNAME signalbox:router",
		"SUBSCRIBE price_data",
		"PSUBSCRIBE *",
		"PUBLISH price_data {}",
		"PUBSUB NUMSUB price_data",
		"PUBSUB NUMPAT",
		"TYPE trade_commands",
		"XADD trade_commands MAXLEN ~ 100000 * payload {}",
		"XREAD COUNT 256 BLOCK 200 STREAMS trade_commands 0",
		"XRANGE trade_commands.dead - + COUNT 256",
		"XREVRANGE trade_commands.dead + - COUNT 1",
		"XINFO STREAM trade_commands",
		"XINFO GROUPS trade_commands",
		"XINFO CONSUMERS trade_commands router",
		"XPENDING trade_commands router",
		"XPENDING trade_commands router - + 1",
		"EXISTS signalbox:alive:router:c",
		"GET signalbox:trimmed:trade_commands:router",
		"GET signalbox:routes:trade_commands:router",
		"XDEL trade_commands.dead 1-1 1-2",
		"SCRIPT LOAD x",
		"EVALSHA 0000000000000000000000000000000000000000 3 signalbox:latest:prices signalbox:latest.time:prices signalbox:latest.until:prices 1",
		"HGETALL signalbox:latest:prices",
		"HMGET signalbox:lease:feed holder epoch",
	}
	operatorDenied = []string{
		"XDEL trade_commands 1-1",
		"XTRIM trade_commands.dead MAXLEN 0",
		"DEL trade_commands.dead",
		"UNLINK trade_commands.dead",
		"XREADGROUP GROUP router c STREAMS trade_commands >",
		"XACK trade_commands router 1-1",
		"XCLAIM trade_commands router c 0 1-1",
		"XGROUP CREATE trade_commands router 0",
		"XGROUP DESTROY trade_commands router",
		"SET signalbox:alive:router:c 1",
		"DEL signalbox:alive:router:c",
		"GET signalbox:alive:router:c",
		"EXISTS trade_commands",
		"SET signalbox:trimmed:trade_commands:router 0",
		"DEL signalbox:trimmed:trade_commands:router",
		"PUBSUB CHANNELS",
		"XAUTOCLAIM trade_commands router c 0 0",
		"HSET signalbox:latest:prices BTCUSDT {}",
		"HDEL signalbox:latest:prices BTCUSDT",
		"HSET signalbox:lease:feed holder x",
		"EVALSHA 0000000000000000000000000000000000000000 1 signalbox:lease:feed holder",
		"EVALSHA 0000000000000000000000000000000000000000 1 trade_commands",
		"KEYS *",
		"SCAN 0",
		"EVAL return 0",
		"CONFIG GET *",
		"ACL LIST",
		"CLIENT KILL ID 7",
		"FLUSHALL",
		"MONITOR",
		"SHUTDOWN",
	}
)

func TestACL(t *testing.T) {
	client := startRedis(t)
	for _, of := range []struct {
		user            string
		allowed, denied []string
	}{{user, allowed, denied}, {operator, operatorAllowed, operatorDenied}} {
		dryrun := func(command string) string {
			reply, err := client.Do(t.Context(), words("ACL DRYRUN "+of.user+" "+command)...).Text()
			if err != nil {
				return err.Error()
			}
			return reply
		}
		for _, command := range of.allowed {
			if reply := dryrun(command); reply != "OK" {
				t.Errorf("%s: %s: %s", of.user, command, reply)
			}
		}
		for _, command := range of.denied {
			// Not just any refusal: a wrong number of arguments would say nothing about the rule.
			if reply := dryrun(command); !strings.Contains(reply, "permission") {
				t.Errorf("%s: %s: %s; want it refused for lack of permission", of.user, command, reply)
			}
		}
	}
}

// TestLogin does a day's work as the user and finds nothing in the ACL log.
func TestLogin(t *testing.T) {
	admin := startRedis(t)
	ctx := t.Context()
	options := *admin.Options()
	options.Username, options.Password = user, "secret"
	options.ClientName = "signalbox:router"

	client := redis.NewClient(&options)
	defer func() { _ = client.Close() }()
	if err := client.Ping(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
		t.Errorf("before it has a password the user logs in: %v", err)
	}
	for _, command := range []string{"ACL SETUSER " + user + " >secret", "ACL LOG RESET"} {
		if err := admin.Do(ctx, words(command)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{
		"XGROUP CREATE trade_commands router 0 MKSTREAM",
		"XADD trade_commands MAXLEN ~ 100 * payload {}",
		"XREADGROUP GROUP router c COUNT 1 BLOCK 100 STREAMS trade_commands >",
		"XACK trade_commands router 1-1",
		"PUBLISH bot_status {}",
		"SET signalbox:alive:router:c 1 PX 3000",
		"DEL signalbox:alive:router:c",
		"SET signalbox:dedupe:bot:bot:orders:enter:o-1 lease:token PX 40000 NX",
		"GET signalbox:dedupe:bot:bot:orders:enter:o-1",
		"PEXPIRE signalbox:dedupe:bot:bot:orders:enter:o-1 40000",
		"SET signalbox:dedupe:bot:bot:orders:enter:o-1 done EX 600",
		"DEL signalbox:dedupe:bot:bot:orders:enter:o-1",
	} {
		if err := client.Do(ctx, words(command)...).Err(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	sub := client.PSubscribe(ctx, "*")
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(ctx); err != nil {
		t.Error(err)
	}
	if log, err := admin.ACLLog(ctx, 10).Result(); err != nil || len(log) > 0 {
		t.Errorf("ACL log: %v, %v", log, err)
	}
}

// words splits a command into what go-redis takes.
func words(command string) []any {
	var args []any
	for word := range strings.FieldsSeq(command) {
		args = append(args, word)
	}
	return args
}

// startRedis runs a redis-server that includes redis.acl.
func startRedis(t *testing.T) *redis.Client {
	t.Helper()
	acl, err := filepath.Abs("redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	return redistest.Start(t, redistest.Args("--include", acl)).Client()
}
