package transport

import (
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

func TestStreamStatus(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	ctx, client := t.Context(), server.Client()

	if status, err := n.StreamStatus(ctx, "work"); err != nil || status.Exists || len(status.Groups) > 0 {
		t.Errorf("a stream that is not there: %+v, %v", status, err)
	}
	if size := client.DBSize(ctx).Val(); size != 0 {
		t.Errorf("looking made %d keys", size)
	}

	makeGroup(t, client)
	xadd(t, client, texts(10)...)
	kill := startVictim(t, server.URL(), 10)
	xadd(t, client, texts(3)...)
	client.XGroupCreate(ctx, "work", "other", "0")
	client.Do(ctx, "XREADGROUP", "GROUP", "other", "python", "COUNT", 2, "STREAMS", "work", ">")
	client.Set(ctx, "signalbox:trimmed:work:other", "7 run", 0)

	group := func(name string) GroupStatus {
		t.Helper()
		status, err := n.StreamStatus(ctx, "work")
		if err != nil {
			t.Fatal(err)
		}
		if !status.Exists || status.Length != 13 || time.Since(status.Newest) > time.Minute {
			t.Errorf("stream: %+v", status)
		}
		for _, g := range status.Groups {
			if g.Name == name {
				return g
			}
		}
		t.Fatalf("no group %q: %+v", name, status)
		return GroupStatus{}
	}
	eventually(t, "the victim has read all", func() bool { return group("bot").Lag == 0 })
	g := group("bot")
	if g.Pending != 13 || len(g.Consumers) != 1 || !g.Consumers[0].Ours || !g.Consumers[0].Alive || g.Consumers[0].Pending != 13 {
		t.Errorf("while it lives: %+v", g)
	}
	if g.Oldest.Consumer != g.Consumers[0].Name || g.Oldest.Deliveries != 1 || time.Since(g.Oldest.Added) > time.Minute || !strings.HasSuffix(g.Oldest.ID, "-0") && g.Oldest.ID == "" {
		t.Errorf("oldest: %+v", g.Oldest)
	}
	kill()
	eventually(t, "its mark is gone", func() bool { return !group("bot").Consumers[0].Alive })

	// One that is not listed has said what it does.
	client.Set(ctx, "signalbox:routes:work:bot", "hash signalbox-unlisted", 0)
	client.Set(ctx, "signalbox:alive:signalbox-unlisted", "1", 0)
	if g := group("bot"); len(g.Consumers) != 2 || !g.Consumers[1].Alive || g.Consumers[1].Name != "signalbox-unlisted" {
		t.Errorf("beside one that is not listed: %+v", g.Consumers)
	}

	o := group("other")
	if o.Lag != 11 || o.Pending != 2 || o.Trimmed != 7 || len(o.Consumers) != 1 || o.Consumers[0].Ours || o.Consumers[0].Alive {
		t.Errorf("a consumer that is not ours: %+v", o)
	}
	client.XGroupCreate(ctx, "work", "late", "$")
	if l := group("late"); l.Lag != 0 {
		t.Errorf("a group that begins at the end: %+v", l)
	}
	client.Set(ctx, "text", "x", 0)
	if _, err := n.StreamStatus(ctx, "text"); err == nil || err.Error() != `"text" is a string, and no stream` {
		t.Errorf("a text: %v", err)
	}
}

func TestSubscribers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	sub := server.Client().Subscribe(t.Context(), "prices")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sub.PSubscribe(t.Context(), "s:*"); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	each, patterns, err := n.Subscribers(t.Context(), "prices", "none")
	if err != nil || each["prices"] != 1 || each["none"] != 0 || patterns != 1 {
		t.Errorf("%v, %d, %v", each, patterns, err)
	}
}
