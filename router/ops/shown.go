package ops

import (
	"strings"
	"unicode/utf8"
)

// How much is shown of what strangers wrote, in bytes.
const (
	maxShown = 16 << 10 // of a message
	maxError = 2 << 10  // of an error, and of an event's texts
	maxNamed = 100      // of what somebody sent, in an error or a line of the log
)

// ShownMessage is what is shown of a message, and whether it is longer. It is a copy.
func ShownMessage[T string | []byte](message T) (text string, cut bool) {
	n := room(message, maxShown)
	return string([]byte(message[:n])), n < len(message)
}

// room is how many bytes of a text there is room for, so that no character is cut.
func room[T string | []byte](text T, most int) int {
	if len(text) <= most {
		return len(text)
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return end
}

// start is a copy of how a text begins.
func start(text string, most int) string {
	if len(text) > most {
		return text[:room(text, most-len("…"))] + "…"
	}
	return strings.Clone(text)
}
