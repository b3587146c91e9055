package sources

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// wsValues are what references stand for.
type wsValues struct {
	id      int64  // {id}
	request string // {request.PATH}: the JSON answer of auth.request
	on      string // {on.PATH}: the JSON message that is answered
}

// wsText is a text with references in it. A brace that begins none means itself, so that
// JSON can be written as it is.
type wsText []wsPart

// wsPart is words or, if it has a name, a reference.
type wsPart struct {
	words string
	name  string // "id", "uuid", "time_ms", "time_s", "request", "on"
	path  string // of the last two, as gjson wants it
}

// wsScope says which references a text may have.
type wsScope struct {
	request bool // there is an auth.request before
	on      bool // it answers a message
	loose   bool // what is no reference may be a part of a secret, and means itself
}

// parseWSText reads a text of an option. Errors don't quote it.
func parseWSText(text string, scope wsScope) (wsText, error) {
	var parsed wsText
	words := 0 // where the words begin that are not in parsed yet
	for at := 0; at < len(text); {
		name, end := wsReference(text[at:])
		if end == 0 {
			at++
			continue
		}
		part, err := wsPlace(name, scope)
		if err != nil {
			return nil, err
		}
		if part.name != "" {
			if at > words {
				parsed = append(parsed, wsPart{words: text[words:at]})
			}
			parsed = append(parsed, part)
			words = at + end
		}
		at += end
	}
	if words < len(text) {
		parsed = append(parsed, wsPart{words: text[words:]})
	}
	return parsed, nil
}

// wsReference is the name in the braces that a text begins with, and where what follows
// begins; 0: it begins with no such thing.
func wsReference(text string) (name string, end int) {
	if text[0] != '{' {
		return "", 0
	}
	inner, _, closed := strings.Cut(text[1:], "}")
	isName := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.'
	}
	if !closed || inner == "" || strings.TrimFunc(inner, isName) != "" || strings.IndexFunc(inner, func(r rune) bool { return !isName(r) }) >= 0 {
		return "", 0
	}
	return inner, len(inner) + 2
}

// wsPlace is the reference of a name; without a name itself, it is none.
func wsPlace(name string, scope wsScope) (wsPart, error) {
	first, path, nested := strings.Cut(name, ".")
	switch {
	case slices.Contains([]string{"id", "uuid", "time_ms", "time_s"}, name):
		return wsPart{name: name}, nil
	case nested && path != "" && !strings.Contains("."+path+".", "..") && (first == "request" || first == "on"):
		if first == "request" && !scope.request {
			return wsPart{}, fmt.Errorf("{%s} refers to the answer of auth.request, and there is none here", name)
		}
		if first == "on" && !scope.on {
			return wsPart{}, fmt.Errorf("{%s} refers to the message that is answered; only reply.send has one", name)
		}
		return wsPart{name: first, path: escapePath(path)}, nil
	case scope.loose:
		return wsPart{}, nil
	}
	return wsPart{}, fmt.Errorf("{%s} is no reference; there are {id}, {uuid}, {time_ms}, {time_s}, {request.PATH} and, in reply, {on.PATH}", name)
}

// escapePath is a dotted path as gjson wants it: every name means itself.
func escapePath(path string) string {
	names := strings.Split(path, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	return strings.Join(names, ".")
}

// has reports whether a text refers to something.
func (t wsText) has(name string) bool {
	return slices.ContainsFunc(t, func(p wsPart) bool { return p.name == name })
}

// value is what a reference stands for, as JSON.
func (p wsPart) value(v *wsValues) (gjson.Result, error) {
	switch p.name {
	case "id":
		return gjson.Parse(strconv.FormatInt(v.id, 10)), nil
	case "uuid":
		return gjson.Parse(strconv.Quote(uuid.NewString())), nil
	case "time_ms":
		return gjson.Parse(strconv.FormatInt(time.Now().UnixMilli(), 10)), nil
	case "time_s":
		return gjson.Parse(strconv.FormatInt(time.Now().Unix(), 10)), nil
	case "on":
		if found := gjson.Get(v.on, p.path); found.Exists() {
			return found, nil
		}
		return gjson.Parse("null"), nil // the other side asks so, and may have a reason
	default:
		found := gjson.Get(v.request, p.path)
		if !found.Exists() {
			return found, fmt.Errorf("the answer to auth.request has nothing at %q", strings.ReplaceAll(p.path, `\`, ""))
		}
		return found, nil
	}
}

// fill is the text with what its references stand for, written by the function if there is one.
func (t wsText) fill(v *wsValues, written func(before, value string) string) (string, error) {
	var b strings.Builder
	for _, part := range t {
		if part.name == "" {
			b.WriteString(part.words)
			continue
		}
		value, err := part.value(v)
		if err != nil {
			return "", err
		}
		text := value.String() // null is nothing
		if written != nil {
			text = written(b.String(), text)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
