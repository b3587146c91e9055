package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLinesOfSources holds that all that is logged of sources stands on the page.
func TestLinesOfSources(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, pattern := range []string{"../source/*.go", "../transport/lease*.go", "../transport/budget.go", "sources.go", "reload.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, line := range loggedIn(t, file) {
				n++
				if !strings.Contains(string(page), "\n| `"+line+"` ") {
					t.Errorf("%s logs %q, which has no row in docs/operations.md", file, line)
				}
			}
		}
	}
	if n < 25 {
		t.Errorf("%d lines were found", n)
	}
}

// loggedIn are the messages that a file logs.
func loggedIn(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is || len(call.Args) == 0 {
			return true
		}
		method, is := call.Fun.(*ast.SelectorExpr)
		if !is || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
			return true
		}
		if text, is := call.Args[0].(*ast.BasicLit); is {
			line, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		return true
	})
	return lines
}
