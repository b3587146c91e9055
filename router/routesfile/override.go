package routesfile

import (
	"reflect"
	"slices"
	"strings"

	"signalbox/router/internal/nearest"
)

// overridePrefix begins the variables that override the files. Only names with a "__"
// after it do: SIGNALBOX_CONFIG is no key.
const overridePrefix = "SIGNALBOX_"

// overrides finds the keys that variables and flags mean. Variables have neither case
// nor dots nor hyphens, so it compares them with the names that the files declare.
type overrides struct {
	names  map[string][]string // of the channels, sources and handlers that files declare
	report *report
	nodes  *nodes
}

// namesOf lists what a layered tree declares in its tables of named things.
func namesOf(tree map[string]any) map[string][]string {
	names := make(map[string][]string)
	for _, table := range namedTables() {
		names[table] = nil
		declared, _ := tree[table].(map[string]any)
		for name := range declared {
			if name != tableKey {
				names[table] = append(names[table], name)
			}
		}
		slices.Sort(names[table])
	}
	return names
}

// variable is koanf's transform: the key path of a variable and the node of its
// value, or "" for one that is not ours or not right.
func (o *overrides) variable(variable, value string) (string, any) {
	rest := strings.TrimPrefix(variable, overridePrefix)
	at := place{file: "$" + variable}
	if !strings.Contains(rest, "__") {
		if value != "" {
			o.warnUnread(at, rest)
		}
		return "", nil
	}
	parts := strings.Split(rest, "__")
	if slices.ContainsFunc(parts, func(part string) bool { return part == "" || strings.ContainsAny(part, tableKey+delim) }) {
		o.report.errorf(at, "is not a key; write SIGNALBOX_TABLE__KEY, such as SIGNALBOX_REDIS__URL")
		return "", nil
	}
	path := make([]string, len(parts))
	for i, part := range parts {
		path[i] = strings.ToLower(part)
	}
	if !o.resolve(at, path, parts, sameVariable) {
		return "", nil
	}
	return strings.Join(path, delim), o.add(at, path, value)
}

// warnUnread tells a variable of ours by its look that nothing reads.
func (o *overrides) warnUnread(at place, rest string) {
	const config = "CONFIG"
	table, key, _ := strings.Cut(strings.ToLower(rest), "_")
	if field, ok := reflect.TypeFor[rawFile]().FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, table) }); ok && singleTable(table) && slices.Contains(keyNames(field.Type), key) {
		o.report.warnf(at, "is not read: two underscores stand between a table and its key; write %s%s__%s", overridePrefix, strings.ToUpper(table), strings.ToUpper(key))
		return
	}
	if _, near := nearest.Name(rest, []string{config}); near && rest != config {
		o.report.warnf(at, "is not read; did you mean %s%s?", overridePrefix, config)
	}
}

// flag is the key path of a flag such as "redis.url" and the node of its value.
func (o *overrides) flag(key, value string) (path []string, id int, ok bool) {
	at := place{file: flagName(key)}
	path = strings.Split(key, ".")
	if last := len(path) - 1; last > 2 {
		// Names may have dots, keys below them not.
		path = []string{path[0], strings.Join(path[1:last], "."), path[last]}
	}
	if len(path) < 2 || slices.Contains(path, "") || strings.ContainsAny(key, tableKey+delim) {
		o.report.errorf(at, "is not a key; write table.key, such as redis.url")
		return nil, 0, false
	}
	if !o.resolve(at, path, path, func(a, b string) bool { return a == b }) {
		return nil, 0, false
	}
	return path, o.add(at, path, value), true
}

// flagName is what somebody who set a key by a flag has written.
func flagName(key string) string {
	if key == "redis.url" {
		return "--redis"
	}
	return "flag " + key
}

func (o *overrides) add(at place, path []string, value string) int {
	return o.nodes.add(&node{value: value, path: path, key: at, at: at, dir: ".", loose: true, commas: true, source: at.file})
}

// resolve checks the top of path and puts a declared name in place of its second part.
func (o *overrides) resolve(at place, path, parts []string, same func(a, b string) bool) bool {
	if path[0] == "routes" {
		o.report.errorf(at, "routes are a list and have no names to override them by; use ${VAR} in the file instead")
		return false
	}
	if path[0] == "tests" {
		o.report.errorf(at, "tests are a list and nothing overrides them; they have an env of their own")
		return false
	}
	declared, named := o.names[path[0]]
	switch {
	case !named && !singleTable(path[0]):
		o.report.errorf(at, "there is no table %q to override%s", path[0], didYouMean(path[0], "tables", topTables()))
		return false
	case !named:
		return true
	case len(path) < 3:
		o.report.errorf(at, "names no key of %s; write %s", path[0], o.example(at, path[0]))
		return false
	}
	var matches []string
	for _, name := range declared {
		if same(name, parts[1]) {
			matches = append(matches, name)
		}
	}
	what := strings.TrimSuffix(path[0], "s")
	switch len(matches) {
	case 1:
		path[1] = matches[0]
		return true
	case 0:
		o.report.errorf(at, "no %s is called %q, and the environment cannot declare one%s", what, path[1], didYouMean(path[1], path[0], declared))
	default:
		o.report.errorf(at, "may mean each of the %ss %s; rename one of them", what, strings.Join(matches, ", "))
	}
	return false
}

// sameVariable compares a declared name with a part of a variable's name.
func sameVariable(name, part string) bool {
	return strings.EqualFold(strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, name), part)
}

// example is the form of a name like the one at a place.
func (o *overrides) example(at place, table string) string {
	if strings.HasPrefix(at.file, "$") {
		return overridePrefix + strings.ToUpper(table) + "__NAME__KEY"
	}
	return table + ".NAME.KEY"
}
