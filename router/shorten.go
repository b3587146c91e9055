package router

import "unicode/utf8"

// maxText is how many bytes of a text from a message a line shows.
const maxText = 256

// clip cuts a text that a stranger chose: a type, an id or a channel's name can be as
// long as a message.
func clip(text string) string { return shortened(text, maxText) }

// shortened is text with at most so many bytes of it.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
