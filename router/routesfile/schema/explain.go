package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"signalbox/router/internal/order"
)

const (
	maxFailures = 3  // that one error tells
	maxText     = 40 // characters of a value, a name or a pattern in it
	maxPath     = 10 // names of a path
	maxValues   = 8  // alternatives
	maxURL      = 200
)

// failure is one thing that is wrong with a value.
type failure struct {
	path []string
	what string
}

func (f failure) String() string { return sentence(f.path, f.what) }

// explain says in a line what is wrong with a message.
func explain(err *jsonschema.ValidationError, message any) string {
	all := failures(err, message)
	texts := make([]string, 0, maxFailures)
	for _, f := range all[:min(len(all), maxFailures)] {
		texts = append(texts, f.String())
	}
	text := strings.Join(texts, "; ")
	if more := len(all) - len(texts); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// failures lists what is wrong, sorted by path: the library goes through objects in any
// order. There is at least one.
func failures(err *jsonschema.ValidationError, value any) []failure {
	all := gather(err, value)
	order.Stable(all, func(a, b *failure) int { return strings.Compare(a.String(), b.String()) })
	all = slices.CompactFunc(all, func(a, b failure) bool { return a.String() == b.String() })
	if len(all) == 0 {
		return []failure{{what: "does not satisfy the schema"}}
	}
	return all
}

// gather looks for failures below an error that only says that there are some.
func gather(err *jsonschema.ValidationError, value any) []failure {
	switch k := err.ErrorKind.(type) {
	case *kind.AnyOf:
		return alternatives(err, value)
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			return alternatives(err, value)
		}
	case *kind.Required:
		missing := make([]failure, len(k.Missing))
		for i, name := range k.Missing {
			missing[i] = failure{join(err.InstanceLocation, name), "is missing"}
		}
		return missing
	case *kind.AdditionalProperties:
		extra := make([]failure, len(k.Properties))
		for i, name := range k.Properties {
			extra[i] = failure{join(err.InstanceLocation, name), "is not allowed"}
		}
		return extra
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		var all []failure
		for _, cause := range err.Causes {
			all = append(all, gather(cause, value)...)
		}
		return all
	}
	have := value
	for _, token := range err.InstanceLocation {
		have = member(have, token)
	}
	return []failure{{slices.Clone(err.InstanceLocation), words(err.ErrorKind, have)}}
}

// alternatives is a value that fits none of several schemas. One that is of another type
// altogether was hardly meant, so it is only told where all are.
func alternatives(err *jsonschema.ValidationError, value any) []failure {
	meant := slices.DeleteFunc(slices.Clone(err.Causes), func(one *jsonschema.ValidationError) bool {
		return otherType(one, len(err.InstanceLocation))
	})
	switch len(meant) {
	case 1:
		return gather(meant[0], value)
	case 0:
		meant = err.Causes
	}
	texts := make([]string, 0, maxFailures)
	for _, one := range meant[:min(len(meant), maxFailures)] {
		if below := failures(one, value); below[0].String() != "" && !slices.Contains(texts, below[0].String()) {
			texts = append(texts, below[0].String())
		}
	}
	what := fmt.Sprintf("fits none of %d alternatives (%s)", len(err.Causes), strings.Join(texts, "; or "))
	return []failure{{slices.Clone(err.InstanceLocation), what}}
}

// otherType reports whether an alternative fails since the value at this depth is of
// another type.
func otherType(err *jsonschema.ValidationError, depth int) bool {
	switch err.ErrorKind.(type) {
	case *kind.Type:
		return len(err.InstanceLocation) == depth
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		return len(err.Causes) == 1 && otherType(err.Causes[0], depth)
	}
	return false
}

// member is what a value has under a name, or at an index.
func member(of any, token string) any {
	switch v := of.(type) {
	case map[string]any:
		return v[token]
	case []any:
		if i, err := strconv.Atoi(token); err == nil && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func join(path []string, name string) []string { return append(slices.Clone(path), name) }

// sentence is what is said of the value that a path leads to: "data.size is missing",
// "data.size: want a number, have null".
func sentence(path []string, what string) string {
	subject := "the message"
	if len(path) > 0 {
		subject = pathOf(path)
	}
	if strings.HasPrefix(what, "want ") || strings.HasPrefix(what, "the ") || strings.HasPrefix(what, `"`) {
		return subject + ": " + what
	}
	return subject + " " + what
}

func pathOf(path []string) string {
	names := make([]string, 0, maxPath+1)
	for _, name := range path[:min(len(path), maxPath)] {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '.' || r == ':' || r == '"' || r >= 0x7f }) || len(name) > maxText {
			name = shown(name)
		}
		names = append(names, name)
	}
	if len(path) > maxPath {
		names = append(names, "…")
	}
	return strings.Join(names, ".")
}
