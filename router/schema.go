package router

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Schema is what the messages of a type have to satisfy beyond being events. Package
// routesfile makes one from a JSON Schema file; a Go program may write one by hand.
type Schema struct {
	// Check says in a line what is wrong with a whole message, which is valid JSON, and
	// where: "data.size is missing". Several goroutines may call it at a time.
	Check func(msg []byte) error
	// Text is what Check was made from, so that a reload can tell whether it changed;
	// without it nobody knows.
	Text []byte
	// Refs are the files that Text refers to, directly or through others, by their path
	// from the file of Text, with slashes: "common.json". A $ref in one of them starts at
	// its own path.
	Refs map[string][]byte
}

// satisfies checks a message against the schema of its type, if that has one.
func (d *decoder) satisfies(typ string, payload []byte) error {
	schema := d.channel.Schemas[typ]
	if schema.Check == nil {
		return nil
	}
	if err := schema.Check(payload); err != nil {
		return malformed(payload, CauseSchema, 0, fmt.Sprintf("%v (schema of type %q)", err, typ))
	}
	return nil
}

// checkSchemas reports schemas that no message would meet.
func (ch *Channel) checkSchemas() error {
	for _, typ := range slices.Sorted(maps.Keys(ch.Schemas)) {
		switch {
		case ch.Schemas[typ].Check == nil:
			return fmt.Errorf("the schema of type %q has no Check", typ)
		case len(ch.Types) > 0 && !slices.Contains(ch.Types, typ):
			return fmt.Errorf("type %q has a schema and is not one of its types", typ)
		}
	}
	return nil
}

// sameSchema reports whether two schemas are the same. Checks are functions, so what
// they were made from is compared.
func sameSchema(a, b Schema) bool {
	return len(a.Text) > 0 && bytes.Equal(a.Text, b.Text) && maps.EqualFunc(a.Refs, b.Refs, bytes.Equal)
}

// sameChannel reports whether two channels are the same.
func sameChannel(a, b Channel) bool {
	if !maps.EqualFunc(a.Schemas, b.Schemas, sameSchema) || !a.Hours.Equal(b.Hours) {
		return false
	}
	a.Schemas, b.Schemas = nil, nil
	a.Hours, b.Hours = Hours{}, Hours{} // a time zone remembers which of its offsets was asked for last
	return reflect.DeepEqual(a, b)
}
