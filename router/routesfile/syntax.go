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

// saveTheFile begins the remedy for a file whose characters are others, unclosedText an
// error after which the lines below may be a part of the text.
const (
	saveTheFile  = "; save the file "
	unclosedText = "this text is not closed"
)

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
	if text = s.unseen(); text == "" {
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
// comment, if that is the one of the offset.
func foreign(doc []byte, offset int) string {
	start := bytes.LastIndexByte(doc[:offset], '\n') + 1
	for line := range bytes.Lines(doc[:start]) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return ""
		}
	}
	first, _, _ := bytes.Cut(doc[start:], []byte("\n"))
	line := strings.TrimSpace(string(first))
	switch r, _ := utf8.DecodeRuneInString(line); {
	case bytes.HasPrefix(doc, []byte("#!")):
		return "this is a script" + whatIsTOML
	case unicode.IsControl(r), r == utf8.RuneError && line != "":
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

// blank is doc with spaces for the lines from one offset to before that of another, or at
// least for that of the first.
func blank(doc []byte, from, to int) []byte {
	from = bytes.LastIndexByte(doc[:from], '\n') + 1
	end := bytes.LastIndexByte(doc[:to], '\n') + 1
	if end <= from || bytes.IndexByte(doc[to:], '\n') < 0 {
		end = len(doc)
		if next := bytes.IndexByte(doc[to:], '\n'); next >= 0 {
			end = to + next
		}
	}
	blanked := bytes.Clone(doc)
	for i := from; i < end; i++ {
		if blanked[i] != '\n' {
			blanked[i] = ' '
		}
	}
	return blanked
}

// unseen is about a character that editors do not show.
func (s *slip) unseen() string {
	r, size := utf8.DecodeRune(s.doc[s.at:])
	switch {
	case size == 0, r == '\t', r == '\n':
		return ""
	case r == '\r', strings.Contains(s.message, "arriage return"):
		return "this line ends as on an old Mac" + saveTheFile + "with Unix or Windows line ends"
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("the byte 0x%02x is not UTF-8%sas UTF-8", s.doc[s.at], saveTheFile)
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
