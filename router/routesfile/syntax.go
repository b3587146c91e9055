package routesfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// plainSyntax says what a go-toml message means to somebody who does not know TOML's
// grammar, with the remedy.
func plainSyntax(message string, rest []byte) string {
	switch {
	case strings.Contains(message, "cannot have new lines"), strings.HasPrefix(message, "unterminated"):
		return "this string is not closed; end it with the quote it began with, on the same line"
	case strings.Contains(message, "multiline") && strings.Contains(message, "not terminated"):
		return `this string is not closed; end it with the three quotes it began with`
	case strings.HasPrefix(message, "unexpected character"), strings.Contains(message, "must be quoted"), strings.HasPrefix(message, "expected keyword"):
		word, _, _ := bytes.Cut(rest, []byte("\n"))
		if fields := strings.Fields(string(word)); len(fields) > 0 && utf8.Valid(word) {
			return fmt.Sprintf("%s is not a value; text needs quotes: \"%s\"", shorten(fields[0]), strings.Trim(shorten(fields[0]), `"'`))
		}
		return "a value is missing after the ="
	case message == "expected value, not end of input":
		return "a value is missing after the ="
	case message == "expected '=' after key":
		return "expected = after the key; a setting is written key = value, and a table [name]"
	case strings.HasPrefix(message, "expected ']"):
		return "this table's name is not closed; write [name] or [[name]]"
	case message == "expected ',' or ']' after array value":
		return "a comma, or the ] that closes the list, is missing before this"
	case strings.HasSuffix(message, "U+000D"):
		return "this line ends as on an old Mac; save the file with Unix or Windows line ends"
	case message == "array is incomplete":
		return "this list is not closed; end it with ]"
	case message == "inline table is incomplete":
		return "this table is not closed; end it with }"
	case strings.Contains(message, "invalid escape character"):
		return message + `; write \\ for one backslash, or put the text in single quotes`
	case strings.Contains(message, "invalid UTF-8"):
		return message + "; save the file as UTF-8"
	}
	return message
}

func shorten(text string) string {
	if len(text) <= 40 {
		return text
	}
	return strings.ToValidUTF8(text[:40], "") + "…"
}

// column turns go-toml's column, which counts bytes, into one that counts characters.
func column(doc []byte, line, byteColumn int) int {
	for range line - 1 {
		_, doc, _ = bytes.Cut(doc, []byte("\n"))
	}
	offset := runeStart(doc, min(byteColumn-1, len(doc)))
	return utf8.RuneCount(doc[:offset]) + 1
}
