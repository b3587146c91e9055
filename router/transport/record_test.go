package transport

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
)

// A field that stands twice reaches the consumer, on each way by which entries are read.
func TestStreamFieldTwice(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]node{"redis": realRedis(t), "miniredis": mini(t)} {
		for way, leave := range map[string]func(t *testing.T, stream string){
			"read":      func(*testing.T, string) {},
			"read anew": func(t *testing.T, stream string) { t.Helper(); leavePending(t, n, stream, n.Consumer()) },
			"take over": func(t *testing.T, stream string) {
				t.Helper()
				leavePending(t, n, stream, consumerPrefix+"host-1-dead")
			},
			"claim": func(t *testing.T, stream string) { t.Helper(); leavePending(t, n, stream, "python") },
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				stream := "work:" + way
				for _, values := range [][]string{
					{"type", "b", "type", "a"},
					{"payload", `{"type":"c"}`, "payload", `{"type":"d"}`},
				} {
					if err := n.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: values}).Err(); err != nil {
						t.Fatal(err)
					}
				}
				leave(t, stream)
				config := StreamConfig{MaxBatch: 2, ClaimAfter: time.Minute}
				if way == "claim" {
					config.ClaimAfter = 50 * time.Millisecond
				}
				messages := subscribe(t, n, workers(n, config), stream)
				var items []*batch.Item
				for len(items) < 2 {
					items = append(items, take(t, messages)...)
					done(items[len(items)-1:])
				}
				if got := string(items[0].Payload); got != `{"type":"b","type":"a"}` || items[0].Twice != "" {
					t.Errorf("got %s and twice %q", got, items[0].Twice)
				}
				if items[1].Twice != "payload" {
					t.Errorf("got %s and twice %q", items[1].Payload, items[1].Twice)
				}
			})
		}
	}
}

// leavePending reads all entries as a consumer that then does nothing with them.
func leavePending(t *testing.T, n node, stream, consumer string) {
	t.Helper()
	ctx := context.Background()
	if err := n.Client().XGroupCreate(ctx, stream, "bot", "0").Err(); err != nil {
		t.Fatal(err)
	}
	args := &redis.XReadGroupArgs{Group: "bot", Consumer: consumer, Streams: []string{stream, ">"}, Block: -1}
	if err := n.Client().XReadGroup(ctx, args).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestReadEntries(t *testing.T) {
	t.Parallel()
	server := realRedis(t)
	two := open(t, server.cfg.URL+"?protocol=2")
	for name, n := range map[string]node{"RESP3": server, "RESP2": two, "miniredis": mini(t)} {
		t.Run(name, func(t *testing.T) {
			a, b := name+":a", name+":b"
			for stream, values := range map[string][]string{a: {"payload", "1"}, b: {"payload", "2", "payload", "3"}} {
				n.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: "5-1", Values: values})
			}
			entries, err := ReadEntries(t.Context(), n.Client(), time.Millisecond, a, b, "0", "0")
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(entries, func(x, y Entry) int { return slices.Compare([]byte(x.Stream), []byte(y.Stream)) })
			if len(entries) != 2 || entries[0].Stream != a || string(entries[0].Payload) != "1" || entries[0].Twice != "" ||
				entries[1].Stream != b || entries[1].Twice != "payload" || entries[1].ID != "5-1" || entries[1].Time.UnixMilli() != 5 {
				t.Errorf("got %+v", entries)
			}
			if last, found, err := LastEntry(t.Context(), n.Client(), b); err != nil || !found || last.ID != entries[len(entries)-1].ID {
				t.Errorf("the last entry is %+v, %t, %v", last, found, err)
			}
			if _, found, err := LastEntry(t.Context(), n.Client(), "none"); err != nil || found {
				t.Errorf("a stream that is not there has a last entry: %t, %v", found, err)
			}
			if entries, err := ReadEntries(t.Context(), n.Client(), time.Millisecond, a, "5-1"); err != nil || len(entries) != 0 {
				t.Errorf("behind the last: %v, %v", entries, err)
			}
		})
	}
}

func TestRangeEntries(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]node{"redis": realRedis(t), "miniredis": mini(t)} {
		t.Run(name, func(t *testing.T) {
			stream := name + ":range"
			for _, id := range []string{"5-1", "5-2", "6-1", "7-1"} {
				n.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: id, Values: []string{"payload", "1", "payload", id}})
			}
			for _, tc := range []struct {
				from, to string
				most     int
				want     []string
			}{
				{"5-2", "6-1", 10, []string{"5-2", "6-1"}},
				{"0-0", "7-1", 3, []string{"5-1", "5-2", "6-1"}},
				{"(6-1", "7-1", 3, []string{"7-1"}},
				{"5-1", "0", 3, nil}, // of a stream that was empty
			} {
				entries, err := RangeEntries(t.Context(), n.Client(), stream, tc.from, tc.to, tc.most)
				var got []string
				for _, e := range entries {
					got = append(got, e.ID)
					if e.Stream != stream || e.Twice != "payload" || e.Time.UnixMilli() != entryTime(e.ID).UnixMilli() {
						t.Errorf("got %+v", e)
					}
				}
				if err != nil || !slices.Equal(got, tc.want) {
					t.Errorf("%d from %s to %s: %q, %v, want %q", tc.most, tc.from, tc.to, got, err, tc.want)
				}
			}
			if entries, err := RangeEntries(t.Context(), n.Client(), "none", "0-0", "+", 1); err != nil || len(entries) != 0 {
				t.Errorf("of a stream that is not there: %v, %v", entries, err)
			}
		})
	}
}

func TestStrangeReplies(t *testing.T) {
	t.Parallel()
	id := any("1-1")
	for name, reply := range map[string]any{
		"a number":             int64(1),
		"no pair":              []any{"work"},
		"streams of numbers":   []any{[]any{"work", int64(1)}},
		"a map of numbers":     map[any]any{"work": int64(1)},
		"entries of one":       []any{[]any{"work", []any{[]any{id}}}},
		"fields are no list":   []any{[]any{"work", []any{[]any{id, int64(1)}}}},
		"an entry is a number": []any{[]any{"work", []any{int64(1)}}},
	} {
		if err := eachStream(reply, func(string, []record) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	records, err := recordsOf([]any{nil, []any{id, nil}, []any{id, []any{"a", "1"}, int64(5), int64(1)}})
	if err != nil || len(records) != 2 || records[0].fields != nil || !slices.Equal(records[1].fields, []string{"a", "1"}) {
		t.Errorf("got %v, %v", records, err)
	}
}
