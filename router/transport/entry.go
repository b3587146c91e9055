package transport

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
)

// The fields of an entry that watermill-redisstream wrote.
const (
	payloadField  = "payload"
	metadataField = "metadata"
	uuidField     = redisstream.UUIDHeaderKey
)

// entryPayload returns the message that a stream entry carries, however it was
// written: the field "payload", as Watermill writes it; else the only field when it
// is named "data" or "message"; else all fields as one JSON object. There the values
// are strings, except that a field "data" of valid JSON is embedded as it is. Bytes
// that are not UTF-8 stay as they are: who decodes the message then rejects it.
//
// A field that stands twice also does so in the object. Where it should have been the
// message itself it is named in twice, and the message is the object.
//
// It never fails, whatever the entry holds. What it returns may be the bytes of a field,
// which were read for this entry and belong to nobody else.
func entryPayload(fields []string) (payload []byte, twice string) {
	if value, times := lookUp(fields, payloadField); times == 1 {
		return bytesOf(value), ""
	} else if times > 1 {
		return entryObject(fields), payloadField
	}
	for _, name := range []string{"data", "message"} {
		value, times := lookUp(fields, name)
		switch {
		case times == 0 || 2*times < len(fields): // or not the only field
		case times == 1:
			return bytesOf(value), ""
		default:
			return entryObject(fields), name
		}
	}
	return entryObject(fields), ""
}

// bytesOf views a string as bytes. Nobody may change them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// lookUp returns a field's last value and how many times it stands there.
func lookUp(fields []string, name string) (value string, times int) {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == name {
			value = fields[i+1]
			times++
		}
	}
	return value, times
}

// entryObject writes fields as a JSON object with sorted names.
func entryObject(fields []string) []byte {
	names := make([]int, 0, len(fields)/2) // where they are in fields
	for i := 0; i+1 < len(fields); i += 2 {
		names = append(names, i)
	}
	slices.SortStableFunc(names, func(i, j int) int { return strings.Compare(fields[i], fields[j]) })
	var b bytes.Buffer
	b.WriteByte('{')
	for n, i := range names {
		if n > 0 {
			b.WriteByte(',')
		}
		name, value := fields[i], fields[i+1]
		writeString(&b, name)
		b.WriteByte(':')
		if name == "data" && json.Valid([]byte(value)) {
			b.WriteString(value)
		} else {
			writeString(&b, value)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// writeString writes s as a JSON string. encoding/json would replace invalid UTF-8,
// and with it hide that the producer is broken.
func writeString(b *bytes.Buffer, s string) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&0xf])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

// entryHeader returns the Watermill UUID and metadata of an entry that has them.
// Metadata that cannot be read is left out: it must not stop the event.
func entryHeader(fields []string) (uuid string, metadata message.Metadata) {
	uuid, _ = lookUp(fields, uuidField)
	packed, _ := lookUp(fields, metadataField)
	metadata = make(message.Metadata)
	msg, err := redisstream.DefaultMarshallerUnmarshaller{}.Unmarshal(map[string]any{
		uuidField:     uuid,
		metadataField: packed,
	})
	if err == nil {
		maps.Copy(metadata, msg.Metadata)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		if name != payloadField && name != metadataField && name != uuidField && utf8.ValidString(name) {
			metadata[name] = value
		}
	}
	return uuid, metadata
}

// entryTime returns the time in a stream id, "<ms>-<seq>"; zero if it has none.
func entryTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
