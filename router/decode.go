package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
)

const (
	defaultMaxBytes = 1 << 20
	maxDepth        = 1000
	splitSelf       = "." // Fields.Split: the message itself is the array
)

// decoder turns the raw messages of one channel into events.
type decoder struct {
	channel Channel
	members *member
	carrier *member // of a message around an array, when the channel is split at a path
	walkers sync.Pool
}

func newDecoder(ch Channel) *decoder {
	f := &ch.Fields
	if f.MaxBytes == 0 {
		f.MaxBytes = defaultMaxBytes
	}
	paths := [slotCount]string{
		slotType:   or(f.Type, "type"),
		slotID:     or(f.ID, "id"),
		slotTime:   or(f.Time, "time"),
		slotSource: "source",
		slotKey:    f.Key,
		slotData:   "data",
	}
	members, count := memberTree(paths)
	d := &decoder{channel: ch, members: members}
	if f.Split != "" && f.Split != splitSelf {
		var more int
		d.carrier, more = memberTree([slotCount]string{slotID: or(f.ID, "id"), slotSplit: f.Split})
		count = max(count, more)
	}
	d.walkers.New = func() any { return newWalker(count) }
	return d
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// raw is a message as it arrived, and what the transport knows of it.
type raw struct {
	payload []byte
	name    string    // Redis name
	id      string    // of the stream entry, or empty
	time    time.Time // of the entry, or of the arrival
}

// check finds out whether the payload is JSON that the walker can trust.
func (d *decoder) check(payload []byte) error {
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
	if !utf8.Valid(payload) || !gjson.ValidBytes(payload) || loneSurrogate(payload) {
		return diagnose(payload)
	}
	return nil
}

// loneSurrogate reports whether an escape is half a character: gjson reads every such
// half as the same U+FFFD, and so different types as one. Only a message with an escape
// in that range pays for the second look.
func loneSurrogate(payload []byte) bool {
	return (bytes.Contains(payload, []byte(`\ud`)) || bytes.Contains(payload, []byte(`\uD`))) &&
		!jsontext.Value(payload).IsValid(jsontext.AllowDuplicateNames(true))
}

// tooDeep returns the byte that opens one level too many, or -1. Most messages have
// too few brackets for that, which is cheap to see.
func tooDeep(payload []byte) int {
	if bytes.Count(payload, []byte{'{'})+bytes.Count(payload, []byte{'['}) <= maxDepth {
		return -1
	}
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

// part is one of the messages that an array holds.
type part struct {
	raw
	value gjson.Result
}

// open checks a message. Where the channel is split and the message has the array,
// it returns the array's elements, each a message of its own.
func (d *decoder) open(in raw) (whole gjson.Result, parts []part, split bool, err error) {
	if err := d.check(in.payload); err != nil {
		return gjson.Result{}, nil, false, err
	}
	whole = gjson.Parse(text(in.payload))
	array, id, err := d.array(in, whole)
	if err != nil || !array.IsArray() {
		return whole, nil, false, err
	}
	array.ForEach(func(_, element gjson.Result) bool {
		element.Index = 0
		p := part{raw: in, value: element}
		p.id = id + "-" + strconv.Itoa(len(parts)+1)
		p.payload = bytesOf(element.Raw)
		parts = append(parts, p)
		return true
	})
	return whole, parts, true, nil
}

// events decodes a whole message.
func (d *decoder) events(in raw) ([]Event, error) {
	whole, parts, split, err := d.open(in)
	if err != nil {
		return nil, err
	}
	if !split {
		parts = []part{{raw: in, value: whole}}
	}
	var (
		events []Event
		errs   []error
	)
	for _, p := range parts {
		var event Event
		if err := d.event(&event, p.raw, p.value); err != nil {
			errs = append(errs, err)
			continue
		}
		events = append(events, event)
	}
	return events, errors.Join(errs...)
}

// array is the array that the channel's messages are split at, or no array, and what
// the ids of its elements begin with: the id of the message around the array, else
// the stream entry's, else a new one.
func (d *decoder) array(in raw, whole gjson.Result) (array gjson.Result, id string, err error) {
	switch {
	case d.channel.Fields.Split == splitSelf:
		array = whole
	case d.carrier != nil && whole.IsObject():
		w := d.walkers.Get().(*walker)
		defer d.walkers.Put(w)
		w.walk(d.carrier, whole)
		if w.twice != nil {
			return array, "", malformed(in.payload, CauseTwice, w.where, fmt.Sprintf("the field %q stands twice", w.twice.path))
		}
		array, id = w.slots[slotSplit], textOf(w.slots[slotID])
	}
	if id = or(id, in.id); id == "" && array.IsArray() {
		id = newID()
	}
	return array, id, nil
}

// event fills ev from one message, which check has found to be valid JSON.
func (d *decoder) event(ev *Event, in raw, message gjson.Result) error {
	if !message.IsObject() {
		return malformed(in.payload, CauseNotObject, message.Index, "the message is "+article(message)+", not a JSON object")
	}
	w := d.walkers.Get().(*walker)
	defer d.walkers.Put(w)
	w.walk(d.members, message)
	if w.twice != nil {
		return malformed(in.payload, CauseTwice, w.where, fmt.Sprintf("the field %q stands twice", w.twice.path))
	}
	typ, err := d.typeOf(w, in.payload)
	if err != nil {
		return err
	}
	ev.Type = typ
	ev.Channel = d.channel.Name
	ev.Name = in.name
	ev.Msg = in.payload
	if ev.ID = textOf(w.slots[slotID]); ev.ID == "" {
		ev.ID = in.id
	}
	if ev.ID == "" {
		ev.ID = newID()
	}
	if ev.Time = timeOf(w.slots[slotTime]); ev.Time.IsZero() {
		ev.Time = in.time
	}
	if source := w.slots[slotSource]; source.Type == gjson.String {
		ev.Source = source.Str
	}
	if ev.Key = textOf(w.slots[slotKey]); ev.Key == "" && d.channel.Fields.KeyFromName {
		ev.Key = in.name
	}
	ev.Data = in.payload
	if data := w.slots[slotData]; data.Exists() {
		ev.Data = bytesOf(data.Raw)
	}
	return nil
}

func (d *decoder) typeOf(w *walker, payload []byte) (string, error) {
	field := or(d.channel.Fields.Type, "type")
	switch typ := w.slots[slotType]; {
	case !typ.Exists():
		if d.channel.Fields.DefaultType != "" {
			return d.channel.Fields.DefaultType, nil
		}
		return "", malformed(payload, CauseNoType, 0, fmt.Sprintf("the message has no field %q that says its type", field))
	case typ.Type != gjson.String:
		return "", malformed(payload, CauseBadType, typ.Index, fmt.Sprintf("the field %q is %s, not a string", field, article(typ)))
	case typ.Str == "":
		return "", malformed(payload, CauseBadType, typ.Index, fmt.Sprintf("the field %q is empty", field))
	default:
		return typ.Str, nil
	}
}

// article names a JSON value's sort for a sentence.
func article(v gjson.Result) string {
	switch {
	case v.IsArray():
		return "an array"
	case v.IsObject():
		return "an object"
	case v.Type == gjson.String:
		return "a string"
	case v.Type == gjson.Number:
		return "a number"
	case v.IsBool():
		return "a boolean"
	default:
		return "null"
	}
}

// textOf is a string, or a number as it is written; anything else counts as missing.
func textOf(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	default:
		return ""
	}
}

// timeOf reads RFC 3339, or a number since 1970 whose magnitude tells its unit: below
// 1e11 seconds, 1e14 milliseconds, 1e17 microseconds, else nanoseconds. Each of these
// covers the years 1973 to 5138. Anything else counts as missing.
func timeOf(v gjson.Result) time.Time {
	switch v.Type {
	case gjson.Number:
		return unixTime(v.Raw)
	case gjson.String:
		if t, err := time.Parse(time.RFC3339, v.Str); err == nil {
			return t
		}
		return unixTime(v.Str)
	default:
		return time.Time{}
	}
}

func unixTime(number string) time.Time {
	if strings.ContainsAny(number, "eE") {
		f, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return time.Time{}
		}
		number = strconv.FormatFloat(f, 'f', -1, 64)
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || n == 0 {
		return time.Time{}
	}
	digits := 0 // of the fraction that are at least a nanosecond
	switch {
	case n < 1e11:
		digits = 9
	case n < 1e14:
		digits = 6
	case n < 1e17:
		digits = 3
	}
	unit := int64(math.Pow10(digits)) // in ns
	ns := int64(0)
	for i, c := range []byte(fraction) {
		if c < '0' || c > '9' {
			return time.Time{}
		}
		if i < digits {
			ns += int64(c-'0') * int64(math.Pow10(digits-1-i))
		}
	}
	perSecond := int64(time.Second) / unit
	return time.Unix(int64(n)/perSecond, int64(n)%perSecond*unit+ns).UTC()
}

// text views bytes as a string without a copy. Events are read-only by contract, so
// the bytes never change while the string is in use.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf views a part of a string made by text as bytes again.
func bytesOf(s string) json.RawMessage { return unsafe.Slice(unsafe.StringData(s), len(s)) }
