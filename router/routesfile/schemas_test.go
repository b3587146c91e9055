package routesfile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const withSchemas = `
[channels.commands]
transport = "stream"
schemas   = { enter = "schemas/enter.json" }

[[routes]]
channel = "commands"
type    = "*"
handler = "log"
`

func TestSchemas(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"routes.toml":         withSchemas,
		"schemas/enter.json":  "\ufeff{\"properties\":{\"data\":{\"$ref\":\"common.json\"}}}",
		"schemas/common.json": `{"required":["bot"]}`,
	})
	result, err := Load(Source{Paths: []string{dir}}, testKinds())
	if err != nil {
		t.Fatal(err)
	}
	schema := result.Config.Channels[0].Schemas["enter"]
	if err := schema.Check([]byte(`{"data":{}}`)); err == nil || err.Error() != "data.bot is missing" {
		t.Errorf("Check: %v", err)
	}
	if !bytes.HasPrefix(schema.Text, []byte(`{"prop`)) || string(schema.Refs["common.json"]) != `{"required":["bot"]}` {
		t.Errorf("text %s, refs %s", schema.Text, schema.Refs)
	}
}

// The schema of the shared configurations, and what its page says of it.
func TestSharedSchema(t *testing.T) {
	t.Parallel()
	text := strings.Replace(withSchemas, "schemas/enter.json", "testdata/shared/schemas/enter.json", 1)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, "testdata", filepath.ToSlash(dir)+"/testdata", 1)
	check := mustLoad(t, text, Source{}).Config.Channels[0].Schemas["enter"].Check
	if err := check([]byte(`{"type":"enter","data":{"bot":"a","side":"long","size":"0.5"}}`)); err != nil {
		t.Error(err)
	}
	if err := check([]byte(`{"type":"enter","data":{"bot":"a","side":"up","size":"0.5"}}`)); err == nil || err.Error() != `data.side: want "long" or "short", have "up"` {
		t.Error(err)
	}
}

// What Load read is what Digest looks at again, whether there were mistakes or not.
func TestDigestOfSchemas(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"routes.toml": withSchemas, "schemas/enter.json": `{"$ref":"common.json"}`, "schemas/common.json": "true",
	})
	src := Source{Paths: []string{filepath.Join(dir, "routes.toml")}}
	seen := map[string]bool{}
	load := func(what string, mistakes bool, schemas ...string) {
		t.Helper()
		result, err := Load(src, testKinds())
		if (err != nil) != mistakes {
			t.Errorf("%s: %v", what, err)
		}
		for i := range schemas {
			schemas[i] = filepath.Join(dir, "schemas", schemas[i])
		}
		if !slices.Equal(result.Schemas, schemas) {
			t.Errorf("%s: read %q, want %q", what, result.Schemas, schemas)
		}
		if again := src.Digest(result.Schemas...); result.Digest != again || len(again) != 64 {
			t.Errorf("%s: Load says %s, Digest %s", what, result.Digest, again)
		}
		if seen[result.Digest] {
			t.Errorf("%s: nothing changed", what)
		}
		seen[result.Digest] = true
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load("at first", false, "enter.json", "common.json")
	write("schemas/common.json", "{}")
	load("a reference changed", false, "enter.json", "common.json")
	write("schemas/common.json", "{")
	load("it is broken", true, "enter.json", "common.json")
	if err := os.Remove(filepath.Join(dir, "schemas/common.json")); err != nil {
		t.Fatal(err)
	}
	load("it is gone", true, "enter.json", "common.json")
	write("schemas/enter.json", `{"$ref":"other.json"}`)
	load("another reference", true, "enter.json", "other.json")
	write("schemas/enter.json", strings.Repeat(" ", maxSchema+1))
	load("too large", true, "enter.json")
	write("routes.toml", "[")
	load("no TOML", true)
}

func TestSchemaFileIsTooLarge(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"routes.toml": withSchemas, "schemas/enter.json": strings.Repeat(" ", maxSchema+1)})
	_, err := Load(Source{Paths: []string{dir}}, testKinds())
	if err == nil || !strings.HasSuffix(err.Error(), `channel "commands": schemas.enter: `+filepath.Join(dir, "schemas/enter.json")+": cannot be read: it is larger than 1024 KiB") {
		t.Error(err)
	}
}
