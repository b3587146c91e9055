package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Needs are what a router does in a Redis, by names there.
type Needs struct {
	Read     []string // streams that it reads with a group
	Write    []string // streams that it adds to
	Listen   []string // what it subscribes to on Pub/Sub
	Patterns []string // likewise
	Latest   []string // channels of which the newest events are kept
	Dedupe   bool
}

// Version is what Redis calls itself; empty where it doesn't tell.
func (r *Redis) Version(ctx context.Context) string {
	info, err := r.writer.Info(ctx, "server").Result()
	if err != nil {
		return ""
	}
	for _, name := range []string{"valkey_version:", "redis_version:"} {
		if _, rest, found := strings.Cut(info, name); found {
			version, _, _ := strings.Cut(rest, "\r\n")
			if name == "valkey_version:" {
				return "Valkey " + version
			}
			return "Redis " + version
		}
	}
	return ""
}

// Obstacles are what stands against needs, each as a sentence: commands that the user may
// not use, and keys that are no streams. It tries every command in a form that has no
// effect; for PUBLISH there is none, so that it is not tried.
func (r *Redis) Obstacles(ctx context.Context, needs Needs) ([]string, error) {
	tries := triesOf(needs)
	pipe := r.writer.Pipeline()
	replies := make([]*redis.Cmd, len(tries))
	for i, t := range tries {
		replies[i] = pipe.Do(ctx, t.command...)
	}
	kinds := make(map[string]*redis.StatusCmd)
	for _, topic := range slices.Concat(needs.Read, needs.Write) {
		kinds[topic] = pipe.Type(ctx, topic)
	}
	if _, err := pipe.Exec(ctx); err != nil && !isReply(err) {
		return nil, err
	}
	var obstacles []string
	for i, t := range tries {
		if hasReply(replies[i].Err(), "NOPERM") {
			obstacles = append(obstacles, "may not "+t.name)
		}
	}
	for _, topic := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(needs.Read, needs.Write)))) {
		if kind, err := kinds[topic].Result(); err == nil && kind != "none" && kind != "stream" {
			obstacles = append(obstacles, fmt.Sprintf("%q is a %s, and no stream", topic, kind))
		}
	}
	for _, name := range needs.Listen {
		if err := listens(ctx, r.writer.Subscribe(ctx, name)); hasReply(err, "NOPERM") {
			obstacles = append(obstacles, fmt.Sprintf("may not SUBSCRIBE %q", name))
		} else if err != nil {
			return obstacles, err
		}
	}
	for _, name := range needs.Patterns {
		if err := listens(ctx, r.writer.PSubscribe(ctx, name)); hasReply(err, "NOPERM") {
			obstacles = append(obstacles, fmt.Sprintf("may not PSUBSCRIBE %q", name))
		} else if err != nil {
			return obstacles, err
		}
	}
	return obstacles, nil
}

func listens(ctx context.Context, sub *redis.PubSub) error {
	_, err := sub.Receive(ctx)
	_ = sub.Close()
	return err
}

// try is a command that has no effect: what is wrong with its arguments is found after the
// permission was, and before anything is done.
type try struct {
	name    string
	command []any
}

func triesOf(needs Needs) (tries []try) {
	add := func(name string, command ...any) { tries = append(tries, try{name, command}) }
	const group, consumer, none = "signalbox:check", "signalbox:check", "signalbox-check"
	for _, topic := range needs.Read {
		on := func(command string) string { return fmt.Sprintf("%s %q", command, topic) }
		add(on("XREADGROUP"), "XREADGROUP", "GROUP", group, consumer, "COUNT", none, "STREAMS", topic, ">")
		add(on("XACK"), "XACK", topic, group, "0-0")
		add(on("XCLAIM"), "XCLAIM", topic, group, consumer, none, "0-0")
		add(on("XAUTOCLAIM"), "XAUTOCLAIM", topic, group, consumer, none, "0")
		add(on("XPENDING"), "XPENDING", topic, group)
		add(on("XRANGE"), "XRANGE", topic, "+", "-", "COUNT", 1)
		add(on("XINFO STREAM"), "XINFO", "STREAM", topic)
		add(on("XINFO GROUPS"), "XINFO", "GROUPS", topic)
		add(on("XINFO CONSUMERS"), "XINFO", "CONSUMERS", topic, group)
		add(on("XGROUP CREATE"), "XGROUP", "CREATE", topic, group, none)
	}
	if len(needs.Read) > 0 {
		add("SET "+alivePrefix+"*", "SET", alivePrefix+"check", 1, "PX", none)
		add("PEXPIRE "+alivePrefix+"*", "PEXPIRE", alivePrefix+"check", none)
		add("EXISTS "+alivePrefix+"*", "EXISTS", alivePrefix+"check")
		add("DEL "+alivePrefix+"*", "DEL", alivePrefix+"check")
		add("GET "+trimmedPrefix+"*", "GET", trimmedPrefix+"check")
		add("SET "+trimmedPrefix+"*", "SET", trimmedPrefix+"check", 1, "PX", none)
		add("SET "+routesPrefix+"*", "SET", routesPrefix+"check", 1, "EX", none)
	}
	for _, topic := range needs.Write {
		add(fmt.Sprintf("XADD %q", topic), "XADD", topic, "0-0", "payload", "") // never a valid id
	}
	for _, topic := range needs.Latest {
		add(fmt.Sprintf("EVALSHA %s%s", latestPrefix, topic), "EVALSHA", strings.Repeat("0", 40), 3, latestPrefix+topic, latestTimePrefix+topic, latestUntilPrefix+topic)
	}
	if needs.Dedupe {
		add("SET "+dedupePrefix+"*", "SET", dedupePrefix+"check", 1, "PX", none)
		add("GET "+dedupePrefix+"*", "GET", dedupePrefix+"check")
		add("DEL "+dedupePrefix+"*", "DEL", dedupePrefix+"check")
	}
	return tries
}
