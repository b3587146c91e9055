package schema

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"signalbox/router"
)

// written writes files and compiles the first of them, which is a.json.
func written(t testing.TB, files map[string]string) (router.Schema, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := NewCompiler(os.ReadFile).Compile(filepath.Join(dir, "a.json"))
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return schema, err
}

func compiled(t testing.TB, text string) router.Schema {
	t.Helper()
	schema, err := written(t, map[string]string{"a.json": text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return schema
}

const (
	draft4 = `{"$schema":"http://json-schema.org/draft-04/schema#",`
	draft6 = `{"$schema":"http://json-schema.org/draft-06/schema#",`
	draft7 = `{"$schema":"http://json-schema.org/draft-07/schema",`
	of2019 = `{"$schema":"https://json-schema.org/draft/2019-09/schema",`
)

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ schema, message, want string }{
		{`{"properties":{"data":{"type":"object"}}}`, `{"data":{}}`, ""},
		{`{"properties":{"data":{"type":"object"}}}`, `{"data":[1]}`, "data: want an object, have an array"},
		{`{"properties":{"n":{"type":["integer","null"]}}}`, `{"n":1.5}`, "n: want null or an integer, have 1.5"},
		{`{"properties":{"n":{"type":"integer"}}}`, `{"n":1.0}`, ""},
		{`{"required":["b","a"]}`, `{}`, "a is missing; b is missing"},
		{`{"required":["a","b","c","d","e"]}`, `{}`, "a is missing; b is missing; c is missing; and 2 more"},
		{`{"properties":{"a.b":{"required":["c d"]}}}`, `{"a.b":{}}`, `"a.b"."c d" is missing`},
		{`{"additionalProperties":false,"properties":{"a":true}}`, `{"a":1,"b":2}`, "b is not allowed"},
		{`{"properties":{"a":false}}`, `{"a":1}`, "a is not allowed"},
		{`false`, `{}`, "the message is not allowed"},
		{`{"properties":{"side":{"enum":["long","short",3,null]}}}`, `{"side":"up"}`, `side: want "long", "short", 3 or null, have "up"`},
		{`{"properties":{"side":{"enum":["long","short"]}}}`, `{"side":{"x":"secret"}}`, `side: want "long" or "short", have an object`},
		{`{"properties":{"v":{"const":{"a":1}}}}`, `{"v":{"a":2}}`, "v: want an object, have an object"},
		{`{"properties":{"v":{"const":2}}}`, `{"v":true}`, "v: want 2, have true"},
		{`{"properties":{"n":{"minimum":0}}}`, `{"n":-1}`, "n: want a number from 0, have -1"},
		{`{"properties":{"n":{"maximum":2.50}}}`, `{"n":2.51}`, "n: want a number up to 2.5, have 2.51"},
		{`{"properties":{"n":{"exclusiveMinimum":0}}}`, `{"n":0}`, "n: want a number above 0, have 0"},
		{draft4 + `"properties":{"n":{"maximum":3,"exclusiveMaximum":true}}}`, `{"n":3}`, "n: want a number below 3, have 3"},
		{`{"properties":{"n":{"multipleOf":0.01}}}`, `{"n":0.125}`, "n: want a multiple of 0.01, have 0.125"},
		{`{"properties":{"s":{"minLength":1}}}`, `{"s":""}`, "s: want 1 character or more, have 0"},
		{`{"properties":{"s":{"maxLength":2}}}`, `{"s":"äöü"}`, "s: want 2 characters at most, have 3"},
		{`{"properties":{"s":{"pattern":"^[a-z]+$"}}}`, `{"s":"A"}`, `s: want a string that matches "^[a-z]+$", have "A"`},
		{`{"properties":{"s":{"pattern":"x"}}}`, `{"s":"` + strings.Repeat("a", 50) + `"}`, `s: want a string that matches "x", have "` + strings.Repeat("a", 40) + `"…`},
		{`{"properties":{"l":{"minItems":1}}}`, `{"l":[]}`, "l: want 1 item or more, have 0"},
		{`{"properties":{"l":{"maxItems":1}}}`, `{"l":[1,2]}`, "l: want 1 item at most, have 2"},
		{`{"properties":{"l":{"uniqueItems":true}}}`, `{"l":[1,2,1.0]}`, "l has the same item at 0 and 2"},
		{`{"properties":{"l":{"contains":{"const":1}}}}`, `{"l":[2]}`, "l has no item that contains asks for"},
		{of2019 + `"properties":{"l":{"contains":{"const":1},"minContains":2}}}`, `{"l":[1]}`, "l: want 2 items or more that contains asks for, have 1"},
		{of2019 + `"properties":{"l":{"contains":{"const":1},"maxContains":1}}}`, `{"l":[1,1]}`, "l: want 1 item at most that contains asks for, have 2"},
		{draft7 + `"properties":{"l":{"items":[true],"additionalItems":false}}}`, `{"l":[1,2,3]}`, "l has 2 items too many"},
		{`{"properties":{"l":{"items":{"required":["qty"]}}}}`, `{"l":[{"qty":1},{}]}`, "l.1.qty is missing"},
		{`{"minProperties":3}`, `{"a":1}`, "the message: want 3 members or more, have 1"},
		{`{"maxProperties":1}`, `{"a":1,"b":1}`, "the message: want 1 member at most, have 2"},
		{draft6 + `"propertyNames":{"maxLength":1}}`, `{"ab":1}`, `the message may have no member "ab"`},
		{draft4 + `"dependencies":{"a":["b"]}}`, `{"a":1}`, `the message has "a", and lacks "b"`},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `the message has "a", and lacks "b"`},
		{`{"not":{"required":["a"]}}`, `{"a":1}`, "the message is what it must not be (not)"},
		{`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, "b is missing"},
		{`{"unevaluatedProperties":false,"allOf":[{"properties":{"a":true}}]}`, `{"a":1,"b":1}`, "b is not allowed"},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":1}`, "the message fits alternatives 1 and 2 of oneOf, and must fit one alone"},
		{`{"properties":{"v":{"anyOf":[{"type":"null"},{"type":"object","required":["a"]}]}}}`, `{"v":{}}`, "v.a is missing"},
		{`{"properties":{"v":{"anyOf":[{"const":1},{"const":2}]}}}`, `{"v":3}`, "v fits none of 2 alternatives (v: want 1, have 3; or v: want 2, have 3)"},
		{`{"allOf":[{"required":["a"]},{"required":["a"]}]}`, `{}`, "a is missing"},
		{`{"$ref":"#"}`, `{}`, `the message: the schema refers to itself for ever: "/$ref"`},

		// Formats are asserted in each draft; one that is not known is not.
		{`{"properties":{"t":{"format":"date-time"}}}`, `{"t":"today"}`, `t: want the format date-time, have "today"`},
		{draft4 + `"properties":{"t":{"format":"date-time"}}}`, `{"t":"2026-11-26T17:00:00Z"}`, ""},
		{of2019 + `"properties":{"t":{"format":"uuid"}}}`, `{"t":"x"}`, `t: want the format uuid, have "x"`},
		{`{"properties":{"t":{"format":"phone"}}}`, `{"t":"x"}`, ""},
		{`{"properties":{"t":{"format":"regex"}}}`, `{"t":"("}`, `t: "(" cannot be used as a pattern: missing closing ): "("`},

		// Nothing is rounded.
		{`{"properties":{"n":{"const":9007199254740993}}}`, `{"n":9007199254740992}`, "n: want 9007199254740993, have 9007199254740992"},
		{`{"properties":{"n":{"maximum":0.3}}}`, `{"n":0.3000000000000000000000001}`, "n: want a number up to 0.3, have 0.3000000000000000000000001"},
		{`{"properties":{"n":{"minimum":0}}}`, `{"n":1e999999999}`, "n: the number 1e999999999 is too large to be checked exactly"},
		{`{}`, `{"n":[` + strings.Repeat("1", 1001) + `]}`, "n.0: the number " + strings.Repeat("1", 40) + "… is too large to be checked exactly"},
		{`{"properties":{"n":{"minimum":0}}}`, `{"n":1e-1000}`, ""},

		// What two programs read differently satisfies nothing.
		{`{}`, `{"data":{"qty":1,"qty":2}}`, "data.qty stands twice"},
		{`{}`, `{"a":1,"\u0061":2}`, "a stands twice"},
		{`{}`, `{"a":`, "not JSON: the text ends too early"},
		{`{}`, `{} {}`, "not JSON: more text follows the value"},
	} {
		err := compiled(t, tc.schema).Check([]byte(tc.message))
		if got := fmt.Sprint(err); got != tc.want && (err != nil || tc.want != "") {
			t.Errorf("%s on %s:\ngot  %s\nwant %s", tc.schema, tc.message, got, tc.want)
		}
	}
}

