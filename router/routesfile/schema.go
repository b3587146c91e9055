package routesfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"signalbox/router"
)

// dialect is the draft that editors of TOML know: taplo, which Even Better TOML runs in VS
// Code, has if and then, which later drafts only move.
const dialect = "http://json-schema.org/draft-07/schema#"

// namePattern is what checkName demands of a name.
const namePattern = `^[A-Za-z0-9_.-]+$`

// Schema is a JSON Schema (draft-07) of a configuration file whose handlers and sources are
// of these kinds, for editors: they complete and explain keys by it, and mark mistakes. What takes
// more than one table to see, only [Load] sees: whether a channel is declared, for example.
func Schema(kinds *router.Registry) ([]byte, error) {
	definitions := map[string]any{}
	properties := map[string]any{}
	for _, table := range Keys(kinds) {
		properties[table.tag] = table.jsonSchema()
		if table.shape.kinds != nil {
			properties[table.tag] = kindsSchema(table, definitions)
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(map[string]any{
		"$schema":              dialect,
		"title":                "Signalbox routes",
		"description":          "Which Redis messages go to which handlers.",
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
		"definitions":          definitions,
	})
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return out.Bytes(), nil
}

// jsonSchema is the schema of what the key may be.
func (k Key) jsonSchema() map[string]any {
	schema := maps.Clone(k.shape.schema)
	if schema == nil {
		schema = map[string]any{"type": "object"}
	}
	if k.shape.fields != nil && !k.shape.open {
		maps.Copy(schema, tableSchema(k.Keys))
	}
	timed := k.Type == "duration" // a text, whose limits a schema cannot compare
	if k.Min != "" && !timed {
		schema["minimum"] = k.lowest
	}
	if k.Max != "" && !timed {
		schema["maximum"] = k.highest
	}
	if len(k.Values) > 0 && k.Type == "string" {
		// A pattern, because editors show it beside a mistake; of an anyOf they say nothing.
		schema["pattern"] = "^(" + strings.ReplaceAll(regexp.QuoteMeta(strings.Join(k.Values, "\n")), "\n", "|") + ")$|" + refers
		schema["anyOf"] = suggestions([]any{map[string]any{"enum": k.Values}})
	}
	for _, around := range slices.Backward(k.shape.wraps) {
		if around == asList {
			schema = map[string]any{"type": "array", "items": schema}
		} else {
			schema = map[string]any{"type": "object", "additionalProperties": schema}
		}
	}
	if text := k.description(); text != "" {
		schema["description"] = text
	}
	if k.json != nil {
		schema["default"] = k.json
	}
	return schema
}

// description is what an editor shows of the key.
func (k Key) description() string {
	text := k.Doc
	if k.Type == "duration" && (k.Min != "" || k.Max != "") {
		text += "; a " + k.Allowed()
	}
	if k.Default != "" && k.json == nil {
		text += "; default: " + k.Default
	}
	return text
}

// tableSchema is what a table with these keys adds to a schema.
func tableSchema(keys []Key) map[string]any {
	properties := map[string]any{}
	var required []string
	lacks := map[string]map[string]any{} // by transport
	for _, key := range keys {
		properties[key.tag] = key.jsonSchema()
		if key.Required {
			required = append(required, key.tag)
		}
		for _, why := range key.Not {
			transport, _, _ := strings.Cut(why, ":")
			if lacks[transport] == nil {
				lacks[transport] = map[string]any{}
			}
			lacks[transport][key.tag] = false
		}
	}
	schema := map[string]any{"properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	var rules []any
	for _, transport := range slices.Sorted(maps.Keys(lacks)) {
		rules = append(rules, when("transport", transport, map[string]any{"properties": lacks[transport]}))
	}
	apply(schema, rules)
	return schema
}

// apply makes a schema demand these, too. It stays clear of allOf, beside which taplo forgets
// the properties.
func apply(schema map[string]any, rules []any) {
	if len(rules) > 0 {
		schema["if"], schema["then"] = true, map[string]any{"allOf": rules}
	}
}

// when is a schema that holds for tables whose key is value.
func when(key, value string, then map[string]any) map[string]any {
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{key: map[string]any{"const": value}}, "required": []any{key}},
		"then": then,
	}
}

// kindsSchema is the schema of all handlers, or of all sources. What each kind takes goes to
// definitions, as do the keys that all of them have.
func kindsSchema(all Key, definitions map[string]any) map[string]any {
	what := strings.TrimSuffix(all.tag, "s")
	common := slices.DeleteFunc(slices.Clone(all.Keys), func(key Key) bool { return key.Kind != "" })
	kind := common[0]
	var rules, options []any
	byName := map[string]any{}
	for _, one := range all.kinds() {
		definition := strings.ReplaceAll(all.wordForKind(), " ", "_") + "_" + one.tag
		ref := map[string]any{"$ref": "#/definitions/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(definition))}
		rules = append(rules, when(kind.tag, one.tag, ref))
		options = append(options, ref)

		table := tableSchema(append(slices.Clone(common[1:]), one.Keys...))
		table["type"], table["title"], table["description"] = "object", one.tag, one.Doc
		inner, _ := table["properties"].(map[string]any)
		if inner[kind.tag] == nil {
			inner[kind.tag] = true // described below
		}
		definitions[definition] = table

		byName[one.tag] = map[string]any{
			"description": one.Doc,
			"if":          map[string]any{"required": []any{kind.tag}},
			"then":        map[string]any{"$ref": "#/definitions/" + what},
			"else":        ref,
			"anyOf":       suggestions([]any{ref}),
		}
	}
	one := map[string]any{"type": "object", "anyOf": suggestions(options)}
	kind.Required = true
	for key, value := range tableSchema(append([]Key{kind}, common[1:]...)) {
		if key != "additionalProperties" { // options are properties, too
			one[key] = value
		}
	}
	apply(one, rules)
	definitions[what] = one
	return map[string]any{
		"description":          all.Doc,
		"type":                 "object",
		"properties":           byName,
		"propertyNames":        map[string]any{"pattern": namePattern},
		"additionalProperties": map[string]any{"$ref": "#/definitions/" + what},
	}
}

// suggestions is an anyOf that everything fulfils, for what an editor offers. Taplo looks for
// that here, but not into if and then.
func suggestions(schemas []any) []any { return append(slices.Clip(schemas), true) }
