package routesfile

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"signalbox/router"
)

// Key is what there is to know of a key of the configuration. It is read off the struct
// that the key is decoded into, so that the two cannot differ.
type Key struct {
	Path     string   // such as "routes.retry.attempts"; an option stands below its kind: "handlers.log.every", "sources.websocket.url"
	Name     string   // as the table writes it: "retry.attempts"
	Table    string   // the table it stands in: "[[routes]]"; of a table, its own header
	Kind     string   // the kind whose option it is; empty: of no kind
	Type     string   // "duration", "string or list of strings", …
	Required bool     // it has to be written
	Default  string   // what holds when it is not written, as a value or in words; empty: nothing
	Values   []string // all that it may be, where they can be listed
	Min, Max string   // as a file writes them; empty: no limit
	Doc      string
	Not      []string // why a channel lacks it: "pubsub: …"
	Keys     []Key    // of a table, in the order of its struct

	tag   string // its own part of the path
	shape shape
	preset
	lowest, highest int64 // Min and Max as numbers
}

// preset is the value of a key that is not written, if that is known beforehand.
type preset struct {
	json any    // nil: not known
	toml string // empty: not known
}

// Keys describes a configuration whose handlers and sources are of these kinds: a Key for
// each table of a file, with what may stand in it.
func Keys(kinds *router.Registry) []Key {
	var tables []Key
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		name := tagName(field)
		table := Key{Path: name, Name: name, tag: name, Doc: field.Tag.Get("doc"), shape: shapeOf(field.Type)}
		table.Type, table.Table = table.shape.words, header(name, table.shape)
		table.Keys = keysOf(table.shape.fields, reflect.Value{}, table, nil)
		if table.shape.kinds != nil {
			table.Keys[0].Values = nil
			for _, kind := range table.shape.kinds(kinds) {
				table.Keys[0].Values = append(table.Keys[0].Values, kind.name)
				table.Keys = append(table.Keys, keyOfKind(table, kind))
			}
		}
		tables = append(tables, table)
	}
	return tables
}

// header is how a file begins a table at its top.
func header(name string, of shape) string {
	switch {
	case len(of.wraps) == 0:
		return "[" + name + "]"
	case of.wraps[0] == asList:
		return "[[" + name + "]]"
	}
	return "[" + name + ".NAME]"
}

// kind is what the keys of a table depend on: a kind of handler or of source.
type kind struct {
	name, doc string
	options   func() any
}

// kindsOf lists the kinds of one sort that a registry has.
type kindsOf func(*router.Registry) []kind

func handlerKinds(registry *router.Registry) []kind {
	var kinds []kind
	for _, name := range registry.Names() {
		info, _ := registry.Kind(name)
		kinds = append(kinds, kindOfHandler(info))
	}
	return kinds
}

func kindOfHandler(info router.KindInfo) kind { return kind{info.Name, info.Doc, info.Options} }

func sourceKinds(registry *router.Registry) []kind {
	var kinds []kind
	for _, name := range registry.SourceNames() {
		info, _ := registry.Source(name)
		mustNotClash(info)
		kinds = append(kinds, kind{info.Name, info.Doc, info.Options})
	}
	return kinds
}

// keyOfKind is a kind, as a table below that of its handlers or sources.
func keyOfKind(table Key, kind kind) Key {
	key := Key{
		Path: table.Path + "." + kind.name, Name: kind.name, tag: kind.name,
		Table: table.Table, Kind: kind.name, Type: "table", Doc: kind.doc,
	}
	if options := reflect.ValueOf(kind.options()).Elem(); options.Kind() == reflect.Struct {
		key.shape = shapeOf(options.Type())
		within := key
		within.Name = ""
		key.Keys = keysOf(options.Type(), options, within, nil)
	}
	return key
}

