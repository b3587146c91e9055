package schema

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// explain says in a line why the library doesn't take a schema, and where that is.
func (l *loader) explain(err error) error {
	var (
		load      *jsonschema.LoadURLError
		invalid   *jsonschema.SchemaValidationError
		pattern   *jsonschema.InvalidRegexError
		noPointer *jsonschema.JSONPointerNotFoundError
		noAnchor  *jsonschema.AnchorNotFoundError
	)
	switch {
	case errors.As(err, &load):
		return l.notLoaded(load)
	case errors.As(err, &invalid):
		return l.notValid(invalid)
	case errors.As(err, &pattern):
		f, path := l.where(pattern.URL)
		return l.located(f, path, fmt.Sprintf("%s cannot be used as a pattern: %s", shown(pattern.Regex), patternError(pattern.Err)))
	case errors.As(err, &noPointer):
		return l.deadEnd(noPointer.URL)
	case errors.As(err, &noAnchor):
		return l.deadEnd(noAnchor.Reference)
	}
	text := err.Error()
	for _, f := range l.used {
		text = strings.ReplaceAll(text, urlOf(f.at), l.shown(f.at))
	}
	return fmt.Errorf("%s: not a JSON Schema: %s", l.path, text)
}

// notLoaded is about a file that the loader refused.
func (l *loader) notLoaded(err *jsonschema.LoadURLError) error {
	if at, ok := pathOfURL(err.URL); ok && at == l.at {
		return in(l.path, err.Err)
	}
	keyword, written, place := l.reference(err.URL)
	address := cutAt(err.URL, maxURL)
	switch {
	case !errors.Is(err.Err, errElsewhere):
		return fmt.Errorf("%s: %s: %w", place, keyword, err.Err)
	case strings.Contains(written, "//") || written == "":
		return fmt.Errorf("%s: %s: %q is not fetched, as nothing is; save it as a file and write the path of that", place, keyword, address)
	}
	return fmt.Errorf("%s: %s: %q begins at the $id above it, so it is %q, which is not fetched, as nothing is; remove that $id to refer to files", place, keyword, written, address)
}

// notValid is about a file that is no schema.
func (l *loader) notValid(err *jsonschema.SchemaValidationError) error {
	f, path := l.where(err.URL)
	failed, ok := errors.AsType[*jsonschema.ValidationError](err.Err)
	if f == nil || !ok {
		return fmt.Errorf("%s: not a JSON Schema", l.path)
	}
	value := f.value
	for _, token := range path {
		value = member(value, token)
	}
	first := failures(failed, value)[0]
	return l.located(f, append(path, first.path...), first.what)
}

// located is an error about a value in a file.
func (l *loader) located(f *file, path []string, what string) error {
	if f == nil {
		return fmt.Errorf("%s: %s", l.path, what)
	}
	text := what
	if len(path) > 0 {
		text = sentence(path, what)
	}
	return fmt.Errorf("%s:%s: %s", l.shown(f.at), position(f.text, offsetOf(f.text, path)), text)
}

// deadEnd is about a reference whose document has no such place.
func (l *loader) deadEnd(to string) error {
	keyword, _, place := l.reference(to)
	document, fragment, _ := strings.Cut(to, "#")
	f, _ := l.where(document)
	name := shown(document)
	if f != nil {
		name = l.shown(f.at)
	}
	return fmt.Errorf("%s: %s: there is no #%s in %s", place, keyword, fragment, name)
}

// where is the file that a URL names, and the path that its fragment is.
func (l *loader) where(address string) (*file, []string) {
	document, fragment, _ := strings.Cut(address, "#")
	at, ok := pathOfURL(document)
	if !ok {
		return nil, nil
	}
	if decoded, err := url.PathUnescape(fragment); err == nil {
		fragment = decoded
	}
	for _, f := range l.used {
		if f.at == at {
			return f, tokens(jsontext.Pointer(fragment))
		}
	}
	return nil, nil
}

// reference finds the keyword that leads to a URL, and what is written there.
func (l *loader) reference(to string) (keyword, written, place string) {
	keyword = "$ref"
	place = l.placeOf(func(f *file, at jsontext.Pointer, value jsontext.Token) bool {
		name := at.LastToken()
		if value.Kind() != '"' || name != "$ref" && name != "$dynamicRef" && name != "$recursiveRef" && name != "$schema" {
			return false
		}
		if !leads(urlOf(f.at), value.String(), to) {
			return false
		}
		keyword, written = name, cutAt(value.String(), maxURL)
		return true
	})
	return keyword, written, place
}

// leads reports whether a reference in a document leads to a URL. Where an $id changes
// what it starts from, it looks at how both end.
func leads(from, reference, to string) bool {
	if !strings.Contains(to, "#") {
		reference, _, _ = strings.Cut(reference, "#")
	}
	if reference == "" {
		return false
	}
	base, err := url.Parse(from)
	if err != nil {
		return false
	}
	resolved, err := base.Parse(reference)
	return err == nil && resolved.String() == to || strings.HasSuffix(to, strings.TrimLeft(reference, "./"))
}
