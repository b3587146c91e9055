package routesfile

import (
	"bytes"
	"fmt"
	"strings"
)

// opened is the offset of the innermost list, table or text that begins in doc and does
// not end in it, and the line ends since then; -1 when all is closed. A [name] at the
// beginning of a line is no list.
func opened(doc []byte) (offset, lines int) {
	var open []int
	value := false // behind an =, where a [ begins a list
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; c {
		case '#':
			end := bytes.IndexByte(doc[i:], '\n')
			if end < 0 {
				return innermost(doc, open)
			}
			i += end - 1
		case '\n':
			value = value && len(open) > 0
		case '=':
			value = true
		case '"', '\'':
			end := textEnd(doc[i:])
			if end < 0 {
				return i, bytes.Count(doc[i:], []byte("\n"))
			}
			i += end - 1
		case '[', '{':
			if value {
				open = append(open, i)
			}
		case ']', '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	return innermost(doc, open)
}

func innermost(doc []byte, open []int) (offset, lines int) {
	if len(open) == 0 {
		return -1, 0
	}
	offset = open[len(open)-1]
	return offset, bytes.Count(doc[offset:], []byte("\n"))
}

// textEnd is the length of the text that begins doc, with its quotes; -1 when it does not end.
func textEnd(doc []byte) int {
	quote := doc[:1]
	if three := bytes.Repeat(quote, 3); bytes.HasPrefix(doc, three) {
		quote = three
	}
	for i := len(quote); i < len(doc); i++ {
		switch {
		case doc[i] == '\\' && quote[0] == '"':
			i++
		case doc[i] == '\n' && len(quote) == 1:
			return -1
		case bytes.HasPrefix(doc[i:], quote):
			return i + len(quote)
		}
	}
	return -1
}

// list is about a list that goes on as none does, or does not end.
func (s *slip) list() string { return s.brackets("list", "a list", ']') }

// inline is the same about a { table }.
func (s *slip) inline() string { return s.brackets("table", "a table that begins with {", '}') }

func (s *slip) brackets(what, whole string, end byte) string {
	open, lines := opened(s.doc[:s.at])
	switch {
	case strings.HasPrefix(s.rest, ","):
		return "there is one comma too many; remove it"
	case s.rest != "" && s.rest[0] != end && strings.IndexByte("]})", s.rest[0]) >= 0:
		return fmt.Sprintf("%s ends with %c, not with %c", whole, end, s.rest[0])
	case open >= 0 && (s.rest == "" || lines > 0 && settingLine.MatchString(s.rest)):
		s.at = open
		return fmt.Sprintf("this %s is not closed; end it with %c", what, end)
	}
	return fmt.Sprintf("a comma is missing before this, or the %c that closes the %s", end, what)
}

// text is about a text that does not end.
func (s *slip) text() string {
	open, _ := opened(s.doc[:s.at])
	if open < 0 {
		return unclosedText + "; end it with the quote it began with"
	}
	quote := s.doc[open]
	if strings.Contains(s.message, "multiline") {
		s.at = open
		return fmt.Sprintf("%s; end it with %s", unclosedText, strings.Repeat(string(quote), 3))
	}
	if other := map[byte]string{'"': "'", '\'': `"`}[quote]; strings.HasSuffix(s.before, other) {
		return fmt.Sprintf("this text begins with %c and cannot end with %s; write %[1]c", quote, other)
	}
	return fmt.Sprintf("%s; end it with %c in its line, or begin and end a text of several lines with %s", unclosedText, quote, strings.Repeat(string(quote), 3))
}
