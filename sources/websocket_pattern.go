package sources

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// wsIncoming is a message that came, or an element of one that is an array.
type wsIncoming struct {
	text string
	json bool // it is JSON, so that paths may be looked up in it
}

func newWSIncoming(message []byte) wsIncoming {
	// Not gjson's own check: it has no limit of depth, and a server can nest as it likes.
	return wsIncoming{text: string(message), json: json.Valid(message)}
}

// wsPatterns are patterns any of which may match. The empty one matches nothing.
type wsPatterns []wsPattern

// wsPattern is what a message has to be or to have.
type wsPattern struct {
	text string // the whole message, if there is no wanted
	want []wsWanted
}

// wsWanted is what is to be found at a path.
type wsWanted struct {
	path   string
	values []any // one of these; nil: anything
}

// parseWSPatterns reads an option that is a pattern or a list of them; nil is none.
func parseWSPatterns(option string, value any) (wsPatterns, error) {
	list, isList := value.([]any)
	switch {
	case value == nil:
		return nil, nil
	case !isList:
		list = []any{value}
	case len(list) == 0:
		return nil, fmt.Errorf("%s: the list is empty; write a pattern, or leave it out", option)
	}
	var patterns wsPatterns
	var errs []error
	for i, one := range list {
		name := option
		if isList {
			name += "." + strconv.Itoa(i)
		}
		pattern, err := parseWSPattern(name, one)
		patterns, errs = append(patterns, pattern), append(errs, err)
	}
	return patterns, errors.Join(errs...)
}

func parseWSPattern(option string, value any) (wsPattern, error) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return wsPattern{}, fmt.Errorf("%s: the text is empty; write the whole message that it is to be", option)
		}
		return wsPattern{text: v}, nil
	case map[string]any:
		var p wsPattern
		err := p.add(option, "", v)
		return p, err
	}
	return wsPattern{}, fmt.Errorf("%s: a pattern is a text, a table { path = value } or a list of these", option)
}

// add adds what a table wants; dotted keys and tables in tables are the same.
func (p *wsPattern) add(option, prefix string, table map[string]any) error {
	if len(table) == 0 {
		return fmt.Errorf(`%s: a table is empty; write { path = value }, or "*" as the value for anything`, option)
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(table)) {
		path := prefix + key
		if key == "" || strings.Contains("."+key+".", "..") {
			errs = append(errs, fmt.Errorf("%s: %q is no path; write names with dots between them", option, path))
			continue
		}
		want := wsWanted{path: escapePath(path)}
		switch v := table[key].(type) {
		case map[string]any:
			errs = append(errs, p.add(option, path+".", v))
			continue
		case []any:
			want.values = slices.Clone(v)
		default:
			if v != "*" {
				want.values = []any{v}
			}
		}
		for i, v := range want.values {
			switch n := v.(type) {
			case string, bool, float64:
			case int64:
			case int:
				want.values[i] = int64(n)
			default:
				errs = append(errs, fmt.Errorf("%s: %q has to be a text, a number, a boolean or a list of these", option, path))
			}
		}
		p.want = append(p.want, want)
	}
	return errors.Join(errs...)
}

func (ps wsPatterns) match(in wsIncoming) bool {
	return slices.ContainsFunc(ps, func(p wsPattern) bool { return p.match(in) })
}

func (p wsPattern) match(in wsIncoming) bool {
	if p.want == nil {
		return in.text == p.text
	}
	return in.json && !slices.ContainsFunc(p.want, func(w wsWanted) bool { return !w.in(in.text) })
}

func (w wsWanted) in(message string) bool {
	found := gjson.Get(message, w.path)
	if w.values == nil {
		return found.Exists()
	}
	return slices.ContainsFunc(w.values, func(v any) bool { return isWSValue(found, v) })
}

// isWSValue compares strictly: "1" is no number, and true no text.
func isWSValue(found gjson.Result, want any) bool {
	switch v := want.(type) {
	case string:
		return found.Type == gjson.String && found.Str == v
	case bool:
		return found.Exists() && found.IsBool() && found.Bool() == v
	case int64:
		return found.Type == gjson.Number && (found.Raw == strconv.FormatInt(v, 10) || found.Num == float64(v) && found.Int() == v)
	case float64:
		return found.Type == gjson.Number && found.Num == v
	}
	return false
}
