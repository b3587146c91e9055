package transport

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	routesPrefix = "signalbox:routes:"
	routesTTL    = time.Minute
	routesEvery  = routesTTL / 3
)

// agreement compares what the routers of a group do with the entries they share: with
// different routes, it is chance what becomes of an entry.
//
// Under signalbox:routes:<stream>:<group> stands what one of them does, and which one
// it is. Each reads that and writes itself over it, every 20 s, and so meets all the
// others in time.
type agreement struct {
	*streamSub
	said string    // what was written last
	next time.Time // when to write it again
	with string    // who disagreed, and how, when it was last logged
}

// look says what this router does, and warns when another one that lives does
// something else.
func (a *agreement) look() {
	if a.cfg.Routes == nil {
		return
	}
	ours := a.cfg.Routes() + " " + a.r.consumer
	now := time.Now()
	if ours == a.said && now.Before(a.next) {
		return
	}
	ctx, cancel := a.commandContext()
	defer cancel()
	theirs, err := a.r.writer.SetArgs(ctx, routesPrefix+a.topic+":"+a.cfg.Group, ours, redis.SetArgs{TTL: routesTTL, Get: true}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return // the reader tells of a Redis that is away; a full one, or one before 7.0, is no reason to stop
	}
	a.said, a.next = ours, now.Add(jitter(routesEvery))
	hash, other, _ := strings.Cut(theirs, " ")
	if other == "" || other == a.r.consumer || theirs == a.with || hash+" "+a.r.consumer == ours {
		return
	}
	if a.lives(ctx, other) {
		a.with = theirs
		a.log.Warn("another router of this group has other routes for this stream: which of them handles an entry is chance", "this", a.r.consumer, "other", other)
	}
}

// lives reports whether a consumer has its alive mark. One that was replaced, perhaps
// by this router, may do what it did.
func (a *agreement) lives(ctx context.Context, consumer string) bool {
	n, err := a.r.writer.Exists(ctx, alivePrefix+consumer).Result()
	return err == nil && n > 0
}
