package transport

import (
	"strings"
	"testing"

	"signalbox/internal/redistest"
)

const disagrees = "another router of this group has other routes"

func saying(routes string) StreamConfig {
	return StreamConfig{Group: "bot", Routes: func() string { return routes }}
}

func TestRoutersWithOtherRoutes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	said := func() string {
		value, _ := server.Client().Get(t.Context(), "signalbox:routes:work:bot").Result()
		return value
	}
	first, same, other := open(t, server.URL()), open(t, server.URL()), open(t, server.URL())
	subscribe(t, first, first.Stream(saying("1a")), "work")
	eventually(t, "the first to say what it does", func() bool { return said() == "1a "+first.consumer })
	subscribe(t, same, same.Stream(saying("1a")), "work")
	eventually(t, "the second to say the same", func() bool { return said() == "1a "+same.consumer })
	subscribe(t, other, other.Stream(saying("2b")), "work")
	eventually(t, "the third to disagree", func() bool { return other.log.count(disagrees) == 1 })
	if text := other.log.String(); !strings.Contains(text, "this="+other.consumer+" other="+same.consumer) {
		t.Errorf("the line lacks one of the two: %s", text)
	}
	if first.log.count(disagrees)+same.log.count(disagrees) > 0 {
		t.Error("those that agree complained")
	}
}

// What a router did that is no more is nobody's business.
func TestRoutesOfADeadRouter(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client().Set(t.Context(), "signalbox:routes:work:bot", "1a signalbox-gone-1-2", 0).Err(); err != nil {
		t.Fatal(err)
	}
	n := open(t, server.URL())
	subscribe(t, n, n.Stream(saying("2b")), "work")
	eventually(t, "it to be replaced", func() bool {
		value, _ := server.Client().Get(t.Context(), "signalbox:routes:work:bot").Result()
		return value == "2b "+n.consumer
	})
	ready(t, n)
	if n.log.count(disagrees) > 0 {
		t.Error("complained of a router that is gone")
	}
	if ttl := server.Client().PTTL(t.Context(), "signalbox:routes:work:bot").Val(); ttl <= 0 || ttl > routesTTL {
		t.Errorf("it lasts %v", ttl)
	}
}