// The texts that a schema consists of, by their path from it, and each read once.
func TestRefs(t *testing.T) {
	read := map[string]int{}
	files := map[string]string{
		"a/enter.json":     `{"properties":{"o":{"$ref":"sub/order.json"},"s":{"$ref":"../common.json#/$defs/side"},"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"number"}}}`,
		"a/exit.json":      `{"$ref":"../common.json#/$defs/side"}`,
		"a/sub/order.json": `{"properties":{"side":{"$ref":"../../common.json#/$defs/side"}}}`,
		"common.json":      `{"$id":"common.json","$defs":{"side":{"enum":["long","short"]}}}`,
	}
	c := NewCompiler(func(path string) ([]byte, error) {
		path = filepath.ToSlash(path)
		read[path]++
		text, ok := files[path]
		if !ok {
			return nil, os.ErrNotExist
		}
		return []byte(text), nil
	})
	for range 2 {
		schema, err := c.Compile("a/enter.json")
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(schema.Refs)); !slices.Equal(got, []string{"../common.json", "sub/order.json"}) {
			t.Errorf("refs %q", got)
		}
		if string(schema.Text) != files["a/enter.json"] || string(schema.Refs["sub/order.json"]) != files["a/sub/order.json"] {
			t.Error("these are not the texts of the files")
		}
		for msg, want := range map[string]string{
			`{"o":{"side":"up"}}`: `o.side: want "long" or "short", have "up"`,
			`{"s":1}`:             `s: want "long" or "short", have 1`,
			`{"n":"x"}`:           `n: want a number, have "x"`,
			`{"n":1,"s":"long"}`:  "<nil>",
		} {
			if got := fmt.Sprint(schema.Check([]byte(msg))); got != want {
				t.Errorf("%s: %s", msg, got)
			}
		}
	}
	if exit, err := c.Compile("a/exit.json"); err != nil || len(exit.Refs) != 1 {
		t.Errorf("exit: %v, %v", exit.Refs, err)
	}
	want := map[string]int{"a/enter.json": 1, "a/exit.json": 1, "a/sub/order.json": 1, "common.json": 1}
	if !maps.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
}

