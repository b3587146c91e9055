package routesfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// whatIsTOML ends an error about a file that is something else.
const whatIsTOML = "; a routes file is TOML: [name] in a line, and key = value in the lines below it"

// slip is a place where the parser gave up. What it says there is the grammar's view; what
// stands there and before it shows what the author meant.
type slip struct {
	doc          []byte
	at           int    // offset of the place to change
	message      string // go-toml's
	before, rest string // of the line, without what surrounds it
}

// plainSyntax says what a go-toml message means to somebody who does not know TOML's
// grammar, with the remedy, and at which offset that is to be applied.
func plainSyntax(doc []byte, offset int, message string) (at int, text string) {
	s := &slip{doc: doc, at: offset, message: message}
	start := bytes.LastIndexByte(doc[:offset], '\n') + 1
	line, _, _ := bytes.Cut(doc[offset:], []byte("\n"))
	s.before, s.rest = strings.TrimSpace(string(doc[start:offset])), strings.TrimSpace(string(line))
	if text = s.foreign(doc[:start]); text == "" {
		text = s.unseen()
	}
	if text == "" {
		text = s.explain()
	}
	return s.at, text
}

// explain tells by go-toml's message in what the place is: a key, a text, a list.
func (s *slip) explain() string {
	has := func(words string) bool { return strings.Contains(s.message, words) }
	switch {
	case has("start of key"), has("expected key but"):
		return s.key()
	case has("'=' after key"):
		return s.equals()
	case has("expected ']"):
		return s.header()
	case has("expected newline"):
		return s.after()
	case has("already"):
		return s.message + "; write all of it in one place"
	case has("nested more"):
		return fmt.Sprintf("lists and tables nest deeper than %d levels", maxDepth)
	case has("array"), has("expected value but"):
		return s.list()
	case has("inline table"):
		return s.inline()
	case has("new lines"), has("terminated"):
		return s.text()
	case has("too many quotes"):
		return "this text ends with more than three quotes; write three"
	case has("escape"), has(`after \`):
		return s.escape()
	}
	return s.value()
}

var (
	variablesLine = regexp.MustCompile(`^(?:export\s+)?[A-Z][A-Z0-9_]*=`)
	yamlLine      = regexp.MustCompile(`^(?:---|["']?[\w-]+["']?:(?:\s.*)?)$`)
)

// foreign tells a file that was meant for something else by its first line that is no
// comment. Above is what stands before that line.
func (s *slip) foreign(above []byte) string {
	for line := range bytes.Lines(above) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return ""
		}
	}
	line := strings.TrimSpace(string(s.line()))
	switch r, _ := utf8.DecodeRuneInString(line); {
	case bytes.HasPrefix(s.doc, []byte("#!")):
		return "this is a script" + whatIsTOML
	case s.before == "" && r != '\t' && (unicode.IsControl(r) || r == utf8.RuneError && line != ""):
		return "this is no text" + whatIsTOML
	case r == '{':
		return "this is JSON" + whatIsTOML
	case r == '<' && !strings.HasPrefix(line, "<<"):
		return "this is HTML or XML" + whatIsTOML
	case variablesLine.MatchString(line):
		return "these are variables of the environment" + whatIsTOML
	case yamlLine.MatchString(line):
		return "this is YAML or JSON" + whatIsTOML
	}
	return ""
}

// unseen is about a character that editors do not show.
func (s *slip) unseen() string {
	r, size := utf8.DecodeRune(s.doc[s.at:])
	switch {
	case size == 0, r == '\t', r == '\n':
		return ""
	case r == '\r', strings.Contains(s.message, "arriage return"):
		return "this line ends as on an old Mac; save the file with Unix or Windows line ends"
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8", s.doc[s.at])
	case unicode.IsControl(r):
		return fmt.Sprintf("a control character (%U) stands here; delete it", r)
	case unicode.Is(unicode.Zs, r) && r != ' ':
		return fmt.Sprintf("this looks like a space and is another character (%U); write a space", r)
	case unicode.Is(unicode.Cf, r):
		return fmt.Sprintf("a character that nobody sees (%U) stands here; delete it", r)
	}
	return ""
}

// offsetOf is the offset of a place that go-toml tells as a line and a column of bytes.
func offsetOf(doc []byte, bad *toml.DecodeError) int {
	line, column := bad.Position()
	offset := 0
	for range line - 1 {
		offset += bytes.IndexByte(doc[offset:], '\n') + 1
	}
	return min(offset+max(column-1, 0), len(doc))
}

// placeIn is the place of an offset; its column counts characters.
func placeIn(file string, doc []byte, offset int) place {
	offset = runeStart(doc, offset)
	start := bytes.LastIndexByte(doc[:offset], '\n') + 1
	return place{file, bytes.Count(doc[:start], []byte("\n")) + 1, utf8.RuneCount(doc[start:offset]) + 1}
}

func shorten(text string) string {
	if len(text) <= 40 {
		return text
	}
	return strings.ToValidUTF8(text[:40], "") + "…"
}
