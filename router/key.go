package router

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// Overflow is what a full queue of a Pub/Sub channel drops.
type Overflow string

// What is dropped. To wait is not among it: Redis cuts the connection of who doesn't read.
const (
	DropOldest   Overflow = "drop_oldest"
	NewestPerKey Overflow = "newest_per_key" // what waits behind a newer event of its key
)

// checkOverflow reports what cannot work.
func (ch *Channel) checkOverflow() error {
	switch {
	case ch.Overflow == "" || ch.Overflow == DropOldest:
		return nil
	case ch.Overflow != NewestPerKey:
		return fmt.Errorf("unknown overflow %q; there are %q and %q", ch.Overflow, DropOldest, NewestPerKey)
	case ch.Fields.Key == "" && !ch.Fields.KeyFromName:
		return fmt.Errorf("overflow %q needs Fields.Key", ch.Overflow)
	case ch.Fields.Split != "":
		return fmt.Errorf("overflow %q: a message that is split has no key of its own", ch.Overflow)
	default:
		return nil
	}
}

// KeyOf returns what reads the key of a channel's messages, as they arrive under a Redis
// name, before they are decoded. The key is empty where a message has none. What is read
// from a message that is no event means nothing.
func KeyOf(ch Channel) func(name string, payload []byte) string {
	path := gjsonPath(ch.Fields.Key)
	return func(name string, payload []byte) string {
		key := ""
		if path != "" {
			switch v := gjson.Get(text(payload), path); v.Type {
			case gjson.String:
				key = v.Str
			case gjson.Number:
				key = v.Raw
			}
		}
		if key == "" && ch.Fields.KeyFromName {
			key = name
		}
		return key
	}
}

// gjsonPath is a dotted path for gjson, to which some signs in a name mean something.
func gjsonPath(path string) string {
	if path == "" {
		return ""
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	return strings.Join(names, ".")
}
