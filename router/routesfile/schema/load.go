package schema

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What a schema may consist of. A large one describes a hundred members; the library's
// time grows with the square of the number of schemas in it.
const (
	maxDepth   = 100     // levels of a file
	maxSchemas = 3000    // objects, true and false in a file, each of which may be a schema
	maxAll     = 20_000  // the same, in all files of a configuration
	maxPlaces  = 1 << 20 // bytes of the pointers to them
	maxRefs    = 100     // files that a schema refers to
	scheme     = "file"  // of the URLs that stand for files
)

// errElsewhere is why the loader doesn't load what is no file.
var errElsewhere = errors.New("it is no file")

// file is one that was read.
type file struct {
	at    string // absolute path
	text  []byte
	value any
	err   error // without the path
}

// loader gives the library the files of one schema.
type loader struct {
	compiler *Compiler
	path, at string // of the schema: as it is written, and absolute
	used     []*file
}

// Load is what the library calls for each document, its own meta-schemas apart.
func (l *loader) Load(address string) (any, error) {
	at, ok := pathOfURL(address)
	if !ok {
		return nil, errElsewhere
	}
	f := l.compiler.file(at, l.shown(at))
	if !slices.Contains(l.used, f) {
		l.used = append(l.used, f)
	}
	switch {
	case f.err != nil && at == l.at:
		return nil, f.err
	case f.err != nil:
		return nil, in(l.shown(at), f.err)
	case len(l.used) > maxRefs+1:
		return nil, fmt.Errorf("it refers to more than %d files; put some of them into one", maxRefs)
	}
	return f.value, nil
}

// file reads a file, once; path is what it is called.
func (c *Compiler) file(at, path string) *file {
	if f := c.files[at]; f != nil {
		return f
	}
	f := &file{at: at}
	c.files[at] = f
	text, err := c.read(path)
	if err != nil {
		f.err = err
		return f
	}
	f.text = text
	if f.value, err = decode(text, maxDepth); err != nil {
		if m, ok := errors.AsType[*mistake](err); ok {
			err = placed{position(text, m.offset), err}
		}
		f.err = err
		return f
	}
	f.err = c.limit(f)
	return f
}

// limit reports a file that would take too long to compile, and a draft that is none.
func (c *Compiler) limit(f *file) error {
	schemas, places := 0, 0
	measure(f.value, 0, func(pointer int) {
		schemas++
		places += pointer
	})
	c.schemas += schemas
	switch {
	case schemas > maxSchemas:
		return fmt.Errorf("it has %d objects, more than %d; describe less", schemas, maxSchemas)
	case places > maxPlaces:
		return errors.New("its names are too long, or nested too deep; describe less")
	case c.schemas > maxAll:
		return fmt.Errorf("the schemas of this configuration have more than %d objects; describe less", maxAll)
	}
	object, _ := f.value.(map[string]any)
	draft, named := object["$schema"].(string)
	if named && !isDraft(draft) {
		return placed{
			position(f.text, offsetOf(f.text, []string{"$schema"})),
			fmt.Errorf("$schema: %q is no draft that is known; write \"https://json-schema.org/draft/2020-12/schema\"", cutAt(draft, maxURL)),
		}
	}
	return nil
}

// measure counts what may be a schema, with the length of the pointer to it.
func measure(value any, pointer int, count func(pointer int)) {
	switch v := value.(type) {
	case bool:
		count(pointer)
	case []any:
		for _, one := range v {
			measure(one, pointer+len("/000"), count)
		}
	case map[string]any:
		count(pointer)
		for name, one := range v {
			measure(one, pointer+1+len(name), count)
		}
	}
}

func isDraft(address string) bool {
	address = strings.TrimSuffix(address, "#")
	return slices.ContainsFunc([]*jsonschema.Draft{jsonschema.Draft4, jsonschema.Draft6, jsonschema.Draft7, jsonschema.Draft2019, jsonschema.Draft2020},
		func(d *jsonschema.Draft) bool {
			_, known, _ := strings.Cut(d.String(), "://")
			_, named, _ := strings.Cut(address, "://")
			return known == named
		})
}

// placed is an error at a line and column of a file.
type placed struct {
	place string
	err   error
}

func (p placed) Error() string { return p.place + ": " + p.err.Error() }
func (p placed) Unwrap() error { return p.err }

// in is an error in a file.
func in(path string, err error) error {
	if at, ok := errors.AsType[placed](err); ok {
		return fmt.Errorf("%s:%w", path, at)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// name is the path of a file from the schema's own folder, with slashes.
func (l *loader) name(at string) string {
	name, err := filepath.Rel(filepath.Dir(l.at), at)
	if err != nil {
		return filepath.ToSlash(at)
	}
	return filepath.ToSlash(name)
}

// shown is how errors call a file: as the schema is called.
func (l *loader) shown(at string) string {
	if at == l.at {
		return l.path
	}
	return filepath.Join(filepath.Dir(l.path), filepath.FromSlash(l.name(at)))
}

// placeOf is where a file of the schema has what is looked for, as an error begins.
func (l *loader) placeOf(is func(f *file, at jsontext.Pointer, value jsontext.Token) bool) string {
	for _, f := range l.used {
		offset, found := find(f.text, func(at jsontext.Pointer, value jsontext.Token) bool { return is(f, at, value) })
		if found {
			return l.shown(f.at) + ":" + position(f.text, offset)
		}
	}
	return l.path
}

func urlOf(at string) string {
	at = filepath.ToSlash(at)
	if !strings.HasPrefix(at, "/") { // a drive of Windows
		at = "/" + at
	}
	return (&url.URL{Scheme: scheme, Path: at}).String()
}

// pathOfURL is the path of a file that a URL stands for.
func pathOfURL(address string) (at string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != scheme || u.Host != "" || u.Path == "" {
		return "", false
	}
	at = u.Path
	if volume := filepath.FromSlash(strings.TrimPrefix(at, "/")); filepath.VolumeName(volume) != "" {
		return filepath.Clean(volume), true
	}
	return filepath.Clean(filepath.FromSlash(at)), true
}
