package routesfile

import (
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
)

// Effective is the configuration that is in force, for people to read: every value, where
// it comes from, and no secret.
//
// What is hidden: values that come from ${file:…} or a variable whose name says that it is
// a secret, passwords in addresses, options whose tag says so (see [router.Kind]) or whose
// name does, and of other options what looks like a key. In doubt a value is hidden, and of
// every value that is, three asterisks are shown.
type Effective struct {
	// Tables are in the order of the language: [service], [redis], [log], channels and
	// handlers in the order of the files, [defaults], and a table for each route that is
	// left after lists of channels and handlers are taken apart.
	Tables []EffectiveTable
	// Off are the places of the routes that say enabled = false.
	Off []string
	// Unknown are the places of the routes that a check could not look at, for want of a
	// variable.
	Unknown []string
	Notes   []Note
	Files   []string
}

// EffectiveTable is a table of the configuration.
type EffectiveTable struct {
	// Path is the name of the table, such as channels and prices; that of a route is
	// routes, its channel and its name.
	Path []string
	// Where it begins; empty: it is written nowhere.
	Where  string
	Values []EffectiveValue
}

// EffectiveValue is a value that is in force.
type EffectiveValue struct {
	Key string // below the table, as TOML has it: "url", "retry.attempts", `env."A.B"`
	// Value is a string, int64, uint64, float64, bool, a date or time, or a []any or
	// map[string]any of these, without secrets.
	Value any
	Text  string // Value as TOML, on one line
	// Where it is written: "routes.toml:2:7", "$SIGNALBOX_REDIS__URL", "--redis", or
	// "default".
	Where string
	// From says whose value it is, where it is not the table's own: "[defaults]",
	// `channel "prices"`, `kind "sql"`.
	From string
	// Reference is what is written there, if it has references such as ${REDIS_URL}, without
	// secrets. Unset are the variables in it that are not set, and the files that cannot be
	// read, such as "file /run/secrets/redis": where they have no default, there is no value,
	// and Value is the reference.
	Reference string
	Unset     []string
	Secret    bool // something of it is hidden
	Default   bool // it is written nowhere
}

// Name is the value's key with that of its table before it: "channels.prices.types".
func (t EffectiveTable) Name(v EffectiveValue) string { return tomlPath(t.Path) + "." + v.Key }

// Header is the table's path as TOML has it: "[channels.prices]", or "[[routes]]".
func (t EffectiveTable) Header() string {
	if t.Path[0] == "routes" {
		return "[[routes]]"
	}
	return "[" + tomlPath(t.Path) + "]"
}

// LoadEffective loads a configuration as [Load] does, and returns what is in force of it.
// After an error it only has Notes and Files.
func LoadEffective(src Source, kinds *router.Registry) (*Effective, error) {
	result, c, err := loadWhole(src, kinds)
	if result == nil {
		return nil, err
	}
	e := &inForce{Effective: &Effective{Notes: result.Notes, Files: result.Files}, compiler: c, censor: newCensor()}
	if err != nil {
		return e.Effective, err
	}
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		switch name := tagName(field); name {
		case "channels":
			e.channelTables()
		case "sources":
			e.sourceTables()
		case "handlers":
			e.handlerTables()
		case "routes":
			e.routeTables()
		case "defaults":
			e.defaultsTable()
		case "tests": // say nothing of what runs
		default:
			n := c.root.get(name)
			e.add(n, []string{name}, e.fields(n, field.Type, "", withoutPasswords))
		}
	}
	return e.Effective, nil
}

// inForce gathers an Effective.
type inForce struct {
	*Effective
	*compiler
	censor *censor
}

// add adds a table, unless it is empty and written nowhere.
func (e *inForce) add(n *node, path []string, values []EffectiveValue) {
	table := EffectiveTable{Path: path, Values: values}
	if n != nil && n.at.line > 0 {
		table.Where = n.at.String()
	}
	if len(values) > 0 || table.Where != "" {
		e.Tables = append(e.Tables, table)
	}
}

// fields are the values of a table whose keys are the fields of t, in their order.
func (e *inForce) fields(n *node, t reflect.Type, prefix string, how secrecy, skip ...string) []EffectiveValue {
	var values []EffectiveValue
	for _, field := range fieldsOf(t) {
		name := tagName(field)
		child := n.get(name)
		if child == nil || slices.Contains(skip, name) {
			continue
		}
		values = append(values, e.values(child, field.Type, prefix+tomlKey(name), secrecyOf(field.Tag.Get("secret"), name, how))...)
	}
	return values
}

// values are those of a node: one, or one for each key in a table.
func (e *inForce) values(n *node, t reflect.Type, key string, how secrecy) []EffectiveValue {
	if n.above != nil {
		n = n.above
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.table == nil:
		return []EffectiveValue{e.value(n, t, key, how)}
	case t != nil && t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0:
		return e.fields(n, t, key+".", how)
	}
	var element reflect.Type
	if t != nil && t.Kind() == reflect.Map {
		element = t.Elem()
	}
	var values []EffectiveValue
	for _, child := range n.children() {
		values = append(values, e.values(child, element, key+"."+tomlKey(child.name()), secrecyOf("", child.name(), how))...)
	}
	return values
}

// value is that of a node which is no table.
func (e *inForce) value(n *node, t reflect.Type, key string, how secrecy) EffectiveValue {
	v := EffectiveValue{Key: key, Where: n.at.String(), Default: n.isDefault}
	v.Value, v.Secret = e.shown(n, t, how)
	v.Text = tomlText(v.Value)
	if n.isDefault {
		v.Where = "default"
		return v
	}
	for _, leaf := range n.leaves() {
		if len(references(leaf.raw)) == 0 || !strings.Contains(leaf.raw, "${") {
			continue
		}
		if n.table == nil && n.list == nil {
			v.Reference = e.reference(leaf.raw, how)
		}
		v.Unset = append(v.Unset, e.unset(leaf)...)
	}
	return v
}

// unset are the variables that a text refers to and that are not set, and the files that
// could not be read.
func (e *inForce) unset(n *node) (names []string) {
	for _, part := range references(n.raw) {
		switch {
		case part.variable != "" && (part.fallback != nil && e.env[part.variable] == "" || part.fallback == nil && n.skipped && e.env[part.variable] == ""):
			names = append(names, part.variable)
		case part.file != "" && n.skipped:
			names = append(names, "file "+part.file)
		}
	}
	return names
}

// leaves are n itself, or what is in it.
func (n *node) leaves() []*node {
	if n.list == nil && n.table == nil {
		return []*node{n}
	}
	var leaves []*node
	for _, inner := range slices.Concat(n.list, n.children()) {
		leaves = append(leaves, inner.leaves()...)
	}
	return leaves
}

// implied is a default that depends on other values.
func implied(key string, value any) EffectiveValue {
	return EffectiveValue{Key: key, Value: value, Text: tomlText(value), Where: "default", Default: true}
}

// hiddenLike is a value that repeats another one, which may be a secret.
func (e *inForce) hiddenLike(v EffectiveValue, n *node) EffectiveValue {
	if n != nil && n.holdsSecret() {
		v.Value, v.Secret = hidden, true
		v.Text = tomlText(v.Value)
	}
	return v
}

// holdsSecret reports whether something in n comes from a file or from a variable whose name
// says that it is a secret.
func (n *node) holdsSecret() bool {
	return slices.ContainsFunc(n.leaves(), func(leaf *node) bool {
		return slices.ContainsFunc(references(leaf.raw), reference.isSecret)
	})
}
