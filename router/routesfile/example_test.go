package routesfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/router/routesfile/condition"
)

func ExampleLoad() {
	// A program has its own kinds of handlers; options are checked with the rest.
	type options struct {
		Bot string `toml:"bot" doc:"whom to tell"`
	}
	kinds := router.NewRegistry(router.Kind[options]{
		Name: "trade",
		New: func(router.Env, options) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
		},
	})

	folder, err := os.MkdirTemp("", "routes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	load := func(text string) {
		path := filepath.Join(folder, "routes.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
		result, err := routesfile.Load(routesfile.Source{Paths: []string{path}, Environ: []string{"BOT=momentum"}}, kinds)
		if errs, ok := err.(routesfile.Errors); ok { //nolint:errorlint // what Load returns
			for _, e := range errs {
				fmt.Printf("line %d: %s\n", e.Line, e.Message)
			}
			return
		}
		for _, route := range result.Config.Routes {
			fmt.Println(route.Channel, route.Types, "to", route.Handler)
		}
	}

	load(`
[channels.commands]
transport = "stream"
types     = ["start", "stop"]

[handlers.trade]
bot = "${BOT}"

[[routes]]
channel = "commands"
type    = "*"
handler = "trade"
`)
	load(`
[channels.commands]
transport = "stream"
types     = ["start", "stop"]

[handlers.trade]
bt = "${BOT}"

[[routes]]
channel = "comands"
type    = "*"
handler = "trade"
`)
	// Output:
	// commands [*] to trade
	// line 7: handler "trade": unknown option "bt"; did you mean "bot"?
	// line 10: route 1: unknown channel "comands"; did you mean "commands"?
}

func ExampleLoadEffective() {
	// A kind says which of its options are secrets, and whether what it needs is there.
	kinds := router.NewRegistry(router.Kind[alertOptions]{
		Name: "alert",
		New: func(router.Env, alertOptions) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
		},
	})
	path, remove := temporary(`
[redis]
url = "${REDIS_URL}"

[defaults]
timeout = "5s"

[channels.orders]
transport = "stream"

[handlers.alert]
to   = "ops"
code = "0451"

[[routes]]
channel = "orders"
type    = "failed"
handler = "alert"
`)
	defer remove()
	src := routesfile.Source{Paths: []string{path}, Environ: []string{"REDIS_URL=redis://desk:0451@redis:6379/0"}}
	effective, err := routesfile.LoadEffective(src, kinds)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, table := range effective.Tables {
		for _, v := range table.Values {
			if !v.Default || table.Name(v) == "routes.orders.alert.workers" {
				fmt.Println(strings.TrimSpace(fmt.Sprint(table.Name(v), " = ", v.Text, " ", v.From, v.Reference)))
			}
		}
	}

	result, err := routesfile.Load(src, kinds)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Config.Handlers[0].Check(context.Background()))
	// Output:
	// redis.url = "redis://desk:***@redis:6379/0" ${REDIS_URL}
	// channels.orders.transport = "stream"
	// handlers.alert.to = "ops"
	// handlers.alert.code = "***"
	// defaults.timeout = "5s"
	// routes.orders.alert.channel = "orders"
	// routes.orders.alert.type = "failed"
	// routes.orders.alert.handler = "alert"
	// routes.orders.alert.timeout = "5s" [defaults]
	// routes.orders.alert.workers = 1
	// somebody reads what goes to ops <nil>
}

func ExampleLoadHTTP() {
	// Somebody breaks the file while its router runs; where that listens can still be read.
	path, remove := temporary("[http]\nlisten = \"${HTTP_LISTEN:-127.0.0.1:8080}\"\n\n[channels.orders]\ntransport = \"strem\"\n")
	defer remove()
	http, err := routesfile.LoadHTTP(routesfile.Source{Paths: []string{path}})
	fmt.Println(http.Listen, err)
	// Output: 127.0.0.1:8080 <nil>
}

func ExampleMistakeIn() {
	compiler, err := condition.NewCompiler("desk")
	if err != nil {
		fmt.Println(err)
		return
	}
	const text = `event.dta.price > 97000`
	if _, err := compiler.Compile(text); err != nil {
		fmt.Println(routesfile.MistakeIn("--where", text, err).Show())
	}
	// Output:
	// --where:1:7: event has no field "dta"; did you mean "data"?
	//     1 | event.dta.price > 97000
	//       |       ^^^
}

type alertOptions struct {
	To   string `toml:"to"`
	Code string `toml:"code" secret:"true"`
}

// Check is for `router check --connect`.
func (o alertOptions) Check(context.Context) (found string, err error) {
	return "somebody reads what goes to " + o.To, nil
}

// temporary writes a file, and returns how to remove it.
func temporary(text string) (path string, remove func()) {
	folder, err := os.MkdirTemp("", "routes")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(folder, "routes.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(folder) }
}
