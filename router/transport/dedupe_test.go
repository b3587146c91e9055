package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"signalbox/internal/redistest"
)

// deduper is a router.Dedupe, which this package does not know.
type deduper interface {
	Claim(ctx context.Context, keys, tokens []string, lease time.Duration) (mine, done []bool, err error)
	Done(ctx context.Context, keys []string, window time.Duration) error
	Release(ctx context.Context, keys, tokens []string) error
}

// dedupeStore is a deduper, and how time passes for it.
type dedupeStore struct {
	t *testing.T
	deduper
	pass func(time.Duration)
}

func dedupeStores() map[string]func(t *testing.T) dedupeStore {
	return map[string]func(t *testing.T) dedupeStore{
		"memory": func(t *testing.T) dedupeStore {
			return dedupeStore{t, &MemoryDedupe{}, time.Sleep}
		},
		"miniredis": func(t *testing.T) dedupeStore {
			server := miniredis.RunT(t)
			return dedupeStore{t, open(t, "redis://"+server.Addr()).Dedupe(), server.FastForward}
		},
		"redis": func(t *testing.T) dedupeStore {
			return dedupeStore{t, realRedis(t).Dedupe(), time.Sleep}
		},
	}
}

// claim claims keys, "k=token" each, and says what came of it: m(ine), d(one), o(ther's).
func (s dedupeStore) claim(lease time.Duration, claims ...string) string {
	s.t.Helper()
	keys, tokens := pairs(claims)
	mine, done, err := s.Claim(context.Background(), keys, tokens, lease)
	if err != nil || len(mine) != len(keys) || len(done) != len(keys) {
		s.t.Fatalf("claim %v: %v, %v, %v", claims, mine, done, err)
	}
	var b strings.Builder
	for i := range keys {
		switch {
		case mine[i] && done[i]:
			b.WriteByte('?')
		case mine[i]:
			b.WriteByte('m')
		case done[i]:
			b.WriteByte('d')
		default:
			b.WriteByte('o')
		}
	}
	return b.String()
}

func (s dedupeStore) is(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("got %s, want %s", got, want)
	}
}

func (s dedupeStore) done(window time.Duration, keys ...string) {
	s.t.Helper()
	if err := s.Done(context.Background(), keys, window); err != nil {
		s.t.Fatal(err)
	}
}

func (s dedupeStore) release(claims ...string) {
	s.t.Helper()
	keys, tokens := pairs(claims)
	if err := s.Release(context.Background(), keys, tokens); err != nil {
		s.t.Fatal(err)
	}
}

func pairs(claims []string) (keys, tokens []string) {
	for _, c := range claims {
		key, token, _ := strings.Cut(c, "=")
		keys, tokens = append(keys, key), append(tokens, token)
	}
	return keys, tokens
}

func TestDedupeContract(t *testing.T) {
	t.Parallel()
	const short, long = 200 * time.Millisecond, time.Hour
	tests := map[string]func(s dedupeStore){
		"one of several": func(s dedupeStore) {
			s.is(s.claim(long, "a=1", "b=2"), "mm")
			s.is(s.claim(long, "b=3", "c=3"), "om")
		},
		"twice in one claim": func(s dedupeStore) {
			s.is(s.claim(long, "a=1", "a=2", "a=1"), "mom")
		},
		"nothing": func(s dedupeStore) {
			s.is(s.claim(long), "")
			s.done(long)
			s.release()
		},
		"done": func(s dedupeStore) {
			s.is(s.claim(long, "a=1"), "m")
			s.done(long, "a", "b")
			s.is(s.claim(long, "a=1", "a=2", "b=1"), "ddd")
		},
		"done though somebody else holds it": func(s dedupeStore) {
			s.is(s.claim(long, "a=1"), "m")
			s.done(long, "a")
			s.release("a=1")
			s.is(s.claim(long, "a=2"), "d")
		},
		"a lease ends": func(s dedupeStore) {
			s.is(s.claim(short, "a=1"), "m")
			s.is(s.claim(short, "a=2"), "o")
			s.pass(short + 100*time.Millisecond)
			s.is(s.claim(long, "a=2"), "m")
			s.is(s.claim(short, "a=1"), "o")
		},
		"a window ends": func(s dedupeStore) {
			s.done(short, "a")
			s.is(s.claim(long, "a=1"), "d")
			s.pass(short + 100*time.Millisecond)
			s.is(s.claim(long, "a=1"), "m")
		},
		"a claim renews": func(s dedupeStore) {
			s.is(s.claim(short, "a=1", "b=1"), "mm")
			s.is(s.claim(long, "a=1"), "m")
			s.pass(short + 100*time.Millisecond)
			s.is(s.claim(long, "a=2", "b=2"), "om")
		},
		"a claim of others renews nothing": func(s dedupeStore) {
			s.is(s.claim(short, "a=1"), "m")
			s.done(short, "b")
			s.is(s.claim(long, "a=2", "b=2"), "od")
			s.pass(short + 100*time.Millisecond)
			s.is(s.claim(long, "a=2", "b=2"), "mm")
		},
		"release": func(s dedupeStore) {
			s.is(s.claim(long, "a=1", "b=1", "c=1"), "mmm")
			s.release("a=1", "b=2", "d=1")
			s.is(s.claim(long, "a=2", "b=2", "c=2"), "moo")
		},
		"tokens and keys of any form": func(s dedupeStore) {
			s.is(s.claim(long, "a b\r\n=done", "é:x=lease:1", strings.Repeat("k", 300)+"=1"), "mmm")
			s.is(s.claim(long, "a b\r\n=2", "é:x=1", strings.Repeat("k", 300)+"=1"), "oom")
		},
		"one winner": func(s dedupeStore) {
			var winners atomic.Int32
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					if s.claim(long, fmt.Sprintf("a=%d", i)) == "m" {
						winners.Add(1)
					}
				})
			}
			all.Wait()
			if winners.Load() != 1 {
				s.t.Errorf("%d winners", winners.Load())
			}
		},
		"ended context": func(s dedupeStore) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, _, err := s.Claim(ctx, []string{"a"}, []string{"1"}, long); err == nil {
				s.t.Error("no error")
			}
		},
	}
	for store, make := range dedupeStores() {
		for name, test := range tests {
			t.Run(store+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(make(t))
			})
		}
	}
}

