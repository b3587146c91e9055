package schema_test

import (
	"fmt"

	"signalbox/router/routesfile/schema"
)

func Example() {
	files := map[string]string{
		"enter.json":  `{"properties": {"data": {"required": ["bot"], "properties": {"size": {"$ref": "common.json#/$defs/size"}}}}}`,
		"common.json": `{"$defs": {"size": {"type": "number", "exclusiveMinimum": 0}}}`,
		"wrong.json":  `{"properties": {"data": {"type": "objekt"}}}`,
	}
	compiler := schema.NewCompiler(func(path string) ([]byte, error) { return []byte(files[path]), nil })
	enter, err := compiler.Compile("enter.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, msg := range []string{`{"data": {"bot": "a", "size": 0.5}}`, `{"data": {"size": "0.5"}}`, `{"data": {"bot": "a", "size": -1}}`} {
		fmt.Println(enter.Check([]byte(msg)))
	}
	_, err = compiler.Compile("wrong.json")
	fmt.Println(err)
	// Output:
	// <nil>
	// data.bot is missing; data.size: want a number, have "0.5"
	// data.size: want a number above 0, have -1
	// wrong.json:1:34: properties.data.type: want "array", "boolean", "integer", "null", "number", "object" or "string", have "objekt"
}
