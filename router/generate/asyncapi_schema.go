package generate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"signalbox/router"
)

// addSchema copies a schema, with the files that it refers to, into components/schemas. It
// returns the schema's name there and the media type of its draft.
func (d *document) addSchema(name string, schema router.Schema) (root, format string, err error) {
	files := slices.Sorted(maps.Keys(schema.Refs))
	candidates := []candidate{{name, ""}}
	for _, file := range files {
		candidates = append(candidates, candidate{name + "." + identifier(file), file})
	}
	names := map[string]string{} // by path from the schema's own file, which is ""
	for i, unique := range distinct(candidates) {
		names[candidates[i].of] = unique
	}
	for file, at := range names {
		text := schema.Refs[file]
		if file == "" {
			text = schema.Text
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber() // numbers stay as they are written
		var value any
		if err := dec.Decode(&value); err != nil {
			return "", "", fmt.Errorf("its schema: %w", err)
		}
		if fields, ok := value.(map[string]any); ok {
			if file == "" {
				format = formatOf(fields["$schema"])
			}
			// Both are about a file, and the copy is a part of the document.
			delete(fields, "$schema")
			delete(fields, "$id")
		}
		c := &copier{file: file, names: names}
		c.schema(value)
		if c.err != nil {
			return "", "", c.err
		}
		d.schemas[at] = value
	}
	return names[""], cmp.Or(format, formatOf(nil)), nil
}

// formatOf is the media type of the draft that "$schema" names.
func formatOf(schema any) string {
	uri, _ := schema.(string)
	for _, draft := range []string{"2019-09", "draft-07", "draft-06", "draft-04"} {
		if strings.Contains(uri, draft) {
			return "application/schema+json;version=" + draft
		}
	}
	return "application/schema+json;version=2020-12"
}

// copier writes the references of a schema's file anew: in an AsyncAPI document, # is the
// document.
type copier struct {
	file  string            // path from the schema's own file, which is ""
	names map[string]string // in components/schemas, by such paths
	err   error             // a reference that the document cannot have
}

// schema rewrites a schema, or a list of them. What stands under const, enum, default and
// examples is data.
func (c *copier) schema(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			text, isText := inner.(string)
			members, isTable := inner.(map[string]any)
			switch {
			case key == "$ref" && isText:
				v[key] = c.rebase(text)
			case slices.Contains([]string{"const", "enum", "default", "examples"}, key):
			case isTable && slices.Contains([]string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}, key):
				for _, member := range members { // whose keys are names
					c.schema(member)
				}
			default:
				c.schema(inner)
			}
		}
	case []any:
		for _, inner := range v {
			c.schema(inner)
		}
	}
}

// rebase is where a $ref of the file points in the document. One that leads to none of the
// copied files stays as it is.
func (c *copier) rebase(ref string) string {
	target, fragment, _ := strings.Cut(ref, "#")
	to := c.file
	if target != "" {
		decoded, err := url.PathUnescape(target)
		if err != nil {
			return ref
		}
		to = path.Join(path.Dir(c.file), decoded)
	}
	name, known := c.names[to]
	if !known {
		return ref
	}
	if fragment != "" && !strings.HasPrefix(fragment, "/") {
		c.err = fmt.Errorf("its schema has the reference %q, and an AsyncAPI document has no anchors; write a path such as #/$defs/%s", ref, fragment)
	}
	return "#/components/schemas/" + name + fragment
}
