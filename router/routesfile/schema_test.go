package routesfile

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"signalbox/router"
)

// compiledSchema is what the editors get. That it compiles says that it is valid by the
// schema of its draft.
func compiledSchema(t *testing.T, kinds *router.Registry) *jsonschema.Schema {
	t.Helper()
	text, err := Schema(kinds)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("routes.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("routes.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is a file of TOML as a validator takes it.
func asJSON(t *testing.T, text []byte) (document any, ok bool) {
	t.Helper()
	var file map[string]any
	if toml.Unmarshal(text, &file) != nil {
		return nil, false
	}
	return withoutDates(file), true
}

func withoutDates(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = withoutDates(v[key])
		}
	case []any:
		for i := range v {
			v[i] = withoutDates(v[i])
		}
	case string, bool, int64, float64:
	case time.Time: // as editors have it
		return v.Format(time.RFC3339)
	default:
		return nil // a date, for which JSON has no type
	}
	return value
}

// corpusFiles are the files of a folder of the corpus that are TOML by its syntax.
func corpusFiles(t *testing.T, folder string) map[string][]any {
	t.Helper()
	files := map[string][]any{}
	for _, pattern := range []string{"*.toml", "*.txtar"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			src, _ := corpusSource(t, path)
			name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			for _, part := range src.Paths {
				text, err := os.ReadFile(part)
				if err != nil {
					continue // a folder, or missing on purpose
				}
				if document, ok := asJSON(t, text); ok {
					files[name] = append(files[name], document)
				}
			}
		}
	}
	return files
}

