package routesfile_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile"
)

func kindsOfExamples() *router.Registry {
	type options struct {
		Table string `toml:"table" required:"true" doc:"where to save"`
		Mode  string `toml:"mode" enum:"fast,safe" doc:"what matters more"`
	}
	return router.NewRegistry(router.Kind[options]{Name: "save", Doc: "Saves events.", Defaults: options{Mode: "safe"}})
}

func ExampleKeys() {
	for _, table := range routesfile.Keys(kindsOfExamples()) {
		fmt.Printf("%s has %d keys: %s\n", table.Table, len(table.Keys), table.Doc)
		break
	}
	// Output: [service] has 2 keys: who this process is
}

func ExampleFind() {
	keys := routesfile.Keys(kindsOfExamples())
	for _, name := range []string{"max_age", "save.mode", "channels.prices.queue"} {
		for _, key := range routesfile.Find(keys, name) {
			fmt.Printf("%s (%s): %s\n", key.Path, key.Allowed(), key.Example())
		}
	}
	// Output:
	// defaults.max_age (duration, 0s or more): max_age = "10s"
	// routes.max_age (duration, 0s or more): max_age = "10s"
	// handlers.save.mode (fast or safe): mode = "safe"
	// channels.queue (number, 1 to 100000000): queue = 65536
}

// A program writes the schema of its own kinds for whoever edits its routes.
func ExampleSchema() {
	text, err := routesfile.Schema(kindsOfExamples())
	if err != nil {
		fmt.Println(err)
		return
	}
	var schema struct {
		Definitions map[string]struct {
			Description string
			Required    []string
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		fmt.Println(err)
		return
	}
	save := schema.Definitions["kind_save"]
	fmt.Println(save.Description, save.Required)
	// Output: Saves events. [table]
}

func ExampleReference() {
	page := string(routesfile.Reference(kindsOfExamples(), "bot generate reference"))
	_, kind, _ := strings.Cut(page, "### Kind")
	kind, _, _ = strings.Cut(kind, "\n## ")
	fmt.Println("### Kind" + kind)
	// Output:
	// ### Kind `save`
	//
	// Saves events.
	//
	// | key | value | default | meaning |
	// |---|---|---|---|
	// | `table` | string | required | where to save |
	// | `mode` | `"fast"` or `"safe"` | `"safe"` | what matters more |
}
