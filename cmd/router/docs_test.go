package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

var tomlBlock = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")

// The TOML that the pages show can be loaded. Most of it is a part of a file: what it
// names and does not declare is declared around it.
func TestDocumentedTOML(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range tomlBlock.FindAllSubmatchIndex(text, -1) {
			found++
			line := strings.Count(string(text[:at[2]]), "\n") + 1
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(page), line), func(t *testing.T) {
				t.Parallel()
				loadDocumented(t, string(text[at[2]:at[3]]))
				checkBySchema(t, string(text[at[2]:at[3]]))
			})
		}
	}
	if found < 15 {
		t.Errorf("%d blocks of TOML in the pages: is the pattern right?", found)
	}
}

func loadDocumented(t *testing.T, block string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "documented.toml")
	if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	writeDocumentedSchema(t, dir)
	around := filepath.Join(dir, "around.toml")
	if err := os.WriteFile(around, []byte(surroundings(t, block)), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := documentedKinds()
	if _, err := routesfile.Load(routesfile.Source{Paths: []string{file, around}, Check: true}, kinds); err != nil {
		t.Errorf("%v\nwith\n%s", err, surroundings(t, block))
	}
}

func documentedKinds() *router.Registry {
	kinds := router.NewRegistry(router.Kind[struct{}]{Name: "trade", Doc: "a bot's own", New: func(router.Env, struct{}) (router.Handler, error) {
		return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
	}})
	handlers.Register(kinds)
	sources.Register(kinds)
	return kinds
}

// By the schema that editors use, nothing is wrong with a block either.
func checkBySchema(t *testing.T, block string) {
	t.Helper()
	text, err := routesfile.Schema(documentedKinds())
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := toml.Unmarshal([]byte(block), &file); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	var values [2]any
	for i, part := range [][]byte{text, written} {
		if values[i], err = jsonschema.UnmarshalJSON(bytes.NewReader(part)); err != nil {
			t.Fatal(err)
		}
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("routes.schema.json", values[0]); err != nil {
		t.Fatal(err)
	}
	if err := compiler.MustCompile("routes.schema.json").Validate(values[1]); err != nil {
		t.Error(err)
	}
}

// surroundings declares the channels and handlers that a part of a file names, and
// routes its own when it has neither routes nor sources.
func surroundings(t *testing.T, block string) string {
	var file struct {
		Channels map[string]map[string]any
		Sources  map[string]map[string]any
		Handlers map[string]map[string]any
		Routes   []map[string]any
	}
	if err := toml.Unmarshal([]byte(block), &file); err != nil {
		t.Fatal(err)
	}
	channels, handlers := map[string]bool{}, map[string]bool{}
	name := func(into map[string]bool, value any) {
		switch v := value.(type) {
		case string:
			into[v] = true
		case []any:
			for _, one := range v {
				into[fmt.Sprint(one)] = true
			}
		}
	}
	for _, route := range file.Routes {
		name(channels, route["channel"])
		name(channels, route["dead_letter"])
		name(handlers, route["handler"])
	}
	for _, source := range file.Sources {
		name(channels, source["channel"])
	}
	for _, channel := range file.Channels {
		name(channels, channel["dead_letter"])
	}
	for _, handler := range file.Handlers {
		name(channels, handler["channel"])
	}
	delete(channels, "*")
	var b strings.Builder
	for _, channel := range slices.Sorted(maps.Keys(channels)) {
		if _, declared := file.Channels[channel]; !declared {
			transport := "stream"
			if strings.Contains(channel, "price") {
				transport = "pubsub"
			}
			fmt.Fprintf(&b, "[channels.%s]\ntransport = %q\nkey_field = \"key\"\n", channel, transport)
		}
	}
	for _, handler := range slices.Sorted(maps.Keys(handlers)) {
		if _, declared := file.Handlers[handler]; !declared && !slices.Contains([]string{"log", "drop", "trade"}, handler) {
			fmt.Fprintf(&b, "[handlers.%s]\nkind = \"log\"\n", handler)
		}
	}
	if len(file.Channels)+len(channels) == 0 {
		b.WriteString("[channels.any]\ntransport = \"stream\"\n")
	}
	if len(file.Routes)+len(file.Sources) == 0 {
		b.WriteString("[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = \"log\"\n")
	}
	return b.String()
}
