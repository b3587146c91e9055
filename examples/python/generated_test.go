package python

import (
	"flag"
	"os"
	"testing"

	"signalbox/handlers"
	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/generate"
	"signalbox/router/routesfile"
)

var update = flag.Bool("update", false, "write bot.py")

// bot.py is what `router generate python -c exec_bot.toml --out bot.py` writes.
func TestGeneratedBotIsNotStale(t *testing.T) {
	redistest.Python(t) // which the routes name
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	loaded, err := routesfile.Load(routesfile.Source{Paths: []string{"exec_bot.toml"}, Check: true}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	want := generate.PythonBot(loaded.Config, loaded.Files)
	if *update {
		if err := generate.Write(nil, "bot.py", want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("bot.py"); err != nil || string(got) != string(want) {
		t.Errorf("bot.py is stale (%v): go test ./examples/python -run Stale -update", err)
	}
}
