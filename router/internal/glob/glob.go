// Package glob matches names as the patterns of Redis do.
package glob

import "strings"

// Match is the pattern match of Redis with * and ?. A [set] matches any character:
// this decides only what is possible, such as a cycle.
func Match(pattern, name string) bool {
	p, n, star, retry := 0, 0, -1, 0
	for n < len(name) {
		size, matches := step(pattern[p:], name[n])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && matches:
			p, n = p+size, n+1
		case star >= 0:
			retry++
			p, n = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// step is how long the first element of a pattern is, and whether it matches c.
func step(pattern string, c byte) (size int, matches bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		if end := strings.IndexByte(pattern, ']'); end > 0 {
			return end + 1, true
		}
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}