// What stands in Redis is part of the operator's interface, and so are the commands.
func TestDedupeInRedis(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	s := dedupeStore{t, n.Dedupe(), nil}
	ctx := t.Context()
	s.claim(40*time.Second, "bot:bot:orders:enter:o-1=token")
	key := "signalbox:dedupe:bot:bot:orders:enter:o-1"
	for _, want := range []string{"lease:token", "done"} {
		value, err := n.Client().Get(ctx, key).Result()
		if err != nil || value != want {
			t.Errorf("%s, %v; want %s", value, err, want)
		}
		s.done(10*time.Minute, "bot:bot:orders:enter:o-1")
	}
	if ttl := n.Client().PTTL(ctx, key).Val(); ttl < 9*time.Minute || ttl > 10*time.Minute {
		t.Errorf("the mark lasts %v", ttl)
	}
	if keys := n.Client().Keys(ctx, "*").Val(); len(keys) != 1 {
		t.Errorf("keys %q", keys)
	}
}

// A Redis that is away or that refuses is an error, never an answer.
func TestDedupeAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	s := dedupeStore{t, n.Dedupe(), nil}
	s.claim(time.Hour, "held=1")
	s.done(time.Hour, "done")
	errs := func() (claim, done, release error) {
		keys, tokens := []string{"held", "new"}, []string{"1", "1"}
		_, _, claim = s.Claim(t.Context(), keys, tokens, time.Hour)
		return claim, s.Done(t.Context(), keys, time.Hour), s.Release(t.Context(), []string{"held"}, []string{"1"})
	}

	// Full: nothing can be added, but what is held can be renewed and removed.
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	s.is(s.claim(time.Hour, "held=1", "held=2", "done=2"), "mod")
	if claim, done, release := errs(); claim == nil || !strings.Contains(claim.Error(), "OOM") || done == nil || release != nil {
		t.Errorf("full: %v, %v, %v", claim, done, release)
	}

	server.Stop()
	if claim, done, release := errs(); claim == nil || done == nil || release == nil {
		t.Errorf("away: %v, %v, %v", claim, done, release)
	}
}

// A test's clock jumps over windows, and ends no lease: nobody has died.
func TestMemoryDedupeInFakeTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	s := dedupeStore{t, &MemoryDedupe{Now: func() time.Time { return now }}, nil}
	if got := s.claim(time.Minute, "a=1"); got != "m" {
		t.Errorf("claim: %s", got)
	}
	now = now.Add(time.Hour)
	if got := s.claim(time.Minute, "a=2"); got != "o" {
		t.Errorf("an hour later: %s", got)
	}
	if err := s.Done(t.Context(), []string{"a"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour - 1)
	if got := s.claim(time.Minute, "a=2"); got != "d" {
		t.Errorf("within the window: %s", got)
	}
	now = now.Add(1)
	if got := s.claim(time.Minute, "a=2"); got != "m" {
		t.Errorf("after the window: %s", got)
	}
}
