package condition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// unexpected matches the parser's words for a token that may not stand where it does.
var (
	unexpected = regexp.MustCompile(`^(?:mismatched|extraneous) input '(.*?)' expecting|^no viable alternative at input '(.*)'|^token recognition error at: '(.*)'`)
	inTuple    = regexp.MustCompile(`\bin\s*\([^()]*$`)
	fieldDot   = regexp.MustCompile(`[\w\])]\.$`)
)

// syntax says what a message of the parser means to somebody who does not know CEL.
func (m *Mistake) syntax(message string) string {
	switch {
	case strings.HasPrefix(message, "missing ')'"):
		return "a ) is missing here"
	case strings.HasPrefix(message, "missing ']'"):
		return "a ] is missing here"
	}
	if word, ok := strings.CutPrefix(message, "reserved identifier: "); ok {
		return m.word(word)
	}
	found := unexpected.FindStringSubmatch(message)
	if found == nil {
		return message
	}
	i := slices.IndexFunc(found[1:], func(text string) bool { return text != "" })
	if i < 0 {
		return message
	}
	token := strings.TrimSpace(found[i+1])
	if strings.HasSuffix(token, "<EOF>") {
		return "the condition ends too early; something is missing at its end"
	}
	if text := m.word(wordAt.FindString(m.after)); text != "" {
		return text
	}
	if before := wordEnd.FindStringSubmatch(m.before); before != nil {
		if text := m.word(before[1]); text != "" {
			m.moveBack(before[0])
			return text
		}
	}
	if text := m.signs(); text != "" {
		return text
	}
	return m.stray(token)
}

// word is the remedy for a word of another language; empty for any other.
func (m *Mistake) word(word string) string {
	quoted := fmt.Sprintf("%q", word)
	switch strings.ToLower(word) {
	case "and":
		return quoted + " is nothing in CEL; write &&"
	case "or":
		return quoted + " is nothing in CEL; write ||"
	case "not":
		return quoted + " is nothing in CEL; write !a, and !(a in b) rather than a not in b"
	case "is":
		return quoted + " is nothing in CEL; write == null, or !has(…) around a member that may be missing"
	case "like", "startswith", "endswith", "contains", "matches":
		return quoted + ` stands behind a dot: a.startsWith("x"), a.endsWith("x"), a.contains("x") or a.matches("x")`
	case "between":
		return quoted + " is nothing in CEL; write a >= 1 && a <= 2"
	case "if", "else", "then", "elif", "return", "lambda", "let", "var", "when", "where":
		return quoted + " is nothing in CEL; write the condition alone"
	}
	return ""
}

// signs is the remedy for operators of other languages.
func (m *Mistake) signs() (remedy string) {
	before := signsEnd.FindString(m.before)
	around := before + signsAt.FindString(m.after)
	defer func() {
		if remedy != "" {
			m.moveBack(before)
		}
	}()
	switch around {
	case "=":
		return "= alone is nothing in CEL; write == to compare"
	case "===":
		return "=== is nothing in CEL; write =="
	case "!==", "<>", "=!":
		return around + " is nothing in CEL; write !="
	case "=>":
		return "=> is nothing in CEL; write >="
	case "=<":
		return "=< is nothing in CEL; write <="
	case "&", "|":
		return fmt.Sprintf("%[1]s alone is nothing in CEL; write %[1]s%[1]s", around)
	case "**":
		return "** is nothing in CEL; write a * a"
	case "..":
		return "a name is missing between the two dots"
	}
	return ""
}

var (
	signsEnd  = regexp.MustCompile(`[=!<>&|*.]+$`)
	letterEnd = regexp.MustCompile(`[a-zA-Z]{1,2}$`)
)

// stray is about a token that is known, and stands in the wrong place.
func (m *Mistake) stray(token string) string {
	first := []rune(m.after + " ")[0]
	switch {
	case strings.HasPrefix(token, "'"), strings.HasPrefix(token, `"`):
		if letter := letterEnd.FindString(m.before); letter != "" {
			m.moveBack(letter)
			return "a text begins with its quote; remove the letter before it"
		}
		return fmt.Sprintf("the text %s cannot stand here; it is not closed, or an operator such as == is missing before it", token)
	case first == '~':
		return `~ is nothing in CEL; write a.matches("x")`
	case first == '#':
		return "a # is nothing in CEL; write the comment behind the closing quote"
	case first == ',' && inTuple.MatchString(m.before):
		return "a list is written [a, b], not (a, b)"
	case strings.ContainsRune("“”„‘’‚«»`", first):
		return `these quotes mean nothing here; write straight ones: "text" or 'text'`
	case first == '}', first == '{':
		return fmt.Sprintf("a %c cannot stand here; a member is written event.data.name", first)
	case first == ')', first == ']':
		return fmt.Sprintf("a %c cannot stand here; nothing before it opens it", first)
	case fieldDot.MatchString(m.before), first == '.', unicode.IsLetter(first) && first > unicode.MaxASCII:
		return fmt.Sprintf("%s cannot stand here; a member whose name is not letters, digits and _ is written event.data[\"name\"]", token)
	case strings.HasSuffix(strings.TrimSpace(m.before), "."):
		return "a name is missing after the dot"
	case first == '_' || unicode.IsLetter(first) || unicode.IsDigit(first):
		return fmt.Sprintf("%s cannot stand here; an operator such as == or && is missing before it", wordAt.FindString(m.after))
	case first == ',':
		return "a comma cannot stand here; write && between two conditions"
	case signsAt.MatchString(m.after):
		return fmt.Sprintf("%s needs a value on both sides", signsAt.FindString(m.after))
	}
	return fmt.Sprintf("a %s cannot stand here", token)
}
