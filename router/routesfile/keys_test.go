package routesfile

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// fieldTypes are the types that the fields of a struct are decoded into, with those in them.
func fieldTypes(t reflect.Type, into map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if into[t] {
		return
	}
	into[t] = true
	if t.Kind() == reflect.Struct {
		for _, field := range fieldsOf(t) {
			fieldTypes(field.Type, into)
		}
	}
}

// A type that decodes itself has to say what it is in a file: nobody else can know.
func TestShaped(t *testing.T) {
	t.Parallel()
	types := map[reflect.Type]bool{}
	fieldTypes(reflect.TypeFor[rawFile](), types)
	customs := 0
	for one := range types {
		pointer := reflect.New(one).Interface()
		if _, ok := pointer.(custom); !ok {
			continue
		}
		customs++
		if _, ok := pointer.(shaped); !ok {
			t.Errorf("%v has decodeNode but no shape: add one in shape.go", one)
		}
	}
	if customs < 6 {
		t.Errorf("found %d types that decode themselves", customs)
	}
}

// Every key of a file says what it is for, and its default is one that its schema allows.
func TestKeysAreDescribed(t *testing.T) {
	t.Parallel()
	for _, key := range All(Keys(testKinds())) {
		if key.Doc == "" && key.Kind == "" {
			t.Errorf("%s has no doc tag in raw.go", key.Path)
		}
		if key.json == nil {
			continue
		}
		if err := validate(t, key.jsonSchema(), key.json); err != nil && key.Name != "batch" { // see testKinds
			t.Errorf("%s: the default is not allowed: %v", key.Path, err)
		}
	}
}

func validate(t *testing.T, schema, value any) error {
	t.Helper()
	var values []any
	for _, one := range []any{schema, value} {
		text, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, again)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	if err := compiler.AddResource("key.json", values[0]); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("key.json").Validate(values[1])
}

func TestFind(t *testing.T) {
	t.Parallel()
	keys := Keys(testKinds())
	for name, want := range map[string][]string{
		"max_age":                {"defaults.max_age", "routes.max_age"},
		"routes.max_age":         {"routes.max_age"},
		"retry.attempts":         {"defaults.retry.attempts", "routes.retry.attempts"},
		"log":                    {"log", "handlers.log"},
		"log.level":              {"log.level", "handlers.log.level"},
		"save.limits.rows":       {"handlers.save.limits.rows"},
		"channels.prices.queue":  {"channels.queue"},
		"handlers.mine.dsn":      {"handlers.save.dsn"},
		"service.prices.queue":   nil,
		"channels.prices.nobody": nil,
		"age":                    nil,
		"":                       nil,
	} {
		var got []string
		for _, key := range Find(keys, name) {
			got = append(got, key.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", name, got, want)
		}
	}
}

// An example is a line that the schema of its key allows.
func TestExamplesOfKeys(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, key := range All(Keys(testKinds())) {
		line := key.Example()
		if line == "" {
			continue
		}
		shown++
		document, ok := asJSON(t, []byte(line))
		if !ok {
			t.Errorf("%s: %s is no TOML", key.Path, line)
			continue
		}
		value := document
		for range strings.Count(key.Name, ".") + 1 {
			for _, inner := range value.(map[string]any) { //nolint:forcetypeassert // a line has one key
				value = inner
			}
		}
		if err := validate(t, key.jsonSchema(), value); err != nil && key.Name != "batch" { // see testKinds
			t.Errorf("%s: %s: %v", key.Path, line, err)
		}
	}
	if shown < 40 {
		t.Errorf("%d examples", shown)
	}
}
