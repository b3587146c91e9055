package handlers

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	minHidden      = 4 // bytes of a text that is looked for
	minHiddenToken = 8 // of a part of one
)

// hidden are texts that no error may show, since they are secrets or contain them. A
// receiver knows them all, and may repeat them in its answer.
type hidden []string

// newHidden hides what options tell a receiver, and only it. The header is that of every
// request.
func newHidden(o WebhookOptions, target *url.URL, header http.Header) hidden {
	var h hidden
	h.add(target.Path, target.EscapedPath(), target.RawQuery)
	for segment := range strings.SplitSeq(target.Path, "/") {
		if isNoWord(segment) {
			h.add(segment)
		}
	}
	for _, values := range target.Query() {
		h.add(values...)
	}
	if target.User != nil {
		password, _ := target.User.Password()
		h.add(target.User.Username(), password)
	}
	for name, values := range header {
		if name != "User-Agent" && name != "Content-Type" && name != "Accept" {
			h.add(values...)
			h.add(strings.Fields(strings.Join(values, " "))...)
		}
	}
	h.add(strings.TrimPrefix(o.Secret, secretPrefix), strings.TrimPrefix(o.OldSecret, secretPrefix))
	h.addTokensOf(o.Body)
	return h
}

// add hides texts whole, in the ways that an answer may escape them, and their tokens.
func (h *hidden) add(texts ...string) {
	for _, text := range texts {
		if len(text) >= minHidden {
			quoted := string(appendString(nil, text))
			quoted = quoted[1 : len(quoted)-1]
			forHTML := strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(quoted) // as Go writes JSON
			*h = append(*h, text, quoted, strings.ReplaceAll(quoted, "/", `\/`), forHTML, html.EscapeString(text), url.QueryEscape(text), url.PathEscape(text))
		}
		h.addTokens(text)
	}
	slices.Sort(*h)
	*h = slices.Compact(*h)
}

// addTokens hides the parts of a text that look like keys. They need no escape, and so are
// found in an answer however it escapes them.
func (h *hidden) addTokens(text string) {
	for token := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isAlphanumeric(r) }) {
		if len(token) >= minHiddenToken && isNoWord(token) {
			*h = append(*h, token)
		}
	}
}

// addTokensOf does so for the texts in a table: some receivers want their key in the body.
func (h *hidden) addTokensOf(value any) {
	switch v := value.(type) {
	case string:
		h.addTokens(v)
	case []any:
		for _, element := range v {
			h.addTokensOf(element)
		}
	case map[string]any:
		for _, element := range v {
			h.addTokensOf(element)
		}
	}
}

// isNoWord tells a key from a word in small letters.
func isNoWord(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < 'a' || r > 'z' })
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// show makes a text from a receiver safe to print: on one line, shortened, and without
// secrets.
func (h hidden) show(text string) string {
	if slices.ContainsFunc(h, func(secret string) bool { return strings.Contains(text, secret) }) {
		return "(not shown: it repeats a part of the request that may be secret)"
	}
	return oneLine(text)
}