// keysOf lists the keys of a struct. Defaults holds those of options; without one they
// are read from tags. Around are the structs that t is a part of.
func keysOf(t reflect.Type, defaults reflect.Value, parent Key, around []reflect.Type) []Key {
	if t == nil || slices.Contains(around, t) {
		return nil
	}
	around = append(slices.Clip(around), t)
	var keys []Key
	for _, field := range fieldsOf(t) {
		key := Key{
			tag: tagName(field), Table: parent.Table, Kind: parent.Kind, shape: shapeOf(field.Type),
			Doc: field.Tag.Get("doc"), Required: field.Tag.Get("required") == "true",
		}
		key.Path, key.Name, key.Type = parent.Path+"."+key.tag, key.tag, key.shape.words
		if strings.Contains(parent.Path, ".") && parent.Name != "" {
			key.Name = parent.Name + "." + key.tag
		}
		key.limits(field)
		var inner reflect.Value
		if defaults.IsValid() {
			inner = defaults.FieldByIndex(field.Index)
			key.presetOf(inner, field.Tag.Get("otherwise"))
		} else {
			key.tagged(field)
		}
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.IsValid() && inner.Type() != key.shape.fields {
			inner = reflect.Value{}
		}
		key.Keys = keysOf(key.shape.fields, inner, key, around)
		key.shape.open = key.shape.fields != nil && slices.Contains(around, key.shape.fields)
		keys = append(keys, key)
	}
	return keys
}

// limits reads the tags that say what a value may be.
func (k *Key) limits(field reflect.StructField) {
	for _, tag := range []string{"enum", "values"} {
		if listed := field.Tag.Get(tag); listed != "" {
			k.Values = strings.Split(listed, ",")
		}
	}
	for _, transport := range []string{string(router.PubSub), string(router.Stream)} {
		if why, not := field.Tag.Lookup("not" + transport); not {
			k.Not = append(k.Not, transport+": "+why)
		}
	}
	t := field.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	like := reflect.New(t).Elem()
	if !like.CanInt() { // what the decoder compares
		return
	}
	if k.Min = field.Tag.Get("min"); k.Min != "" {
		k.lowest = limit(k.Min, like)
	}
	if k.Max = field.Tag.Get("max"); k.Max != "" {
		k.highest = limit(k.Max, like)
	}
}

// Allowed says what the key may be, in words: "debug, info, warn or error", "duration, 0s to 1h".
func (k Key) Allowed() string {
	switch {
	case len(k.Values) > 0:
		return alternatives(k.Values)
	case k.Min != "" && k.Max != "":
		return k.Type + ", " + k.Min + " to " + k.Max
	case k.Min != "":
		return k.Type + ", " + k.Min + " or more"
	case k.Max != "":
		return k.Type + ", " + k.Max + " or less"
	}
	return k.Type
}

// Example is a line of TOML that sets the key; empty where one would teach nothing.
func (k Key) Example() string {
	value := k.toml
	switch {
	case value != "" && value != `"0s"`:
	case len(k.Values) > 0:
		value = strconv.Quote(k.Values[0])
	case k.Type == "table" && len(k.Keys) > 0 && len(k.shape.wraps) == 0:
		inner := k.Keys[0]
		if inner.Name = inner.tag; inner.Example() != "" {
			value = "{ " + inner.Example() + " }"
		}
	default:
		value = map[string]string{
			"boolean": "true", "boolean or path": "true", "boolean or channel": "true", "path": `"data.symbol"`,
			"duration": `"10s"`, "duration or table": `"10m"`, "size": `"64KiB"`,
		}[k.Type]
	}
	if value == "" {
		return ""
	}
	return k.Name + " = " + value
}

// All lists keys and all below them.
func All(keys []Key) []Key {
	var all []Key
	for _, key := range keys {
		all = append(append(all, key), All(key.Keys)...)
	}
	return all
}

// Find lists the keys that name means: a whole path, or its end, as in "max_age" or
// "retry.attempts". The name of a channel or handler may stand where it stands in a file:
// "channels.prices.queue".
func Find(keys []Key, name string) []Key {
	var found []Key
	for _, key := range All(keys) {
		if key.Path == name || strings.HasSuffix(key.Path, "."+name) {
			found = append(found, key)
		}
	}
	table, rest, _ := strings.Cut(name, ".")
	if _, key, named := strings.Cut(rest, "."); named && len(found) == 0 {
		for _, one := range keys {
			if one.Path == table && len(one.shape.wraps) > 0 && one.shape.wraps[0] == asNamed {
				return Find(one.Keys, key)
			}
		}
	}
	return found
}
