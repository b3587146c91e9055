package daemon

import (
	"fmt"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/internal/redistest"
	"signalbox/router"
)

// Two routers of a group with other routes are noticed, also when it is a reload that
// makes them differ.
func TestRoutersThatDisagree(t *testing.T) {
	server := redistest.Start(t)
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	text := func(typ string) string {
		return fmt.Sprintf("[redis]\nurl = %q\n[channels.in]\ntransport = \"stream\"\n[[routes]]\nchannel = \"in\"\ntype = %q\nhandler = \"drop\"\n", server.URL(), typ)
	}
	const line = "another router of this group has other routes"
	said := func() string { return server.Client().Get(t.Context(), "signalbox:routes:in:router").Val() }
	first := runBox(t, text("a"), kinds)
	for said() == "" {
		time.Sleep(10 * time.Millisecond)
	}
	before := said()
	first.write(t, text("b"))
	first.reload <- struct{}{}
	for said() == before {
		time.Sleep(10 * time.Millisecond)
	}
	runBox(t, text("a"), kinds).log.await(t, line, 1)
}
