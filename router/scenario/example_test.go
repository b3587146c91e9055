package scenario_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"signalbox/router"
	"signalbox/router/scenario"
)

func Example() {
	trade := router.Kind[struct{}]{
		Name: "trade",
		New: func(router.Env, struct{}) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error {
				panic("no test calls the real handler")
			}), nil
		},
	}
	dir, err := os.MkdirTemp("", "scenario")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "routes.toml")
	if err := os.WriteFile(path, []byte(`
[channels.commands]
transport = "stream"

[[routes]]
channel = "commands"
type    = "enter"
handler = "trade"
max_age = "5s"

[[tests]]
name    = "an old enter is skipped"
now     = "2026-11-21T23:30:20Z"
send    = [{ channel = "commands", message = { type = "enter", time = "2026-11-21T23:30:00Z" } }]
skipped = [{ handler = "trade", reason = "max_age" }]
`), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	report, err := scenario.Run(context.Background(), scenario.Options{Paths: []string{path}, Kinds: router.NewRegistry(trade)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, test := range report.Tests {
		fmt.Println(test.Name, test.OK())
		for _, sent := range test.Sent {
			fmt.Println(sent.Type, sent.Became)
		}
	}
	fmt.Println(len(report.Unexercised()), "routes are not exercised")
	// Output:
	// an old enter is skipped true
	// enter [trade: skipped, by max_age]
	// 0 routes are not exercised
}
