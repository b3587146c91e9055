package generate

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf16"
)

// width is how long a line of a comment gets.
const width = 88

// plain is a text that may stand in a comment of any language: one line, without what
// would end the line or turn it round.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// sentence is a description as a part of a comment: with a full stop, or empty.
func sentence(description string) string {
	text := plain(description)
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// wrap breaks a text into lines. A word that is longer than a line has one of its own.
func wrap(text string, width int) []string {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		if n := len(lines); n > 0 && len([]rune(lines[n-1]))+1+len([]rune(word)) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// quote is a text as a literal of Python or JavaScript, which differ in how they write
// what is no character of the first 65,536.
func quote(text string, beyond func(rune) string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			b.WriteString(beyond(r))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quotePython(text string) string {
	return quote(text, func(r rune) string { return fmt.Sprintf(`\U%08x`, r) })
}

func quoteScript(text string) string {
	return quote(text, func(r rune) string {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	})
}

// origin tells which files a text was made from. A path that leads elsewhere would name
// a folder of one machine, and is shortened to the file's name.
func origin(files []string) string {
	names := make([]string, len(files))
	for i, file := range files {
		if names[i] = filepath.ToSlash(filepath.Clean(file)); !filepath.IsLocal(file) {
			names[i] = filepath.Base(file)
		}
		names[i] = plain(names[i])
	}
	if len(names) == 0 {
		return "a configuration"
	}
	return strings.Join(names, ", ")
}
