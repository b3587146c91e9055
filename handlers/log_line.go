package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText is how many bytes of a text a line shows.
const maxText = 512

// oneLine makes a text from a payload safe to print: without control or other
// invisible characters, which stand there as JSON escapes them, and cut at maxText.
// slog's handlers are not relied on: they differ in what they escape.
func oneLine(text string) string {
	if len(text) <= maxText && isPlain(text) {
		return text
	}
	out := make([]byte, 0, maxText+len("…"))
	before := rune(0)
	for _, r := range text {
		end := len(out)
		if isSafe(before, r) {
			out = utf8.AppendRune(out, r)
		} else {
			out = appendEscaped(out, r)
		}
		if len(out) > maxText {
			return string(append(out[:end], "…"...))
		}
		before = r
	}
	return string(out)
}

// oneLineJSON is oneLine for JSON, without the white space between its tokens. What it
// doesn't cut remains the same JSON value.
func oneLineJSON[T string | []byte](json T) string {
	var (
		out             = make([]byte, 0, min(len(json), maxText+utf8.UTFMax))
		quoted, escaped bool
	)
	for i := range len(json) {
		c := json[i]
		if !quoted && strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		if len(out) == maxText+utf8.UTFMax {
			break // one character more than oneLine shows
		}
		out = append(out, c)
		if c == '"' && !escaped {
			quoted = !quoted
		}
		escaped = quoted && c == '\\' && !escaped
	}
	return oneLine(string(out))
}

// isPlain reports whether a text is ASCII that needs no escape: nearly all are.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return !strings.Contains(text, `\x`)
}

// isSafe reports whether r may stand behind the character before it.
func isSafe(before, r rune) bool {
	switch {
	case before == '\\' && r == 'x':
		// Tint's colour mode makes an ESC of the four characters \x1b:
		// https://github.com/lmittmann/tint/blob/v1.2.1/handler.go (appendString)
		return false
	case r == utf8.RuneError:
		return false // Invalid UTF-8; and without colour, tint drops all that follows it.
	default:
		return strconv.IsPrint(r)
	}
}

// appendEscaped appends r as JSON escapes it.
func appendEscaped(out []byte, r rune) []byte {
	for _, unit := range utf16.AppendRune(nil, r) {
		out = fmt.Appendf(out, `\u%04x`, unit)
	}
	return out
}
