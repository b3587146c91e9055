package routesfile

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile/condition"
	"signalbox/router/routesfile/schema"
)

// Limits on what one configuration may declare. They are far above what anybody
// writes by hand, and keep the checks below a second.
const (
	maxNamed  = 2000  // channels, and handlers
	maxRoutes = 65536 // after lists are expanded
	maxWork   = 10e6  // comparisons of a channel with a type
)

// Result is a configuration that was loaded.
type Result struct {
	// Config is ready to run; after a Check with notes it lacks what was skipped.
	Config   router.Config
	Settings Settings
	// Notes are what a check skipped, and warnings.
	Notes []Note
	// Files are the files that were read, in order.
	Files []string
	// Schemas are the schema files that were read besides, in order. When there are errors
	// they are those that could be found.
	Schemas []string
	// Digest is what Source.Digest was when the files were read.
	Digest string

	read digest

	// Off are the routes that say enabled = false, and Idle the handlers that no other
	// route uses. Config lacks them; these are for looking at.
	Off  []OffRoute
	Idle []router.HandlerSpec
	// OffSources are the sources that say enabled = false, which Config lacks, too.
	OffSources []OffSource

	// Tests are what Source.Tests asked for, in the order of the files.
	Tests []Test

	written map[[2]string]Written // routes by channel and name
}

// Load reads, layers and checks a configuration whose handlers are of these kinds.
// Its error is [Errors]: all mistakes at once. The Result then only has Notes and Files.
func Load(src Source, kinds *router.Registry) (*Result, error) {
	result, _, err := loadWhole(src, kinds)
	return result, err
}

// loadWhole is Load, with what it was made from; that is nil when there is no tree.
func loadWhole(src Source, kinds *router.Registry) (*Result, *compiler, error) {
	report := newReport()
	result := &Result{}
	var c *compiler
	done := func() (*Result, *compiler, error) {
		result.Notes, result.Digest = report.sortedNotes(), result.read.String()
		return result, c, report.err()
	}

	root, err := read(src, report, result)
	if err != nil {
		return nil, nil, err
	}
	if root == nil {
		return done()
	}
	if !src.Tests {
		delete(root.table, "tests") // a wrong test stops no service
	}
	root.tellTroubles(report)
	var raw rawFile
	(&decoder{report}).table(root, reflect.ValueOf(&raw).Elem())

	settings := compileSettings(&raw, src, report)
	c = &compiler{report: report, kinds: kinds, root: root, raw: &raw, schemas: newSchemas(result), env: environment(src.Environ), sealed: src.Sealed}
	config := c.compile(report.texts.end(result.lastFile()))
	tests := c.compileTests()
	if src.Check {
		c.warn()
	}
	if report.failures() == 0 {
		result.Settings, result.Config, result.Tests = settings, config, tests
		c.collectRest(result)
	}
	return done()
}

// lastFile is the last file that may have routes. One of tests may if it is named itself.
func (r *Result) lastFile() string {
	files := slices.DeleteFunc(slices.Clone(r.Files), func(file string) bool { return strings.HasSuffix(file, testsSuffix) })
	if len(files) == 0 {
		files = r.Files
	}
	return files[len(files)-1]
}

// read makes the layered tree. It is nil when a file could not be read or is no TOML:
// what the others refer to would be errors only because that one is missing.
func read(src Source, report *report, result *Result) (*node, error) {
	files := src.read(report)
	result.read = digestOf(files, report)
	store := &nodes{}
	p := &parser{nodes: store, env: environment(src.Environ), check: src.Check, sealed: src.Sealed, report: report}
	var trees []map[string]any
	broken := report.failures() > 0
	for _, f := range files {
		result.Files = append(result.Files, f.path)
		tree, ok := p.parse(f)
		if !ok {
			broken = true
			continue
		}
		trees = append(trees, tree)
	}
	if broken {
		return nil, nil
	}
	if !checkDeclared(store, trees, report) {
		return nil, nil
	}
	return layer(store, report, trees, src)
}

// checkDeclared reports names that two files declare: merged, each would be half of
// what its author meant. It is false when there are too many names to go on.
func checkDeclared(store *nodes, trees []map[string]any, report *report) bool {
	first := make(map[string]place)
	for _, tree := range trees {
		for _, table := range namedTables() {
			declared, _ := tree[table].(map[string]any)
			for name, value := range declared {
				inner, ok := value.(map[string]any)
				if !ok {
					continue
				}
				id, _ := inner[tableKey].(int)
				at, key := store.all[id].key, table+delim+name
				if earlier, twice := first[key]; twice {
					report.errorf(at, "%s %q is defined twice, first at %s; give one of them another name, or remove it", strings.TrimSuffix(table, "s"), name, earlier)
					continue
				}
				first[key] = at
			}
			if len(declared) > maxNamed {
				report.errorf(store.all[declared[tableKey].(int)].key, "more than %d %s; a pattern is one channel for many names, and a handler can serve many routes", maxNamed, table)
				return false
			}
		}
	}
	return true
}

// compiler turns the raw file into a router.Config.
type compiler struct {
	report *report
	kinds  *router.Registry
	root   *node
	raw    *rawFile
	env    map[string]string
	sealed bool // no kind is asked whether its options are right

	channels map[string]*channel
	sources  map[string]*source
	handlers map[string]*handler
	routes   []route
	off      []route
	config   router.Config

	conditions *condition.Compiler // made for the first condition
	compiled   map[string]router.Condition

	conditionBytes int // of those that were compiled
	schemas        *schema.Compiler
}

// compile checks everything that needs more than one key to be seen. At is where an
// error points that is about nothing that is written.
func (c *compiler) compile(at place) router.Config {
	c.config.Service = c.raw.Service.Name
	c.compileChannels()
	c.compileSources()
	c.inheritLiveness()
	c.compileHandlers()
	c.compileRoutes(at)
	c.checkPublishing()
	c.checkCycles()
	c.collect()
	return c.config
}

// checkName reports a name that cannot be one. Label says whose it is, for example "channel".
func (r *report) checkName(at place, label, name string) {
	r.checkShownName(at, label, name, strconv.Quote(shorten(name)))
}

// checkShownName does so for a name of which an error shows only what shown says.
func (r *report) checkShownName(at place, label, name, shown string) {
	ok := name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && c != '_' && c != '-' && c != '.'
	})
	switch {
	case ok:
	case name == "*":
		r.errorf(at, `%s: "*" is reserved: in a route it means every channel or type; choose another name`, label)
	default:
		r.errorf(at, "%s: %s is no name; names are letters, digits, _, - and .", label, shown)
	}
}
