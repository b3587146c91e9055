package router

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep arrays and objects of a message may nest.
const maxDepth = 1000

// check reports what is wrong with a payload that is not to be an event.
func (d *decoder) check(payload []byte) error {
	w := d.walkers.Get().(*walker)
	defer d.walkers.Put(w)
	if len(payload) <= d.channel.Fields.MaxBytes && w.scan(&member{}, text(payload)) {
		return nil
	}
	return d.refusal(payload)
}

// refusal says why a payload was not scanned to its end.
func (d *decoder) refusal(payload []byte) error {
	switch {
	case len(bytes.TrimLeft(payload, " \t\r\n")) == 0:
		return malformed(payload, CauseEmpty, 0, "the message is empty")
	case len(payload) > d.channel.Fields.MaxBytes:
		return malformed(payload, CauseTooBig, d.channel.Fields.MaxBytes,
			fmt.Sprintf("the message has %d bytes, more than max_bytes = %d", len(payload), d.channel.Fields.MaxBytes))
	}
	if offset := tooDeep(payload); offset >= 0 {
		return malformed(payload, CauseTooDeep, offset, fmt.Sprintf("nested deeper than %d", maxDepth))
	}
	return diagnose(payload)
}

// loneSurrogate reports whether an escape is half a character: gjson reads every such
// half as the same U+FFFD, and so different types as one. Only a message with an escape
// in that range pays for the second look.
func loneSurrogate(message string) bool {
	return !jsontext.Value(message).IsValid(jsontext.AllowDuplicateNames(true))
}

// tooDeep returns the byte that opens one level too many, or -1.
func tooDeep(payload []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// diagnose says why the payload is not JSON, with a slower parser that knows.
func diagnose(payload []byte) error {
	value := jsontext.NewDecoder(bytes.NewReader(payload), jsontext.AllowDuplicateNames(true))
	_, err := value.ReadValue()
	if err == nil {
		offset := int(value.InputOffset())
		rest := payload[offset:]
		offset += len(rest) - len(bytes.TrimLeft(rest, " \t\r\n"))
		if !utf8.Valid(payload[offset:]) {
			return malformed(payload, CauseInvalidUTF8, offset, "invalid UTF-8")
		}
		return malformed(payload, CauseNotJSON, offset, "not JSON: more text follows the value")
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return malformed(payload, CauseNotJSON, len(payload), "not JSON: the message ends too early")
	}
	offset := int(syntax.ByteOffset)
	at := payload[min(offset, len(payload)):]
	begins := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return bytes.HasPrefix(at, []byte(w)) })
	}
	switch first, size := utf8.DecodeRune(at); {
	case begins("NaN", "Inf", "-Inf"):
		if offset > 0 && payload[offset-1] == '-' {
			offset--
		}
		return malformed(payload, CauseNaN, offset,
			"not JSON: NaN and Infinity have no JSON form (Python: json.dumps(…, allow_nan=False) refuses them)")
	case len(at) == 0:
		return malformed(payload, CauseNotJSON, offset, "not JSON: the message ends too early")
	case first == utf8.RuneError && size == 1:
		return malformed(payload, CauseInvalidUTF8, offset, "invalid UTF-8")
	case begins(`\ud`, `\uD`):
		return malformed(payload, CauseInvalidUTF8, offset, "half of a surrogate pair, which is no character")
	case first == '\ufeff':
		return malformed(payload, CauseNotJSON, offset, "not JSON: a byte order mark stands before the value (Python: encode as utf-8, not utf-8-sig)")
	case first == '\'':
		return malformed(payload, CauseNotJSON, offset, "not JSON: strings stand in double quotes (Python: json.dumps, not str)")
	case begins("True", "False", "None"):
		return malformed(payload, CauseNotJSON, offset, "not JSON: it is true, false and null (Python: json.dumps, not str)")
	}
	return malformed(payload, CauseNotJSON, offset, "not JSON: "+syntax.Err.Error())
}
