package main

import (
	"bytes"
	"os"
	"testing"

	"signalbox/router/routesfile"
)

// The schema beside the routes knows the bot's own kinds: `gobot generate schema` writes it.
func TestSchemaIsFresh(t *testing.T) {
	t.Parallel()
	want, err := routesfile.Schema(kinds())
	if err != nil {
		t.Fatal(err)
	}
	const file = "config/routes.schema.json"
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says (%v): make generate", file, err)
	}
}
