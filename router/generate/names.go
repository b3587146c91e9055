package generate

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
)

// maxName is how long a name gets, without a suffix. Types may be of any length.
const maxName = 64

// words splits a channel's name or a type into words of ASCII count and digits. What
// begins with a capital after a small letter is a word; a character beyond ASCII is one,
// by its number.
func words(text string) []string {
	var found []string
	within, before, count := false, rune(0), 0
	for _, r := range text {
		if count++; count > maxName { // what follows would be cut off
			break
		}
		switch {
		case r >= 0x80:
			found = append(found, fmt.Sprintf("U%X", r))
			within = false
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			within = false
		case !within || unicode.IsLower(before) && unicode.IsUpper(r):
			found = append(found, string(r))
			within = true
		default:
			found[len(found)-1] += string(r)
		}
		before = r
	}
	return found
}

// screaming is a text as a constant of Python or TypeScript: ORDER_CREATED. No word of
// these languages is written so, and no name begins with _, which would hide it.
func screaming(text string) string {
	name := strings.ToUpper(strings.Join(words(text), "_"))
	if name == "" {
		return "X"
	}
	if unicode.IsDigit(rune(name[0])) {
		name = "X_" + name
	}
	return cut(name)
}

// camel is a text as an exported name of Go, or the rest of one: OrderCreated.
func camel(text string) string {
	var name strings.Builder
	for _, word := range words(text) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	if name.Len() == 0 {
		return "X"
	}
	return cut(name.String())
}

func cut(name string) string { return name[:min(len(name), maxName)] }

// candidate is a name that something would like to have.
type candidate struct {
	name string
	of   string // what it stands for; no other candidate stands for the same
}

// distinct gives each candidate a name of its own. Those that would share one all get a
// suffix that follows from what they stand for: so a name that is used somewhere may
// disappear when another channel is declared, but never comes to mean that one. Taken are
// names that no candidate gets.
func distinct(candidates []candidate, taken ...string) []string {
	var names []string
	for _, digits := range []int{4, 8, 64} {
		var unique bool
		if names, unique = suffixed(candidates, taken, digits); unique {
			break
		}
	}
	return names
}

// suffixed gives suffixes to candidates that share a name. It reports false when one so
// becomes the name of another.
func suffixed(candidates []candidate, taken []string, digits int) (names []string, unique bool) {
	count := map[string]int{}
	for _, name := range taken {
		count[name]++
	}
	for _, c := range candidates {
		count[c.name]++
	}
	unique = true
	for _, c := range candidates {
		name := c.name
		if count[name] > 1 {
			name = fmt.Sprintf("%s_%X", name, sha256.Sum256([]byte(c.of)))[:len(name)+1+digits]
			count[name]++
			unique = unique && count[name] == 1
		}
		names = append(names, name)
	}
	return names, unique
}
