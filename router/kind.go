package router

import (
	"fmt"
	"log/slog"
	"slices"
)

// Kind is a sort of handler, with options of type T: what `kind = "…"` names in the
// configuration. T is a struct whose fields carry `toml:"name"` tags and
// `doc:"one line"` tags; a field's value in Defaults is its default.
//
// T may also implement, each on its own:
//
//	Validate() error           // checked when the configuration is loaded
//	PublishesTo() []string     // declared channels this handler publishes to
type Kind[T any] struct {
	Name     string
	Doc      string // what it does, in one sentence
	Defaults T
	New      func(Env, T) (Handler, error)
}

// Info is k with the type of its options erased.
func (k Kind[T]) Info() KindInfo {
	return KindInfo{
		Name: k.Name,
		Doc:  k.Doc,
		Options: func() any {
			options := k.Defaults
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

// KindInfo is a [Kind] whose options' type is erased.
type KindInfo struct {
	Name string
	Doc  string
	// Options returns a pointer to a new struct that holds the defaults.
	Options func() any
	// New makes a handler; options is what Options returned, filled in.
	New func(env Env, options any) (Handler, error)
}

// Env is what a handler is made with.
type Env struct {
	Service string
	Handler string // the name of this instance
	Log     *slog.Logger
	// Publisher sends to the declared channels.
	Publisher *Publisher
}

// Registry holds the kinds that a configuration may name. It is a value: make one in main.
type Registry struct {
	kinds map[string]KindInfo
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
		r.kinds[info.Name] = info
	}
}

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