// The compiler knows what a schema may be, or the tests below would show nothing.
func TestNoSchemaIsRefused(t *testing.T) {
	t.Parallel()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("no.json", map[string]any{"$schema": dialect, "properties": map[string]any{"a": map[string]any{"type": "text"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := compiler.Compile("no.json"); err == nil {
		t.Error("a schema with an unknown type compiles")
	}
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t, testKinds())
	files := corpusFiles(t, "testdata/good")
	if len(files) < 10 {
		t.Fatalf("%d good files", len(files))
	}
	for name, documents := range files {
		for _, document := range documents {
			if err := schema.Validate(document); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What is wrong with a bad file, an editor shows as far as one table and one value tell. The
// list of those files is in testdata: a change of the schema that blinds it is seen there.
func TestSchemaRefusesBadFiles(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t, testKinds())
	files := corpusFiles(t, "testdata/bad")
	var seen strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if slices.ContainsFunc(files[name], func(document any) bool { return schema.Validate(document) != nil }) {
			fmt.Fprintln(&seen, name)
		}
	}
	compare(t, "testdata/seen_by_schema.want", seen.String())
}

type treeOptions struct {
	Name     string        `toml:"name" required:"true"`
	Size     router.Size   `toml:"size" min:"1KiB" max:"1MiB"`
	Address  netip.Addr    `toml:"address"`
	Count    uint          `toml:"count"`
	Parts    []partOptions `toml:"parts"`
	Children []treeOptions `toml:"children"`
}

type partOptions struct {
	Wait []time.Duration `toml:"wait"`
}

func TestSchema(t *testing.T) {
	t.Parallel()
	kinds := testKinds()
	kinds.Add(
		router.Kind[treeOptions]{Name: "tree", New: nothing[treeOptions]},
		router.Kind[publishOptions]{Name: "a kind/~%", New: nothing[publishOptions]}, // a Go program may
		router.Kind[any]{Name: "anything", New: nothing[any]},
	)
	schema := compiledSchema(t, kinds)
	const channel = "[channels.a]\ntransport = \"stream\"\n"
	for _, test := range []struct {
		name, text string
		wrong      bool
	}{
		{name: "a kind's name", text: "[handlers.log]\nevery = \"1s\""},
		{name: "a kind's name, another option", text: "[handlers.log]\nevry = \"1s\"", wrong: true},
		{name: "a kind's name for another kind", text: "[handlers.log]\nkind = \"drop\""},
		{name: "a kind's name for another kind, its own option", text: "[handlers.log]\nkind = \"drop\"\nevery = \"1s\"", wrong: true},
		{name: "no kind", text: "[handlers.x]\nevery = \"1s\"", wrong: true},
		{name: "unknown kind", text: "[handlers.x]\nkind = \"lgo\"", wrong: true},
		{name: "kind by reference", text: "[handlers.x]\nkind = \"${KIND}\"\nevery = \"1s\""},
		{name: "no name", text: "[handlers.\"a b\"]\nkind = \"log\"", wrong: true},
		{name: "enum", text: "[log]\nlevel = \"inf\"", wrong: true},
		{name: "enum by reference", text: "[log]\nlevel = \"${LEVEL:-info}\""},
		{name: "number by reference", text: channel + "max_len = \"${N}\""},
		{name: "number as a text", text: channel + "max_len = \"5\"", wrong: true},
		{name: "number too low", text: channel + "max_len = 0", wrong: true},
		{name: "boolean by reference", text: "[[routes]]\nchannel = \"a\"\ntype = \"b\"\nhandler = \"c\"\nenabled = \"${ON:-true}\""},
		{name: "boolean as a text", text: "[[routes]]\nchannel = \"a\"\ntype = \"b\"\nhandler = \"c\"\nenabled = \"true\"", wrong: true},
		{name: "duration", text: "[service]\ndrain = \"1h30m\""},
		{name: "duration without unit", text: "[service]\ndrain = \"30\"", wrong: true},
		{name: "duration with a reference in it", text: "[service]\ndrain = \"${N}s\""},
		{name: "not of a stream", text: channel + "queue = 5", wrong: true},
		{name: "size", text: channel + "max_bytes = \"64KiB\""},
		{name: "size as a number", text: channel + "max_bytes = 65536"},
		{name: "size too large", text: channel + "max_bytes = 1_000_000_000", wrong: true},
		{name: "no size", text: channel + "max_bytes = \"64 kilos\"", wrong: true},
		{name: "split", text: channel + "split = \"data.trades\""},
		{name: "dead letter in quotes", text: channel + "dead_letter = \"true\"", wrong: true},
		{name: "dedupe", text: "[[routes]]\nchannel = [\"a\"]\ntype = \"b\"\nhandler = \"c\"\ndedupe = { window = \"1h\", by = \"key\" }"},
		{name: "dedupe without window", text: "[[routes]]\nchannel = \"a\"\ntype = \"b\"\nhandler = \"c\"\ndedupe = { by = \"key\" }", wrong: true},
		{name: "dedupe misspelt", text: "[[routes]]\nchannel = \"a\"\ntype = \"b\"\nhandler = \"c\"\ndedupe = { window = \"1h\", buy = \"key\" }", wrong: true},
		{name: "retry misspelt", text: "[defaults]\nretry = { atempts = 3 }", wrong: true},
		{name: "name twice", text: "[[routes]]\nchannel = [\"a\", \"a\"]\ntype = \"b\"\nhandler = \"c\"", wrong: true},
		{name: "tree", text: "[handlers.tree]\nname = \"a\"\nsize = \"2KiB\"\naddress = \"::1\"\ncount = 3\nparts = [{ wait = [\"1s\"] }]\nchildren = [{ name = \"b\" }]"},
		{name: "tree without a name", text: "[handlers.tree]", wrong: true},
		{name: "tree, size", text: "[handlers.tree]\nname = \"a\"\nsize = 5", wrong: true},
		{name: "tree, count", text: "[handlers.tree]\nname = \"a\"\ncount = -3", wrong: true},
		{name: "tree, part", text: "[handlers.tree]\nname = \"a\"\nparts = [{ wit = [\"1s\"] }]", wrong: true},
		{name: "tree, list", text: "[handlers.tree]\nname = \"a\"\nparts = [{ wait = [\"1\"] }]", wrong: true},
		{name: "odd kind", text: "[handlers.x]\nkind = \"a kind/~%\"\nchannel = \"a\""},
		{name: "odd kind, option", text: "[handlers.x]\nkind = \"a kind/~%\"\nchanel = \"a\"", wrong: true},
		{name: "kind without a struct", text: "[handlers.anything]"},
		{name: "kind without a struct, option", text: "[handlers.anything]\na = 1", wrong: true},
		{name: "table", text: "[chanels.a]\ntransport = \"stream\"", wrong: true},
	} {
		document, ok := asJSON(t, []byte(test.text))
		if !ok {
			t.Fatalf("%s: no TOML", test.name)
		}
		if err := schema.Validate(document); (err != nil) != test.wrong {
			t.Errorf("%s: %v, wrong: %t", test.name, err, test.wrong)
		}
	}
}
