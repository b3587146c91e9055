package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

var update = flag.Bool("update", false, "write the files that are generated from the code anew: make generate")

func builtin() *router.Registry {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	sources.Register(kinds)
	return kinds
}

// What is generated and committed is what the code says now.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	schema, err := routesfile.Schema(builtin())
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]byte{
		"../../config/routes.schema.json": schema,
		"../../docs/reference.md":         routesfile.Reference(builtin(), "router generate reference"),
	} {
		if *update {
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code says (%v): make generate", file, err)
		}
	}
}
