package handlers_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
)

func TestEveryKindIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/handlers.md")
	if err != nil {
		t.Fatal(err)
	}
	registry := router.NewRegistry()
	handlers.Register(registry)
	for _, name := range registry.Names() {
		kind, _ := registry.Kind(name)
		if !strings.HasSuffix(kind.Doc, ".") || strings.Contains(kind.Doc, "\n") {
			t.Errorf("kind %q: %q is not one sentence", name, kind.Doc)
		}
		if row := fmt.Sprintf("| [`%s`](#%[1]s) | %s |", name, kind.Doc); !strings.Contains(string(page), row) {
			t.Errorf("docs/handlers.md lacks the row %s", row)
		}
		_, section, found := strings.Cut(string(page), "\n## "+name+"\n")
		if !found {
			t.Errorf("docs/handlers.md lacks the section %q", name)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		options := 0
		for field := range reflect.TypeOf(kind.Options()).Elem().Fields() {
			if !field.IsExported() { // what Locate keeps
				continue
			}
			options++
			if field.Tag.Get("toml") == "" || field.Tag.Get("doc") == "" {
				t.Errorf("kind %q: field %s lacks its tags", name, field.Name)
			}
		}
		// The reference is generated from the same tags.
		if options > 0 && !strings.Contains(section, "](reference.md#kind-"+name+")") {
			t.Errorf("docs/handlers.md, section %q, does not point to its options in the reference", name)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	registry := router.NewRegistry(handlers.Log(), handlers.Drop())
	for _, name := range registry.Names() {
		kind, _ := registry.Kind(name)
		options := kind.Options()
		if checked, ok := options.(interface{ Validate() error }); ok {
			if err := checked.Validate(); err != nil {
				t.Errorf("kind %q: %v", name, err)
			}
		}
		if _, err := kind.New(router.Env{}, options); err != nil {
			t.Errorf("kind %q: %v", name, err)
		}
	}
}

func ExampleRegister() {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	for _, name := range kinds.Names() {
		kind, _ := kinds.Kind(name)
		fmt.Printf("%-10s %s\n", name, kind.Doc)
	}
	// Output:
	// drop       Ignores events that are known, so that they don't count as unmatched.
	// exec       Hands events to a program in any language, and takes its verdicts.
	// file       Appends events to files, a line of JSON for each.
	// latest     Keeps the newest event of each key in Redis, for those who come later.
	// log        Writes one readable line per event to the log.
	// paper_bot  Obeys trade commands on paper and answers with the status of the bot.
	// publish    Forwards events to a declared channel, their bytes unchanged.
	// sql        Saves events in a table of a PostgreSQL or SQLite database, each once.
	// webhook    POSTs events to a URL, as CloudEvents or as JSON of your own.
}
