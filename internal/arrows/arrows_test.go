package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "signalbox"

func TestImportsGoOneWay(t *testing.T) {
	packages := list(t)
	if len(packages) < 2 {
		t.Fatalf("go list found %d packages of %s", len(packages), module)
	}
	for _, line := range broken(module, packages) {
		t.Error("broken import arrow: " + line)
	}
}

func TestBroken(t *testing.T) {
	tests := []struct {
		name     string
		from     string
		imports  string
		indirect bool
		want     string // part of the complaint; empty: allowed
	}{
		{name: "down", from: "router/cli", imports: "signalbox/router/daemon"},
		{name: "far down", from: "router/daemon", imports: "signalbox/router"},
		{name: "own inside", from: "router/transport", imports: "signalbox/router/transport/stream"},
		{name: "inside of a row", from: "router/transport/stream", imports: "signalbox/router/internal/batch"},
		{name: "the library", from: "router", imports: "github.com/ThreeDotsLabs/watermill/message"},
		{name: "similar name", from: "router", imports: "github.com/redistributed/x"},
		{name: "free package", from: "examples/gobot", imports: "signalbox/router/cli"},

		{name: "up", from: "router/daemon", imports: "signalbox/router/cli", want: "router/daemon ─► router/cli"},
		{name: "sideways", from: "router/transport", imports: "signalbox/router", want: "may import only router/internal"},
		{name: "from the inside", from: "router/transport/stream", imports: "signalbox/router/routesfile", want: "router/transport/stream ─► router/routesfile"},
		{name: "library to neighbour", from: "router", imports: "signalbox/router/transport", want: "router ─► router/transport"},
		{name: "handler to transport", from: "handlers", imports: "signalbox/router/transport", want: "handlers ─► router/transport"},
		{name: "test helper in a program", from: "router/cli", imports: "signalbox/internal/redistest", want: "router/cli ─► internal/redistest"},
		{name: "Redis", from: "router", imports: "github.com/redis/go-redis/v9", indirect: true, want: "not even indirectly"},
		{name: "HTTP", from: "router", imports: "net/http", indirect: true, want: "docs/design.md §3"},
		{name: "TOML in ops", from: "router/ops", imports: "github.com/pelletier/go-toml/v2", want: "router/ops does not know it"},
		{name: "flags", from: "router/daemon", imports: "github.com/spf13/cobra", want: "router/daemon does not know it"},
		{name: "no row", from: "router/util", imports: "strings", want: "router/util has no row"},
		{name: "no row at the top", from: "helpers", imports: "strings", want: "helpers has no row"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := goPackage{ImportPath: module + "/" + tt.from, Imports: []string{"fmt", tt.imports}}
			if tt.indirect {
				p = goPackage{ImportPath: p.ImportPath, Deps: []string{"fmt", tt.imports}}
			}
			got := broken(module, []goPackage{p})
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("%s ─► %s is refused: %q", tt.from, tt.imports, got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("%s ─► %s: got %q, want one line with %q", tt.from, tt.imports, got, tt.want)
			}
		})
	}
}

// Of pgx the program has only what connects: its types would be 2.9 MB of the binary, see
// docs/decisions/0016.
func TestTypesOfPGXAreLeftOut(t *testing.T) {
	const pgx = "github.com/jackc/pgx/v5"
	var users []string
	for _, p := range list(t) {
		name, _ := inside(module, p.ImportPath)
		if slices.ContainsFunc(free, func(f string) bool { return below(f, name) }) {
			continue
		}
		for _, imported := range p.Imports {
			switch {
			case imported == pgx+"/pgconn":
				users = append(users, name)
			case hasPrefix([]string{pgx}, imported):
				t.Errorf("%s ─► %s: use pgconn, or the binary is 2.9 MB larger; see docs/decisions/0016", name, imported)
			}
		}
	}
	if !slices.Contains(users, "handlers") {
		t.Errorf("pgconn is imported by %q, want handlers among them", users)
	}
}

// list asks the go command for the module's packages; imports of test files are not
// among them, and are free.
func list(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"/...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list -json: %v", err)
		}
		packages = append(packages, p)
	}
}
