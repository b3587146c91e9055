package router

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
)

// Kind is a sort of handler, with options of type T: what `kind = "…"` names in the
// configuration. T is a struct whose fields carry `toml:"name"` tags and
// `doc:"one line"` tags; a field's value in Defaults is its default. `required:"true"`
// is for the documentation and for editors: Validate has to check it. So is
// `otherwise:"the system's"`, which says in words what holds without the option.
// `secret:"true"` says that the value is never to be shown, `secret:"url"` that only its
// scheme and host are, and `secret:"false"` that it is none, although it is called or looks
// like one.
//
// T may also implement, each on its own:
//
//	Locate(dir string)         // told where relative paths start, before Validate: the folder of the file that has the options
//	Validate() error           // checked when the configuration is loaded; errors.Join for several, each beginning with its option
//	PublishesTo() []string     // declared channels this handler publishes to
//	Check(ctx context.Context) (found string, err error) // for "router check --connect": whether the target is there and fits, and what it is; changes nothing there, and tells no secret
type Kind[T any] struct {
	Name     string
	Doc      string // what it does, in one sentence
	Target   bool   // it works for a target outside of Redis, which may be away: a database, a web hook
	Workers  int    // of its routes that don't say how many; 0: 1
	Pure     bool   // all it does goes through the router, or it does nothing: router test runs it as it is
	Defaults T
	New      func(Env, T) (Handler, error)
}

// Info is k with the type of its options erased.
func (k Kind[T]) Info() KindInfo {
	return KindInfo{
		Name:    k.Name,
		Doc:     k.Doc,
		Target:  k.Target,
		Workers: k.Workers,
		Pure:    k.Pure,
		Options: func() any {
			options := cloned(k.Defaults)
			return &options
		},
		New: func(env Env, options any) (Handler, error) {
			typed, ok := options.(*T)
			if !ok {
				return nil, fmt.Errorf("kind %q: options are %T, want %T", k.Name, options, typed)
			}
			return k.New(env, *typed)
		},
	}
}

// cloned is a copy of options that shares nothing with them.
func cloned[T any](options T) T {
	value := reflect.ValueOf(&options).Elem()
	value.Set(clone(value))
	return options
}

// clone copies options with the slices, maps and pointers in them: a TOML decoder fills
// those in place, and so would write one instance's options into another's.
func clone(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(clone(v.Field(i)))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				c.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			c.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for name, value := range v.Seq2() {
				c.SetMapIndex(name, clone(value))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			c.Set(reflect.New(v.Type().Elem()))
			c.Elem().Set(clone(v.Elem()))
		}
	default: // a plain value
	}
	return c
}

// KindInfo is a [Kind] whose options' type is erased.
type KindInfo struct {
	Name    string
	Doc     string
	Target  bool
	Workers int
	Pure    bool
	// Options returns a pointer to a new struct that holds the defaults.
	Options func() any
	// New makes a handler; options is what Options returned, filled in.
	New func(env Env, options any) (Handler, error)
}

// Size is an option that is a number of bytes. A routes file writes it as a number, or with a
// unit, such as "64KiB" or "1.5MB"; `min` and `max` tags may do so, too.
type Size int64

// Env is what a handler is made with.
type Env struct {
	Service string
	Handler string // the name of this instance
	Log     *slog.Logger
	// Publisher sends to the declared channels.
	Publisher *Publisher
	// Latest keeps the newest events of keys; nil: the router has no place for them.
	Latest Latest
}

// Registry holds the kinds of handlers and of sources that a configuration may name. It is
// a value: make one in main.
type Registry struct {
	kinds   map[string]KindInfo
	sources map[string]SourceInfo
}

// NewRegistry returns a registry of these kinds. It panics when two share a name.
func NewRegistry(kinds ...interface{ Info() KindInfo }) *Registry {
	r := &Registry{kinds: make(map[string]KindInfo, len(kinds))}
	r.Add(kinds...)
	return r
}

// Add adds kinds. It panics when two share a name: that is a mistake in the program.
func (r *Registry) Add(kinds ...interface{ Info() KindInfo }) {
	for _, k := range kinds {
		info := k.Info()
		if _, taken := r.kinds[info.Name]; taken {
			panic(fmt.Sprintf("router: kind %q is registered twice", info.Name))
		}
		if r.kinds == nil {
			r.kinds = map[string]KindInfo{}
		}
		r.kinds[info.Name] = info
	}
}

// AddSources adds kinds of source. It panics when two share a name. A kind of source may
// be called as one of handlers is.
func (r *Registry) AddSources(kinds ...interface{ SourceInfo() SourceInfo }) {
	for _, k := range kinds {
		info := k.SourceInfo()
		if _, taken := r.sources[info.Name]; taken {
			panic(fmt.Sprintf("router: kind of source %q is registered twice", info.Name))
		}
		if r.sources == nil {
			r.sources = map[string]SourceInfo{}
		}
		r.sources[info.Name] = info
	}
}

// Source returns the kind of source of that name.
func (r *Registry) Source(name string) (SourceInfo, bool) {
	info, ok := r.sources[name]
	return info, ok
}

// SourceNames returns the names of all kinds of source, sorted.
func (r *Registry) SourceNames() []string { return slices.Sorted(maps.Keys(r.sources)) }

// Kind returns the kind of that name.
func (r *Registry) Kind(name string) (KindInfo, bool) {
	info, ok := r.kinds[name]
	return info, ok
}

// Names returns the names of all kinds, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.kinds))
	for name := range r.kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
