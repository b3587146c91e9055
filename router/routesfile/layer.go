package routesfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// delim joins keys inside koanf. No key contains it: see tableKey.
const delim = "\x1f"

// layers puts defaults, files, environment and flags one above the other.
type layers struct {
	nodes  *nodes
	report *report
	koanf  *koanf.Koanf
}

// layer returns the configuration that trees (one per file), environ and set make
// together.
func layer(nodes *nodes, report *report, trees []map[string]any, src Source) (*node, error) {
	l := &layers{nodes: nodes, report: report, koanf: koanf.New(delim)}
	if err := l.load(l.defaults(trees)); err != nil {
		return nil, err
	}
	for _, tree := range trees {
		if err := l.load(tree); err != nil {
			return nil, err
		}
	}
	if err := l.override(src); err != nil {
		return nil, err
	}
	root := l.tree(l.koanf.Raw(), nil)
	if root.at.file == "" && len(trees) > 0 {
		root.at = place{file: "the configuration"}
	}
	return root, nil
}

func (l *layers) load(tree map[string]any) error {
	if err := l.koanf.Load(confmap.Provider(tree, ""), nil, koanf.WithMergeFunc(l.merge)); err != nil {
		return fmt.Errorf("layer the configuration: %w", err)
	}
	return nil
}

// merge puts a file over what is below it: its routes and tests are added, and values that
// were skipped hide nothing.
func (l *layers) merge(src, dest map[string]any) error {
	for _, key := range lists() {
		if below, above := l.leaf(dest[key]), l.leaf(src[key]); below != nil && above != nil && below.list != nil && above.list != nil {
			both := *below
			both.list = slices.Concat(below.list, above.list)
			src[key] = l.nodes.add(&both)
		}
	}
	l.reveal(src, dest)
	maps.Merge(src, dest)
	return nil
}

func (l *layers) reveal(src, dest map[string]any) {
	for key, value := range src {
		below, exists := dest[key]
		if !exists {
			continue
		}
		if n, under := l.leaf(value), l.leaf(below); n != nil && n.skipped && under != nil {
			shown := *under
			shown.unsure, shown.trouble, shown.above = true, n.trouble, n
			src[key] = l.nodes.add(&shown)
		}
		upper, ok := value.(map[string]any)
		lower, both := below.(map[string]any)
		if ok && both {
			l.reveal(upper, lower)
		}
	}
}

func (l *layers) leaf(value any) *node {
	id, ok := value.(int)
	if !ok {
		return nil
	}
	return l.nodes.all[id]
}

// tree turns what koanf holds back into nodes.
func (l *layers) tree(values map[string]any, path []string) *node {
	n := &node{path: path, table: make(map[string]*node, len(values))}
	if own := l.leaf(values[tableKey]); own != nil {
		n.key, n.at, n.dir = own.key, own.at, own.dir
	}
	for key, value := range values {
		if key == tableKey {
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			n.table[key] = l.tree(inner, join(path, key))
			continue
		}
		n.table[key] = l.leaf(value)
	}
	n.isDefault = n.at.file == "" && len(n.table) > 0
	for _, child := range n.children() {
		if n.at.file == "" && child.at.file != "" {
			n.key, n.at = child.at, child.at
		}
		n.isDefault = n.isDefault && child.isDefault
	}
	return n
}

// defaults is the lowest layer: what the tags of the raw structs say, for each single
// table, and each channel and source that a file declares.
func (l *layers) defaults(trees []map[string]any) map[string]any {
	tree := make(map[string]any)
	root := reflect.TypeFor[rawFile]()
	for field := range root.Fields() {
		if field.Type.Kind() == reflect.Struct {
			tree[tagName(field)] = l.defaultTable(field.Type, []string{tagName(field)})
		}
	}
	l.defaultsOfNamed(tree, trees, "channels", reflect.TypeFor[rawChannel]())
	l.defaultsOfNamed(tree, trees, "sources", reflect.TypeFor[rawSource]())
	return tree
}

// defaultsOfNamed adds to tree what the tags of t say, for each table [table.NAME].
func (l *layers) defaultsOfNamed(tree map[string]any, trees []map[string]any, table string, t reflect.Type) {
	named := make(map[string]any)
	for _, file := range trees {
		declared, _ := file[table].(map[string]any)
		for name, inner := range declared {
			if _, ok := inner.(map[string]any); ok {
				named[name] = l.defaultTable(t, []string{table, name})
			}
		}
	}
	if len(named) > 0 {
		tree[table] = named
	}
}

func (l *layers) defaultTable(t reflect.Type, path []string) map[string]any {
	table := make(map[string]any)
	for field := range t.Fields() {
		if text, ok := field.Tag.Lookup("default"); ok {
			table[tagName(field)] = l.nodes.add(&node{value: text, loose: true, path: join(path, tagName(field)), isDefault: true})
		}
	}
	return table
}

// override lays the environment and the flags over the files.
func (l *layers) override(src Source) error {
	if src.Sealed {
		src.Environ = nil
	}
	names := namesOf(l.koanf.Raw())
	overrides := &overrides{names: names, report: l.report, nodes: l.nodes}
	provider := env.Provider(delim, env.Opt{
		Prefix:        overridePrefix,
		EnvironFunc:   func() []string { return slices.Sorted(slices.Values(src.Environ)) },
		TransformFunc: overrides.variable,
	})
	if err := l.koanf.Load(provider, nil); err != nil {
		return fmt.Errorf("layer the environment: %w", err)
	}
	flags := make(map[string]any, len(src.Set))
	for key, value := range src.Set {
		if path, id, ok := overrides.flag(key, value); ok {
			flags[strings.Join(path, delim)] = id
		}
	}
	if err := l.koanf.Load(confmap.Provider(flags, delim), nil); err != nil {
		return fmt.Errorf("layer the flags: %w", err)
	}
	return nil
}
