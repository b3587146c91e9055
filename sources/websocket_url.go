package sources

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parseWSURL reads an address. No error shows a part of the text: a token may stand
// anywhere in it, and a parser's errors quote it.
func parseWSURL(text string, schemes ...string) (*url.URL, error) {
	first := schemes[len(schemes)-1]
	target, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf(`this is no URL; write "%s://host/path", and a special character in a user or password as %%-escape`, first)
	case !slices.Contains(schemes, target.Scheme):
		return nil, fmt.Errorf("the scheme is not %s; write %s:// before the host", strings.Join(schemes, " or "), first)
	case target.Hostname() == "":
		return nil, fmt.Errorf("no host follows %s://", target.Scheme)
	case strings.Contains(text, "#"):
		return nil, errors.New("a # begins a fragment, which is never sent; remove it, or write %23 for the character")
	}
	if port := target.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port is not a number from 1 to 65535")
		}
	}
	return target, nil
}

// wsAddress is an address with references in it.
type wsAddress struct {
	text    wsText
	schemes []string
}

// parseWSAddress reads the address of an option. One with references can only be checked for
// what is there before the session begins.
func parseWSAddress(option, text string, scope wsScope, schemes ...string) (wsAddress, error) {
	scope.loose = true // an error would show what it takes for a reference
	parsed, err := parseWSText(text, scope)
	if err != nil {
		return wsAddress{}, fmt.Errorf("%s: %w", option, err)
	}
	if slices.ContainsFunc(parsed, func(p wsPart) bool { return strings.ContainsAny(p.words, "{}") }) {
		return wsAddress{}, fmt.Errorf("%s: it has a brace that belongs to no reference; write %%7B and %%7D for the characters", option)
	}
	a := wsAddress{text: parsed, schemes: schemes}
	if len(parsed) == 0 || parsed[0].name == "" {
		sample, err := parsed.fill(&wsValues{}, nil)
		if err != nil { // what the request will answer
			sample = parsed[0].words
		}
		if _, err := parseWSURL(sample, schemes...); err != nil {
			return wsAddress{}, fmt.Errorf("%s: %w", option, err)
		}
	}
	return a, nil
}

// of is the address with what its references stand for. What does not begin it is escaped, so
// that it stays in its place.
func (a wsAddress) of(v *wsValues) (*url.URL, error) {
	text, err := a.text.fill(v, func(before, value string) string {
		switch {
		case before == "":
			return value
		case strings.Contains(before, "?"):
			return url.QueryEscape(value)
		default:
			return url.PathEscape(value)
		}
	})
	if err != nil {
		return nil, err
	}
	return parseWSURL(text, a.schemes...)
}
