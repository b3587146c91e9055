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

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
)

// The fields of an entry that watermill-redisstream wrote.
const (
	payloadField  = "payload"
	metadataField = "metadata"
	uuidField     = redisstream.UUIDHeaderKey
)

// DecodeEntry returns the message that a stream entry carries, and the time of its
// id, as a subscription would deliver them. It is for looking at streams.
func DecodeEntry(entry redis.XMessage) (payload []byte, at time.Time) {
	return entryPayload(entry.Values), entryTime(entry.ID)
}

// entryPayload returns the message that a stream entry carries, however it was
// written: the field "payload", as Watermill writes it; else the only field when it
// is named "data" or "message"; else all fields as one JSON object. There the values
// are strings, except that a field "data" of valid JSON is embedded as it is. Bytes
// that are not UTF-8 stay as they are: who decodes the message then rejects it.
//
// It never fails, whatever the entry holds.
func entryPayload(fields map[string]any) []byte {
	if payload, ok := fields[payloadField]; ok {
		return []byte(text(payload))
	}
	if len(fields) == 1 {
		for _, name := range []string{"data", "message"} {
			if only, ok := fields[name]; ok {
				return []byte(text(only))
			}
		}
	}
	return entryObject(fields)
}

// entryObject writes fields as a JSON object with sorted keys.
func entryObject(fields map[string]any) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(&b, name)
		b.WriteByte(':')
		value := text(fields[name])
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

// text returns a field's value; go-redis gives strings.
func text(value any) string {
	s, _ := value.(string)
	return s
}

// entryHeader returns the Watermill UUID and metadata of an entry that has them.
// Metadata that cannot be read is left out: it must not stop the event.
func entryHeader(fields map[string]any) (uuid string, metadata message.Metadata) {
	uuid = text(fields[uuidField])
	metadata = make(message.Metadata)
	msg, err := redisstream.DefaultMarshallerUnmarshaller{}.Unmarshal(map[string]any{
		uuidField:     uuid,
		metadataField: text(fields[metadataField]),
	})
	if err == nil {
		maps.Copy(metadata, msg.Metadata)
	}
	for name, value := range fields {
		if name != payloadField && name != metadataField && name != uuidField && utf8.ValidString(name) {
			metadata[name] = text(value)
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
