package routesfile

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxExcerpt is how many characters of a long line are shown, and contextExcerpt how
	// many of them before the place.
	maxExcerpt, contextExcerpt = 100, 60
	tabStop                    = 4
)

// Excerpt is the line of a file that an error or a note is about.
type Excerpt struct {
	Line  string // as a terminal may show it; empty: there is none to show
	Start int    // characters before the place
	Width int    // characters of the place
}

// Show is the error as a compiler shows it: with the line that it is about, and the place
// in it underlined.
func (e Error) Show() string {
	if e.Excerpt.Line == "" {
		return e.Error()
	}
	message, help, more := strings.Cut(e.Error(), "\n")
	number := fmt.Sprintf("%5d", e.Line)
	shown := fmt.Sprintf("%s\n%s | %s\n%s | %s%s", message, number, e.Excerpt.Line,
		strings.Repeat(" ", len(number)), strings.Repeat(" ", e.Excerpt.Start), strings.Repeat("^", e.Excerpt.Width))
	if more {
		shown += "\n" + help
	}
	return shown
}

// texts are the files of a load, for excerpts of them.
type texts map[string][]byte

// excerpt is the line at a place, of a width that is told from what stands there if it is
// 0. A line that may hold a secret has none.
func (t texts) excerpt(at place, width int, hides *censor) Excerpt {
	if at.line == 0 {
		return Excerpt{}
	}
	line, _, _ := bytes.Cut(t.line(at), []byte("\n"))
	line = bytes.TrimRight(line, "\r \t")
	if len(line) == 0 || len(line) > maxFile/16 || hides.mayHoldSecret(string(line)) {
		return Excerpt{}
	}
	runes := bytes.Runes(line)
	start := min(at.column-1, len(runes))
	return window(runes, start, cmp.Or(width, span(runes[start:])))
}

// line is a file from the line of a place on.
func (t texts) line(at place) []byte {
	rest := t.plain(at.file)
	for range at.line - 1 {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	return rest
}

// end is the end of a file, where something can be added.
func (t texts) end(file string) place { return placeIn(file, t.plain(file), len(t.plain(file))) }

// plain is a file without the mark that Windows editors put before it.
func (t texts) plain(file string) []byte { return bytes.TrimPrefix(t[file], []byte("\xef\xbb\xbf")) }

// from is a file from a place on.
func (t texts) from(at place) string {
	if at.line == 0 {
		return ""
	}
	rest := t.line(at)
	for range at.column - 1 {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
	}
	return string(rest[:min(len(rest), 4*maxExcerpt*maxExcerpt)])
}

// window cuts a line to what is around the place, and makes it printable.
func window(line []rune, start, width int) Excerpt {
	from, to := 0, len(line)
	if to > maxExcerpt {
		from = max(0, min(start-contextExcerpt, to-maxExcerpt))
		to = min(to, from+maxExcerpt)
	}
	width = max(1, min(width, to-start))
	var out strings.Builder
	cut := func(is bool) {
		if is {
			out.WriteString("…")
		}
	}
	excerpt := Excerpt{Start: -1, Width: width}
	cut(from > 0)
	for i, r := range line[from:to] {
		if from+i == start {
			excerpt.Start = utf8.RuneCountInString(out.String())
		}
		switch {
		case r == '\t' && from+i >= start && from+i < start+width:
			out.WriteByte(' ')
		case r == '\t':
			out.WriteString(strings.Repeat(" ", tabStop))
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			out.WriteRune(utf8.RuneError)
		}
	}
	if excerpt.Start < 0 { // behind the end of the line
		excerpt.Start = utf8.RuneCountInString(out.String())
	}
	cut(to < len(line))
	excerpt.Line = out.String()
	return excerpt
}

// span is how many characters what begins a text has: a string, a list or table as far as
// its line goes, a key, or a value.
func span(text []rune) int {
	if len(text) == 0 {
		return 1
	}
	switch first := text[0]; first {
	case '"', '\'':
		return quotedSpan(text, first)
	case '[', '{':
		return bracketSpan(text)
	}
	for i, r := range text {
		if strings.ContainsRune(" \t=,#]}\"'", r) {
			return max(1, i)
		}
	}
	return len(text)
}

func quotedSpan(text []rune, quote rune) int {
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

func bracketSpan(text []rune) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"', '\'':
			i += quotedSpan(text[i:], text[i]) - 1
		case '#':
			return len([]rune(strings.TrimRight(string(text[:i]), " \t")))
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// mayHoldSecret reports whether a line of a file says a secret itself, rather than where it
// is. The line need not be TOML, and what is an option of which kind is not known, so that
// more is in doubt here than in [censor.show].
func (c *censor) mayHoldSecret(line string) bool {
	for _, at := range c.told.FindAllStringSubmatchIndex(line, -1) {
		name, between, value := line[at[2]:at[3]], strings.Trim(line[at[4]:at[5]], "\"' \t"), line[at[1]:]
		squashed, isFlag := squash(name), strings.HasPrefix(name, "-")
		isDSN := strings.Contains(squashed, "dsn") // whose default is hardly a password alone
		if value == "" || isReference(value, isDSN) || between == "," && !isFlag {
			continue
		}
		compared := between == "==" || between == "!=" // in a condition, where event.key is none
		switch {
		case saysSecret(squashed), isDSN, strings.Contains(squashed, "pass"):
			return true
		case isFlag || between != "" && !compared:
			if isSecretName(name) && !isOurs(name) {
				return true
			}
		}
	}
	if c.withoutLogins(line) != line {
		return true
	}
	quote := func(r rune) bool { return r == '"' || r == '\'' }
	return slices.ContainsFunc(strings.FieldsFunc(line, quote), func(text string) bool {
		return withoutPath(text) != text || c.looksLikeKey(text)
	})
}

// isReference reports whether a value, perhaps in quotes, says where something is: a path
// into an event, or a ${…}, without a default unless it may have one.
func isReference(value string, withDefault bool) bool {
	value = strings.TrimLeft(value, `"'`)
	if strings.HasPrefix(value, "data.") {
		return true
	}
	body, ok := strings.CutPrefix(value, "${")
	body, _, _ = strings.Cut(body, "}")
	_, fallback, _ := strings.Cut(body, ":-")
	return ok && (withDefault || fallback == "")
}

// isOurs reports whether a key that is called as secrets are is one of ours: key_field of a
// channel or source, per_key of stale_after, key of what a test expects.
func isOurs(name string) bool {
	for _, t := range []reflect.Type{reflect.TypeFor[rawChannel](), reflect.TypeFor[rawSource](), reflect.TypeFor[staleAfter](), reflect.TypeFor[rawExpectation]()} {
		if slices.Contains(keyNames(t), name) {
			return true
		}
	}
	return false
}
