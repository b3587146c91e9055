package routesfile_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// Each session of a source has options of its own: what they refer to is looked up again.
func ExampleLoad_sources() {
	type options struct {
		Token string `toml:"token" secret:"true" doc:"how to log in"`
	}
	kinds := router.NewRegistry()
	kinds.AddSources(router.SourceKind[options]{
		Name: "broker",
		New: func(_ router.SourceEnv, o options) (router.Source, error) {
			return router.SourceFunc(func(context.Context, router.Sink) error {
				fmt.Println("log in with", o.Token)
				return nil
			}), nil
		},
	})
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file, token := filepath.Join(folder, "feed.toml"), filepath.Join(folder, "token")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			fmt.Println(err)
		}
	}
	write(file, `
[channels.prices]
transport = "pubsub"

[sources.broker]
channel = "prices"
token   = "${file:token}"
`)
	write(token, "Monday's")
	result, err := routesfile.Load(routesfile.Source{Paths: []string{file}}, kinds)
	if err != nil {
		fmt.Println(err)
		return
	}
	source := result.Config.Sources[0]
	fmt.Println(source.Name, "publishes to", source.Channel)
	for _, today := range []string{"Monday's", "Tuesday's"} {
		write(token, today)
		session, err := source.New(router.SourceEnv{Source: source.Name})
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := session.Run(context.Background(), nil); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// broker publishes to prices
	// log in with Monday's
	// log in with Tuesday's
}
