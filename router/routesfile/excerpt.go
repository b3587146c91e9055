package routesfile

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
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
func (t texts) excerpt(at place, width int) Excerpt {
	if at.line == 0 {
		return Excerpt{}
	}
	line, _, _ := bytes.Cut(t.line(at), []byte("\n"))
	line = bytes.TrimRight(line, "\r \t")
	if len(line) == 0 || len(line) > maxFile/16 || mayHoldSecret(line) {
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

// secretKey finds a key that is called as secrets are, anyKey every one, passwordInURL what
// may be one in an address, and webAddress what may tell who calls by its path.
var (
	secretKey     = regexp.MustCompile(`(?i)(?:pass|secret|token|api_?key|authorization|credential|dsn)[\w"'.-]*(?:\s*[=:]\s*|\s+)(["']\$\{)?`)
	anyKey        = regexp.MustCompile(`([\w.-]+)["']?\s*=\s*(["']\$\{)?`)
	passwordInURL = regexp.MustCompile(`:[^"']*@`)
	webAddress    = regexp.MustCompile(`(?i)https?://[^\s"']+`)
)

// mayHoldSecret reports whether a line says a secret itself, rather than where it is.
func mayHoldSecret(line []byte) bool {
	for _, found := range secretKey.FindAllSubmatch(line, -1) {
		if found[1] == nil {
			return true
		}
	}
	for _, found := range anyKey.FindAllSubmatch(line, -1) {
		if found[2] == nil && saysSecret(squash(string(found[1]))) {
			return true
		}
	}
	for _, address := range webAddress.FindAllString(string(line), -1) {
		if withoutPath(address) != address {
			return true
		}
	}
	return passwordInURL.Match(line)
}
