package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// many is n times a text, with commas, in which @ is a number.
func many(n int, text string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(text, "@", fmt.Sprint(i)))
	}
	return b.String()
}

// TestHugeSchemasAreQuick compiles what is large, deep or repetitive enough to show any
// quadratic cost, and must be refused with a line where it says more.
func TestHugeSchemasAreQuick(t *testing.T) {
	t.Parallel()
	var doubling strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"members":          {`{"properties":{` + many(1400, `"p@":{"minimum":1}`) + `}}`, ""},
		"more members":     {`{"properties":{` + many(3000, `"p@":{"minimum":1}`) + `}}`, "it has 3002 objects, more than 3000; describe less"},
		"booleans":         {`{"properties":{` + many(2990, `"p@":true`) + `}}`, ""},
		"references":       {`{"properties":{` + many(1490, `"p@":{"$ref":"#/x/@"}`) + `},"x":{` + many(1490, `"@":{}`) + `}}`, ""},
		"ids":              {`{"$defs":{` + many(2990, `"p@":{"$id":"p@"}`) + `}}`, ""},
		"ids of draft 4":   {draft4 + `"definitions":{` + many(2990, `"p@":{"id":"p@"}`) + `}}`, ""},
		"anchors":          {`{"$defs":{` + many(2990, `"p@":{"$dynamicAnchor":"p@"}`) + `}}`, ""},
		"ids and refs":     {`{"$defs":{` + many(1490, `"p@":{"$id":"p@"},"q@":{"$ref":"p@"}`) + `}}`, ""},
		"patterns":         {`{"properties":{` + many(1490, `"p@":{"pattern":"@(a{1000})"}`) + `}}`, "the patterns of this configuration are too large together"},
		"a pattern":        {`{"pattern":"(((a{100}){100}){100})"}`, "cannot be used as a pattern"},
		"a large pattern":  {`{"pattern":"(a{999}){9}"}`, "cannot be used as a pattern"},
		"a list":           {`{"enum":[` + many(100_000, `"p@"`) + `]}`, ""},
		"required":         {`{"required":[` + many(100_000, `"p@"`) + `]}`, ""},
		"alternatives":     {`{"anyOf":[` + many(2990, `{}`) + `]}`, ""},
		"deep":             {strings.Repeat(`{"not":`, 90) + `{}` + strings.Repeat(`}`, 90), ""},
		"too deep":         {strings.Repeat(`{"not":`, 100) + `{}` + strings.Repeat(`}`, 100), "is nested too deep"},
		"brackets":         {strings.Repeat(`[`, 1<<20), "is nested too deep"},
		"a long name":      {`{"properties":{"` + strings.Repeat("x", 10_000) + `":{"properties":{` + many(200, `"p@":{}`) + `}}}}`, "its names are too long, or nested too deep; describe less"},
		"quotes":           {strings.Repeat(`"`, 1<<20), "not JSON"},
		"doubling":         {`{"$defs":{` + doubling.String() + `"d60":{}},"$ref":"#/$defs/d0"}`, "it refers to the same schemas in too many ways; describe less"},
		"a hidden dialect": {`{"$defs":{"a":{"$id":"a","$schema":"b"}}}`, "is not fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := written(t, map[string]string{"a.json": tc.text})
			if took := time.Since(start); took > patience {
				t.Errorf("%d KiB took %s", len(tc.text)>>10, took)
			} else {
				t.Logf("%d KiB took %s", len(tc.text)>>10, took)
			}
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if err != nil && (len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n")) {
				t.Errorf("no short line: %v", err)
			}
		})
	}
}

// Many files are as bad as a large one.
func TestAllSchemasHaveALimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := NewCompiler(os.ReadFile)
	refused := 0
	for i := range 10 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(`{"properties":{`+many(2500, `"p@":true`)+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Compile(path); err != nil {
			refused++
			if !strings.Contains(err.Error(), "the schemas of this configuration have more than 20000 objects") {
				t.Error(err)
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d were refused", refused)
	}
	if err := os.WriteFile(filepath.Join(dir, "refs"), []byte(`{"allOf":[`+many(200, `{"$ref":"r@"}`)+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := NewCompiler(func(path string) ([]byte, error) {
		if filepath.Base(path) == "refs" {
			return os.ReadFile(path)
		}
		return []byte("true"), nil
	}).Compile(filepath.Join(dir, "refs"))
	if err == nil || !strings.Contains(err.Error(), "it refers to more than 100 files; put some of them into one") {
		t.Error(err)
	}
}

// A message chooses how deep a schema that refers to itself is tried: each of these would
// take longer than the universe has.
func TestHostileMessagesAreQuick(t *testing.T) {
	t.Parallel()
	nest := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for name, tc := range map[string]struct{ schema, message string }{
		"alternatives": {`{"additionalProperties":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]},"required":["b"]}`, nest(95)},
		"all":          {`{"properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, nest(95)},
		"dynamic":      {`{"$dynamicAnchor":"n","properties":{"a":{"allOf":[{"$dynamicRef":"#n"},{"$dynamicRef":"#n"}]}}}`, nest(95)},
		"draft 4":      {draft4 + `"properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, nest(95)},
	} {
		schema := compiled(t, tc.schema)
		start := time.Now()
		err := schema.Check([]byte(tc.message))
		if took := time.Since(start); took > patience || err == nil || err.Error() != "the message fits its schema in too many ways to try them all" {
			t.Errorf("%s: %v after %s", name, err, took)
		} else {
			t.Logf("%s took %s", name, took)
		}
		if schema.Check([]byte(`{"a":1,"b":2}`)) != nil {
			t.Errorf("%s: a short message is refused, too", name)
		}
	}
	if err := compiled(t, `{"items":{"$ref":"#"}}`).Check([]byte(strings.Repeat("[", 101) + strings.Repeat("]", 101))); err == nil || !strings.HasSuffix(err.Error(), "0.0.… is nested too deep") {
		t.Errorf("101 levels: %v", err)
	}
	honest := compiled(t, `{"properties":{"l":{"items":{"$ref":"#"}}}}`)
	message := `{"l":[` + many(20_000, `{"l":[{},{}]}`) + `]}`
	if err := honest.Check([]byte(message)); err != nil {
		t.Errorf("%d KiB: %v", len(message)>>10, err)
	}
	start := time.Now()
	numbers := compiled(t, `{"items":{"multipleOf":0.0001,"maximum":1e1000}}`)
	if err := numbers.Check([]byte(`[` + many(20_000, `1e1000`) + `]`)); err != nil || time.Since(start) > patience {
		t.Errorf("numbers: %v after %s", err, time.Since(start))
	}
}
