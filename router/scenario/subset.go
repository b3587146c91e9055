package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// subset says what of want is not in have, by its path. Objects may have more members than
// are wanted; lists and other values are the same or differ. Numbers are the same when
// their values are: 1 and 1.0.
func subset(path string, want, have json.RawMessage) []string {
	if want == nil {
		return nil
	}
	wanted, _ := parse(want)
	value, err := parse(have)
	if err != nil {
		return []string{path + ": it has none"}
	}
	return lacks(path, wanted, value)
}

// known is JSON that is parsed once, when something is first wanted of it.
type known struct {
	parsed bool
	value  any
	err    error
}

// has reports whether all that is wanted is in the text, which is always the same one.
func (k *known) has(text json.RawMessage, want any) bool {
	if !k.parsed {
		k.parsed = true
		k.value, k.err = parse(text)
	}
	return k.err == nil && within(want, k.value)
}

func parse(text json.RawMessage) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// within reports whether lacks finds nothing, in a tenth of its time.
func within(want, have any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		for key := range want {
			if value, there := object[key]; !there || !within(want[key], value) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !within(want[i], list[i]) {
				return false
			}
		}
		return true
	case json.Number:
		number, ok := have.(json.Number)
		return ok && sameNumber(want, number)
	default:
		return want == have
	}
}

func lacks(path string, want, have any) (differs []string) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			value, there := object[key]
			if !there {
				differs = append(differs, fmt.Sprintf("%s.%s: want %s, and there is none", path, key, text(want[key])))
				continue
			}
			differs = append(differs, lacks(path+"."+key, want[key], value)...)
		}
		return differs
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			break
		}
		for i := range want {
			differs = append(differs, lacks(path+"."+strconv.Itoa(i), want[i], list[i])...)
		}
		return differs
	case json.Number:
		if number, ok := have.(json.Number); ok && sameNumber(want, number) {
			return nil
		}
	default:
		if want == have {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: want %s, have %s", path, text(want), text(have))}
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(string(a+b), ".eE-") {
		return false // two whole numbers
	}
	x, ok := new(big.Float).SetString(a.String())
	y, too := new(big.Float).SetString(b.String())
	return ok && too && x.Cmp(y) == 0
}

func text(value any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return string(bytes.TrimSpace(out.Bytes()))
}
