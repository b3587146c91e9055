package transport

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

func allNeeds() Needs {
	return Needs{
		Read: []string{"work"}, Write: []string{"work", "work.dead"}, Listen: []string{"prices"}, Patterns: []string{"s:*"},
		Latest: []string{"prices"}, Dedupe: true,
	}
}

// TestObstaclesChangeNothing tries everything as a user who may do everything, on a stream
// that is in use and on one that is not there.
func TestObstaclesChangeNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, ctx := server.Client(), t.Context()
	n := open(t, server.URL())
	try := func() {
		t.Helper()
		if obstacles, err := n.Obstacles(ctx, allNeeds()); err != nil || len(obstacles) > 0 {
			t.Errorf("%q, %v", obstacles, err)
		}
	}
	try()
	if keys := client.Keys(ctx, "*").Val(); len(keys) > 0 {
		t.Errorf("it made %q", keys)
	}

	makeGroup(t, client)
	xadd(t, client, texts(3)...)
	for _, group := range []string{"bot", "signalbox:check"} { // the one that it names, too
		client.XGroupCreate(ctx, "work", group, "0")
		client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "c", Streams: []string{"work", ">"}, Count: 2})
	}
	for _, key := range []string{"signalbox:trimmed:check", "signalbox:routes:check"} {
		client.Set(ctx, key, "kept", 0)
	}
	before := everything(t, client)
	try()
	if after := everything(t, client); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// everything is all that a Redis holds, but for how long its consumers have been idle.
func everything(t *testing.T, client *redis.Client) string {
	t.Helper()
	var all []string
	for _, key := range client.Keys(t.Context(), "*").Val() {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %x", key, dump))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestObstaclesOfPermissions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, ctx := server.Client(), t.Context()
	client.Set(ctx, "work.dead", "x", 0)
	may := []string{"~*", "&prices", "-@all", "+ping", "+hello", "+client", "+type"}
	obstacles := func(more ...string) []string {
		t.Helper()
		rules := append([]string{"reset", "on", ">pw"}, slices.Concat(may, more)...)
		if err := client.ACLSetUser(ctx, "little", rules...).Err(); err != nil {
			t.Fatal(err)
		}
		found, err := open(t, strings.Replace(server.URL(), "redis://", "redis://little:pw@", 1)).Obstacles(ctx, allNeeds())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	none := obstacles()
	for _, want := range []string{
		`may not XREADGROUP "work"`, `may not XACK "work"`, `may not XGROUP CREATE "work"`, `may not XINFO CONSUMERS "work"`, `may not XADD "work.dead"`,
		`may not SET signalbox:alive:*`, `may not SET signalbox:dedupe:*`, `may not EVALSHA signalbox:latest:prices`,
		`may not SUBSCRIBE "prices"`, `may not PSUBSCRIBE "s:*"`, `"work.dead" is a string, and no stream`,
	} {
		if !slices.Contains(none, want) {
			t.Errorf("no %s in %q", want, none)
		}
	}
	some := obstacles("+xreadgroup", "+subscribe", "+psubscribe", "+@write", "+@read", "+@scripting", "+xgroup|create", "+xinfo|consumers", "+xinfo|stream", "+xinfo|groups", "+xack")
	if want := []string{`"work.dead" is a string, and no stream`, `may not PSUBSCRIBE "s:*"`}; !slices.Equal(some, want) {
		t.Errorf("%q, want %q", some, want)
	}
}
