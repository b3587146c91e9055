package routesfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const commentsBegin = "a comment begins with #"

// notComment matches what begins a comment elsewhere.
var notComment = regexp.MustCompile(`^(?://|/\*|;|--)`)

// key is about what begins a line, a name or a setting and cannot.
func (s *slip) key() string {
	first, _ := utf8.DecodeRuneInString(s.rest)
	inHeader := strings.HasPrefix(s.before, "[")
	switch {
	case s.rest == "":
		return "a key is missing here"
	case notComment.MatchString(s.rest):
		return commentsBegin
	case strings.HasPrefix(s.rest, "<<<<<<<"), strings.HasPrefix(s.rest, "======="), strings.HasPrefix(s.rest, ">>>>>>>"), strings.HasPrefix(s.rest, "|||||||"):
		return "this is the mark of a merge conflict; keep one of the two versions and remove the marks"
	case strings.HasPrefix(s.rest, "```"):
		return "this is Markdown; remove the line"
	case inHeader && first == '[':
		return "the brackets stand together: [[routes]]"
	case inHeader && (first == ']' || first == '.'):
		return "a name is missing here; write [name]"
	case inHeader:
		return fmt.Sprintf("a %c cannot stand in a name; names are letters, digits, _ and -, with dots between them", first)
	case first == '=':
		return "the key before the = is missing"
	case curly(first):
		return s.straight(s.rest)
	}
	return fmt.Sprintf("a %c cannot begin a setting; a line is [name], key = value or # comment", first)
}

// equals is about a key without an = after it.
func (s *slip) equals() string {
	key := strings.TrimSpace(s.before[strings.LastIndexAny(s.before, "{,")+1:])
	next, _ := utf8.DecodeRuneInString(s.rest)
	touching := s.at > 0 && !unicode.IsSpace(rune(s.doc[s.at-1]))
	switch {
	case strings.HasPrefix(s.rest, ":="):
		return "between a key and its value stands =, not :="
	case next == ':':
		return "between a key and its value stands =, not :"
	case key == "-":
		return "a list is written key = [a, b]; a - begins nothing"
	case s.rest == "", next == '#', next == '}', next == ',':
		s.at = bytes.LastIndex(s.doc[:s.at], []byte(key))
		return fmt.Sprintf("%s has no value; write %[1]s = and its value", shorten(key))
	case touching && next != '"' && next != '\'':
		return fmt.Sprintf("a %c cannot stand in a key; keys are letters, digits, _ and -, and others need quotes", next)
	case spacedKey.MatchString(s.rest):
		return fmt.Sprintf("= is missing after %s; or if this is all one key, write _ for its spaces", shorten(key))
	}
	return fmt.Sprintf("= is missing after %s; a setting is written key = value", shorten(key))
}

// spacedKey matches the second word of a key and what follows it.
var spacedKey = regexp.MustCompile(`^[\w-]+(?:\s+[\w-]+)*\s*=`)

// header is about a [name] that does not end.
func (s *slip) header() string {
	next, _ := utf8.DecodeRuneInString(s.rest)
	brackets := "]"
	if strings.HasPrefix(s.before, "[[") {
		brackets = "]]"
	}
	name, _, closed := strings.Cut(s.rest, "]")
	switch {
	case s.rest == "", next == '#', next == ']':
		return fmt.Sprintf("this name is not closed; write %s%s", shorten(s.before), brackets)
	case closed && spacedName.MatchString(name):
		return fmt.Sprintf("a name has dots rather than spaces; write %s.%s%s", shorten(s.before), strings.Join(strings.Fields(shorten(name)), "."), brackets)
	case closed:
		return fmt.Sprintf("a %c cannot stand in a name; names are letters, digits, _ and -, with dots between them", next)
	}
	return "this name is not closed; write [name] or [[name]]"
}

var spacedName = regexp.MustCompile(`^[\w-]+(?:\s+[\w-]+)*$`)

// after is about what follows a value, or a [name], in its line.
func (s *slip) after() string {
	next, _ := utf8.DecodeRuneInString(s.rest)
	last, _ := utf8.DecodeLastRuneInString(s.before)
	touching := s.at > 0 && !unicode.IsSpace(rune(s.doc[s.at-1]))
	quoted := last == '"' || last == '\''
	_, value, setting := strings.Cut(s.before, "=")
	switch {
	case next == ']' || next == '}':
		return fmt.Sprintf("there is one %c too many; remove it", next)
	case !setting && strings.HasPrefix(s.before, "["):
		return "a setting stands in a line of its own, below the [name]"
	case s.rest == ",", s.rest == ";":
		return fmt.Sprintf("a setting ends with its line; remove the %s", s.rest)
	case notComment.MatchString(s.rest):
		return commentsBegin
	case next == ',' && !quoted:
		return "a comma cannot stand in a number; write 1000 or 0.5, and for several values [a, b]"
	case next == ',', quoted && !touching && (next == '"' || next == '\''):
		return "several values are a list: write [a, b]"
	case quoted && touching && strings.ContainsRune(s.rest, last):
		return fmt.Sprintf("the text ends at the %c before this; write '''text''' for a text with quotes in it", last)
	case quoted && settingLine.MatchString(s.rest):
		return "each setting stands in a line of its own"
	case quoted || last == ']' || last == '}':
		return "nothing but a # comment may follow a value"
	}
	rest := s.bare()
	start := bytes.LastIndexByte(s.doc[:s.at], '\n') + 1
	if begin := bytes.LastIndex(s.doc[start:s.at], []byte(strings.TrimSpace(value))); begin >= 0 {
		rest, s.at = string(s.doc[start+begin:s.at])+rest, start+begin
	}
	return s.needsQuotes(rest)
}

// settingLine matches a line that begins with a key and its =, or with a [name].
var settingLine = regexp.MustCompile(`^(?:[\w."'-]+\s*=|\[)`)
