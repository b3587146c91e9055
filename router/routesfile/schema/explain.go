package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"signalbox/router/internal/wording"
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
	slices.SortFunc(all, func(a, b failure) int { return strings.Compare(a.String(), b.String()) })
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

// words says what a value should be, and what it is.
func words(of jsonschema.ErrorKind, have any) string {
	switch k := of.(type) {
	case *kind.Type:
		want := make([]string, len(k.Want))
		for i, name := range k.Want {
			want[i] = article(name)
		}
		return "want " + or(want) + ", have " + brief(have)
	case *kind.Enum:
		return "want " + or(values(k.Want)) + ", have " + brief(have)
	case *kind.Const:
		return "want " + brief(k.Want) + ", have " + brief(have)
	case *kind.Format:
		if k.Want == "regex" {
			return fmt.Sprintf("%s cannot be used as a pattern: %s", brief(have), patternError(k.Err))
		}
		return fmt.Sprintf("want the format %s, have %s", k.Want, brief(have))
	case *kind.Pattern:
		return fmt.Sprintf("want a string that matches %s, have %s", shown(k.Want), brief(have))
	case *kind.Minimum:
		return fmt.Sprintf("want a number from %s, have %s", decimal(k.Want), brief(have))
	case *kind.Maximum:
		return fmt.Sprintf("want a number up to %s, have %s", decimal(k.Want), brief(have))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("want a number above %s, have %s", decimal(k.Want), brief(have))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("want a number below %s, have %s", decimal(k.Want), brief(have))
	case *kind.MultipleOf:
		return fmt.Sprintf("want a multiple of %s, have %s", decimal(k.Want), brief(have))
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "is what it must not be (not)"
	case *kind.OneOf:
		return fmt.Sprintf("fits alternatives %d and %d of oneOf, and must fit one alone", k.Subschemas[0]+1, k.Subschemas[1]+1)
	case *kind.RefCycle:
		return "the schema refers to itself for ever: " + shown(k.KeywordLocation1)
	}
	return wordsOfSize(of)
}

// wordsOfSize is words about how many parts a value has, and which.
func wordsOfSize(of jsonschema.ErrorKind) string {
	switch k := of.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("want %s or more, have %d", wording.Count(k.Want, "character"), k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("want %s at most, have %d", wording.Count(k.Want, "character"), k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("want %s or more, have %d", wording.Count(k.Want, "item"), k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("want %s at most, have %d", wording.Count(k.Want, "item"), k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("want %s or more, have %d", wording.Count(k.Want, "member"), k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("want %s at most, have %d", wording.Count(k.Want, "member"), k.Got)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %s too many", wording.Count(k.Count, "item"))
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "has no item that contains asks for"
	case *kind.MinContains:
		return fmt.Sprintf("want %s or more that contains asks for, have %d", wording.Count(k.Want, "item"), len(k.Got))
	case *kind.MaxContains:
		return fmt.Sprintf("want %s at most that contains asks for, have %d", wording.Count(k.Want, "item"), len(k.Got))
	case *kind.PropertyNames:
		return fmt.Sprintf("may have no member %s", shown(k.Property))
	case *kind.Dependency:
		return fmt.Sprintf("has %s, and lacks %s", shown(k.Prop), shown(k.Missing[0]))
	case *kind.DependentRequired:
		return fmt.Sprintf("has %s, and lacks %s", shown(k.Prop), shown(k.Missing[0]))
	}
	return "does not satisfy " + strings.Join(of.KeywordPath(), "/")
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

// brief is a value in an error: itself, if it is short.
func brief(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return cut(v.String())
	case string:
		return shown(v)
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "another value"
}

// shown is a text in quotes, cut.
func shown(text any) string {
	s := fmt.Sprint(text)
	if short := cut(s); short != s {
		return strconv.Quote(strings.TrimSuffix(short, "…")) + "…"
	}
	return strconv.Quote(s)
}

func cut(text string) string { return cutAt(text, maxText) }

func cutAt(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func article(name string) string {
	switch name {
	case "null":
		return name
	case "array", "object", "integer":
		return "an " + name
	}
	return "a " + name
}

func values(all []any) []string {
	texts := make([]string, 0, maxValues+1)
	for _, value := range all[:min(len(all), maxValues)] {
		texts = append(texts, brief(value))
	}
	if more := len(all) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("one of %d more", more))
	}
	return texts
}

// or is "a, b or c".
func or(texts []string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// decimal is a number as a schema writes it: its fraction ends.
func decimal(number *big.Rat) string {
	digits, _ := number.FloatPrec()
	return cut(number.FloatString(digits))
}
