package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzSchema checks on any schema and message that neither the compiler nor the check
// panics or lingers, and that each says what is wrong in one short line.
func FuzzSchema(f *testing.F) {
	shared, err := os.ReadFile("../testdata/shared/schemas/enter.json")
	if err != nil {
		f.Fatal(err)
	}
	message := []byte(`{"type":"enter","data":{"bot":"a","size":"0.5","n":[1,2.5e3,null]}}`)
	for _, schema := range []string{
		string(shared),
		`{"properties":{"data":{"anyOf":[{"$ref":"#/$defs/x"},{"const":1}]}},"$defs":{"x":{"required":["a"]}}}`,
		`{"$ref":"other.json"}`,
		draft4 + `"id":"http://a/b","definitions":{"x":{"id":"#c"}},"not":{"$ref":"#c"}}`,
		of2019 + `"$recursiveAnchor":true,"unevaluatedProperties":{"$recursiveRef":"#"}}`,
		`{"$dynamicAnchor":"x","additionalProperties":{"$dynamicRef":"#x"},"patternProperties":{"^a":false}}`,
	} {
		f.Add([]byte(schema), message)
	}
	f.Fuzz(func(t *testing.T, text, msg []byte) {
		path := filepath.Join(t.TempDir(), "a.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		oneLine := func(err error) {
			if err != nil && (len(err.Error()) > 3000 || strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error())) {
				t.Errorf("no short line: %q", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		}
		schema, err := NewCompiler(os.ReadFile).Compile(path)
		oneLine(err)
		if err != nil {
			return
		}
		err = schema.Check(msg)
		oneLine(err)
		if again := schema.Check(msg); (again == nil) != (err == nil) {
			t.Errorf("first %v, then %v", err, again)
		}
	})
}