// An $id with a host is only a name: what it holds is found, and nothing is fetched.
func TestIDs(t *testing.T) {
	schema := compiled(t, `{"$id":"https://example.com/enter.json","$defs":{"n":{"$id":"n.json","type":"number"}},"properties":{"a":{"$ref":"#/$defs/n"},"b":{"$ref":"n.json"},"c":{"$ref":"https://example.com/n.json"}}}`)
	if got := fmt.Sprint(schema.Check([]byte(`{"a":"x","b":"x","c":"x"}`))); got != `a: want a number, have "x"; b: want a number, have "x"; c: want a number, have "x"` {
		t.Error(got)
	}
	for _, tc := range []struct{ text, want string }{
		{`{"$ref":"https://example.com/x.json"}`, `a.json:1:9: $ref: "https://example.com/x.json" is not fetched, as nothing is; save it as a file and write the path of that`},
		{`{"$id":"https://example.com/a.json","$ref":"x.json"}`, `a.json:1:44: $ref: "x.json" begins at the $id above it, so it is "https://example.com/x.json", which is not fetched, as nothing is; remove that $id to refer to files`},
		{`{"$ref":"//example.com/x.json"}`, `a.json:1:9: $ref: "file://example.com/x.json" is not fetched, as nothing is; save it as a file and write the path of that`},
		{`{"$schema":"https://example.com/x.json"}`, `a.json:1:12: $schema: "https://example.com/x.json" is no draft that is known; write "https://json-schema.org/draft/2020-12/schema"`},
	} {
		if _, err := written(t, map[string]string{"a.json": tc.text, "x.json": "true"}); err == nil || err.Error() != tc.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

func TestCheckIsConcurrent(t *testing.T) {
	schema := compiled(t, `{"properties":{"r":{"format":"regex"},"next":{"$ref":"#"},"or":{"$ref":"#"}}}`)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 100 {
				if err := schema.Check(fmt.Appendf(nil, `{"next":{"r":"a{%d}%d"}}`, j, i)); err != nil {
					t.Error(err)
				}
				if err := schema.Check([]byte(`{"next":{"r":"("}}`)); err == nil {
					t.Error("no error")
				}
			}
		})
	}
	group.Wait()
}
