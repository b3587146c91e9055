package transport

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestStreamStartsLike(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]node{"redis": realRedis(t), "miniredis": mini(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			xadd(t, n.Client(), texts(5)...)
			if err := n.Client().XGroupCreate(t.Context(), "work", "other", "0").Err(); err != nil {
				t.Fatal(err)
			}
			makeGroup(t, n.Client())
			steal(t, n.Client(), "python", 3)

			like := subscribe(t, n, n.Stream(StreamConfig{Group: "like", Like: "bot", StartNew: true, MaxBatch: 9}), "work")
			if got := collect(t, like, 2); !slices.Equal(got, texts(5)[3:]) {
				t.Errorf("got %q, want what the other group has not delivered", got)
			}
			none := subscribe(t, n, n.Stream(StreamConfig{Group: "no such", Like: "no group", MaxBatch: 9}), "work")
			if got := collect(t, none, 5); !slices.Equal(got, texts(5)) {
				t.Errorf("got %q, want all: there is no group to be like", got)
			}
			// A group that exists stays where it is.
			there := subscribe(t, n, n.Stream(StreamConfig{Group: "other", Like: "bot", MaxBatch: 9}), "work")
			if got := collect(t, there, 5); !slices.Equal(got, texts(5)) {
				t.Errorf("got %q, want all", got)
			}
			// One that vanished is made again at the beginning.
			if err := n.Client().XGroupDestroy(t.Context(), "work", "like").Err(); err != nil {
				t.Fatal(err)
			}
			if got := collect(t, like, 5); !slices.Equal(got, texts(5)) {
				t.Errorf("got %q, want all again", got)
			}
			// So is one on a stream that is not there yet, whatever it is like.
			fresh := subscribe(t, n, n.Stream(StreamConfig{Group: "like", Like: "bot"}), "fresh")
			n.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: "fresh", Values: []string{"payload", "a"}})
			if got := collect(t, fresh, 1); !slices.Equal(got, []string{"a"}) {
				t.Errorf("got %q", got)
			}
		})
	}
}
