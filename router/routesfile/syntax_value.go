package routesfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// curlyQuotes are those of word processors and other languages.
const curlyQuotes = "“”„‟‘’‚‛«»`´′″"

func curly(r rune) bool { return strings.ContainsRune(curlyQuotes, r) }

// straight is the remedy for a text in such quotes.
func (s *slip) straight(text string) string {
	if newCensor().mayHoldSecret(string(s.line())) || strings.Contains(text, `"`) {
		text = "text"
	}
	return fmt.Sprintf("these quotes mean nothing here; write straight ones: \"%s\"", strings.Trim(shorten(text), curlyQuotes))
}

var (
	wordBefore   = regexp.MustCompile(`[\w.:+/-]+$`)
	pythonQuotes = regexp.MustCompile(`^(?i:[rbfu]{1,2})["']`)
	leadingZero  = regexp.MustCompile(`^[+-]?0+([1-9]\d*)$`)
	underscores  = regexp.MustCompile(`^[+-]?[\d_]+$`)
	halfNumber   = regexp.MustCompile(`^([+-]?\d*)\.(\d*)$`)
)

// value is about a value that is none: a word without quotes, mostly.
func (s *slip) value() string {
	word := wordBefore.FindString(s.before)
	if s.at > 0 && !unicode.IsSpace(rune(s.doc[s.at-1])) {
		s.at -= len(word)
		s.before, s.rest = strings.TrimSuffix(s.before, word), word+s.rest
	}
	text := s.bare()
	first, _ := utf8.DecodeRuneInString(text)
	switch lower := strings.ToLower(text); {
	case text == "":
		return "a value is missing after the ="
	case curly(first):
		return s.straight(text)
	case lower == "true", lower == "yes", lower == "on":
		return fmt.Sprintf("%s is not a value; write true", text)
	case lower == "false", lower == "no", lower == "off":
		return fmt.Sprintf("%s is not a value; write false", text)
	case lower == "none", lower == "null", lower == "nil":
		return fmt.Sprintf("%s is not a value; leave the key out to set nothing", text)
	case first == '=':
		return "one = is enough"
	case first == '>' && strings.HasSuffix(s.before, "="):
		return "between a key and its value stands =, not =>"
	case first == '(':
		return "a list is written [a, b], not (a, b)"
	case first == ',':
		return "a value is missing before this comma"
	case pythonQuotes.MatchString(text):
		return `a text begins with its quote; remove the letter before it`
	case strings.Contains(s.message, "too large"):
		return fmt.Sprintf("%s is too large for a number", shorten(text))
	case leadingZero.MatchString(text):
		return fmt.Sprintf("a number does not begin with 0; write %s", shorten(leadingZero.FindStringSubmatch(text)[1]))
	case underscores.MatchString(text) && strings.Contains(text, "_"):
		return fmt.Sprintf("a _ stands between two digits; write %s", shorten(strings.ReplaceAll(text, "_", "")))
	case len(text) > 1 && halfNumber.MatchString(text):
		parts := halfNumber.FindStringSubmatch(text)
		return fmt.Sprintf("a point stands between two digits; write %s.%s", zero(shorten(parts[1])), zero(shorten(parts[2])))
	}
	return s.needsQuotes(text)
}

func zero(digits string) string {
	if digits == "" || digits == "-" || digits == "+" {
		return digits + "0"
	}
	return digits
}

// bare is the value that begins at the place, as far as its author meant it to go.
func (s *slip) bare() string {
	text := s.rest
	for _, comment := range []string{" #", "\t#", " ;", " //"} {
		text, _, _ = strings.Cut(text, comment)
	}
	if strings.HasPrefix(text, "#") {
		return ""
	}
	if open, _ := opened(s.doc[:s.at]); open >= 0 { // in a list or a table
		for i, r := range text {
			inReference := strings.LastIndex(text[:i], "${") > strings.LastIndex(text[:i], "}")
			if r == ',' || r == ']' || r == '}' && !inReference {
				text = text[:i]
				break
			}
		}
	}
	return strings.TrimSpace(text)
}

// needsQuotes is the remedy for a text without quotes. It never shows a secret.
func (s *slip) needsQuotes(text string) string {
	switch begins, ends := strings.HasPrefix(text, `"`), strings.HasSuffix(text, `"`); {
	case !utf8.ValidString(text), newCensor().mayHoldSecret(string(s.line())):
		return "this is not a value; text needs quotes"
	case ends && !begins && strings.Count(text, `"`) == 1:
		return fmt.Sprintf(`the quote at the beginning is missing: "%s`, shorten(text))
	case !strings.Contains(text, `"`) && !strings.Contains(text, `\`):
		return fmt.Sprintf(`%s is not a value; text needs quotes: "%[1]s"`, shorten(text))
	case !strings.Contains(text, `'`):
		return fmt.Sprintf(`%s is not a value; text needs quotes: '%[1]s'`, shorten(text))
	}
	return fmt.Sprintf("%s is not a value; text needs quotes: '''%[1]s'''", shorten(text))
}

// line is the whole line of the place.
func (s *slip) line() []byte {
	start := bytes.LastIndexByte(s.doc[:s.at], '\n') + 1
	line, _, _ := bytes.Cut(s.doc[start:], []byte("\n"))
	return line
}

// escape is about a \ in double quotes.
func (s *slip) escape() string {
	if i := bytes.LastIndexByte(s.doc[:min(s.at+1, len(s.doc))], '\\'); i >= 0 {
		s.at = i
	}
	next, _ := utf8.DecodeRune(s.doc[min(s.at+1, len(s.doc)):])
	begins := fmt.Sprintf(`\%c means nothing in double quotes`, next)
	switch {
	case next == 'u', next == 'U':
		begins = fmt.Sprintf(`\%c begins the number of a character in double quotes`, next)
	case !unicode.IsPrint(next) || next == utf8.RuneError:
		begins = `\ needs a character after it in double quotes`
	}
	return begins + `; write \\ for each \, or put the text in single quotes`
}
