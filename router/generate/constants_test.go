package generate_test

import (
	"cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"signalbox/router"
)

// checkConstants compares what a language makes of the constants with the configuration:
// each channel and each type must be there once, as it was declared.
func checkConstants(t *testing.T, cfg router.Config, name, constants string) {
	t.Helper()
	var groups map[string]map[string]string
	if err := json.Unmarshal([]byte(constants), &groups); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, constants)
	}
	var got, want []string
	for group, members := range groups {
		for _, value := range members {
			if group != "CHANNELS" && group != "DECLARED" && group != "TRANSPORTS" {
				value = "type " + value
			} else {
				value = group + " " + value
			}
			got = append(got, value)
		}
	}
	_, all := groups["DECLARED"]
	for _, ch := range cfg.Channels {
		want = append(want, "CHANNELS "+cmp.Or(ch.Topic, ch.Name))
		if all {
			want = append(want, "DECLARED "+ch.Name, "TRANSPORTS "+string(ch.Transport))
		}
		for _, typ := range ch.Types {
			want = append(want, "type "+typ)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has\n%q\nwant\n%q", name, got, want)
	}
}

func TestGoValues(t *testing.T) {
	for name, file := range configurations {
		source, err := parser.ParseFile(token.NewFileSet(), filepath.Join("testdata", name, "channels.go"), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		ast.Inspect(source, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Error(err)
				}
				got = append(got, value)
			}
			return true
		})
		for _, ch := range load(t, file).Channels {
			want = append(want, cmp.Or(ch.Topic, ch.Name), ch.Name, string(ch.Transport))
			want = append(want, ch.Types...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%q\nwant\n%q", name, got, want)
		}
	}
}
