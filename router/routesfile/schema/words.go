package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"signalbox/router/internal/wording"
)

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
