package arrows

import (
	"fmt"
	"slices"
	"strings"
)

const documented = "docs/design.md §3"

// goPackage is what `go list -json` says about a package and the rules need: its
// direct imports and all it depends on.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// rule is the row of one package and, because they are its inside, of the packages
// below it that have no row of their own. Paths are relative to the module.
type rule struct {
	pkg   string
	may   []string // packages of the module that it may import
	not   []string // path prefixes outside the module that it may not import
	never []string // path prefixes that may not even be imported by what it imports
}

var (
	redis = []string{"github.com/redis", "github.com/alicebob/miniredis", "github.com/ThreeDotsLabs/watermill-redisstream"}
	toml  = []string{"github.com/pelletier/go-toml", "github.com/knadh/koanf"}
	http  = []string{"net/http", "github.com/coder/websocket"}
	flags = []string{"flag", "github.com/spf13"}
	// A tracing SDK would make the binary half as large again: docs/decisions/0014.
	sdk = []string{"go.opentelemetry.io", "google.golang.org/grpc"}
)

// rules has a row for each package that others build on. Arrows point down the list.
var rules = []rule{
	{
		pkg:   "cmd/router",
		may:   []string{"router/cli", "router", "handlers", "sources"},
		never: sdk,
	},
	{
		pkg: "router/cli",
		may: []string{"router/daemon", "router/scenario", "router/routesfile", "router/transport", "router/ops", "router/routertest", "router/generate", "router", "router/internal", "config"},
	},
	{
		pkg: "router/generate",
		may: []string{"router"},
		not: slices.Concat(redis, toml, http, flags),
	},
	{
		pkg: "router/daemon",
		may: []string{"router/routesfile", "router/transport", "router/source", "router/ops", "router", "router/internal", "config"},
		not: flags,
	},
	{
		pkg: "router/scenario",
		may: []string{"router/routesfile", "router/routertest", "router", "router/internal"},
		not: slices.Concat(redis, toml, http, flags),
	},
	{
		pkg: "router/ops",
		may: []string{"router", "router/internal"},
		not: slices.Concat(redis, toml, flags),
	},
	{
		pkg: "router/routesfile",
		may: []string{"router", "router/internal"},
		not: slices.Concat(redis, http, flags),
	},
	{
		pkg:   "router/transport",
		may:   []string{"router/internal"},
		never: slices.Concat(toml, flags, http),
	},
	{
		pkg: "router/routertest",
		may: []string{"router", "router/transport", "router/internal"},
		not: slices.Concat(toml, http),
	},
	{
		pkg: "router/source",
		may: []string{"router", "router/internal"},
		not: slices.Concat(redis, toml, http, flags),
	},
	{
		pkg: "sources",
		may: []string{"router"},
		not: slices.Concat(redis, toml, flags),
	},
	{
		pkg: "handlers",
		may: []string{"router"},
		not: slices.Concat(toml, flags),
	},
	{
		pkg:   "router",
		may:   []string{"router/internal"},
		never: slices.Concat(redis, toml, http, flags),
	},
	{
		pkg: "router/internal",
		not: slices.Concat(redis, toml, http, flags),
	},
	{
		pkg: "config",
	},
}

// free lists where nothing but tests and people look: these may import anything, and
// no package with a rule may import them.
var free = []string{"bench", "chaos", "deploy", "docs", "examples", "internal"}

// broken returns one line per import of the module's packages that goes against the
// rules, and per package that no rule covers.
func broken(module string, packages []goPackage) []string {
	var lines []string
	for _, p := range packages {
		name, ok := inside(module, p.ImportPath)
		if !ok || name == "" || slices.ContainsFunc(free, func(f string) bool { return below(f, name) }) {
			continue
		}
		r, ok := ruleOf(name)
		if !ok {
			lines = append(lines, fmt.Sprintf("%s has no row in internal/arrows: say in %s what it may import", name, documented))
			continue
		}
		for _, imported := range p.Imports {
			if why := r.refuses(module, name, imported); why != "" {
				lines = append(lines, why)
			}
		}
		if i := slices.IndexFunc(p.Deps, func(dep string) bool { return hasPrefix(r.never, dep) }); i >= 0 {
			lines = append(lines, fmt.Sprintf("%s ─► … ─► %s: %s never depends on it, not even indirectly; see %s", name, p.Deps[i], r.pkg, documented))
		}
	}
	return lines
}

// refuses says why package name, which r covers, may not import imported; empty: it may.
func (r rule) refuses(module, name, imported string) string {
	target, ok := inside(module, imported)
	if !ok {
		if hasPrefix(r.not, imported) {
			return fmt.Sprintf("%s ─► %s: %s does not know it; see %s", name, imported, r.pkg, documented)
		}
		return ""
	}
	if covering, ok := ruleOf(target); ok && (covering.pkg == r.pkg || slices.Contains(r.may, covering.pkg)) {
		return ""
	}
	may := "nothing of this module"
	if len(r.may) > 0 {
		may = "only " + strings.Join(r.may, ", ")
	}
	return fmt.Sprintf("%s ─► %s: %s may import %s; see %s", name, target, r.pkg, may, documented)
}

// ruleOf finds the row that covers a package: the longest that it is or is below.
func ruleOf(name string) (rule, bool) {
	var best rule
	for _, r := range rules {
		if below(r.pkg, name) && len(r.pkg) > len(best.pkg) {
			best = r
		}
	}
	// Package router is a library with neighbours below it, not a folder of insides:
	// a new neighbour needs a row.
	if best.pkg == "router" && name != "router" {
		return rule{}, false
	}
	return best, best.pkg != ""
}

// inside cuts the module's path off an import path.
func inside(module, path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// below reports whether path is folder or in it.
func below(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func hasPrefix(prefixes []string, path string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return below(p, path) })
}
