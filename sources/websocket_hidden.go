package sources

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	wsMaxShown  = 300 // bytes of what a server says that an error shows
	wsMinHidden = 6   // bytes of a text that is a secret
	wsMinKey    = 8   // bytes of what is one among other words
)

// wsHidden are texts that no error may show. The server knows them all, and may repeat them
// in what it says.
type wsHidden []string

// add hides the texts in a value, but for those in small letters: they are words.
func (h *wsHidden) add(values ...any) {
	for _, value := range values {
		switch v := value.(type) {
		case string:
			h.text(v)
		case []any:
			h.add(v...)
		case []string:
			for _, element := range v {
				h.text(element)
			}
		case map[string]any:
			h.add(slices.Collect(maps.Values(v))...)
		case map[string]string:
			for _, element := range v {
				h.text(element)
				h.text(element[strings.LastIndexByte(element, ' ')+1:]) // Bearer …
			}
		}
	}
}

func (h *wsHidden) text(text string) {
	if len(text) < wsMinHidden || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == "" {
		return
	}
	quoted := string(appendJSON(nil, text))
	quoted = quoted[1 : len(quoted)-1]
	*h = append(*h, text, quoted, strings.ReplaceAll(quoted, "/", `\/`), url.QueryEscape(text), url.PathEscape(text))
	// A text with tokens in it, such as a message: they are in the answer without the rest.
	for token := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if token != text && looksLikeWSKey(token) {
			*h = append(*h, token)
		}
	}
	// And a key with dashes in it, such as a UUID, is one key.
	for key := range strings.FieldsFuncSeq(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"',;:=&{}[]", r) }) {
		if key != text && len(key) >= wsMinKey && strings.ContainsAny(key, "0123456789") && strings.ContainsFunc(key, unicode.IsLetter) {
			*h = append(*h, key)
		}
	}
}

// url hides who logs in at an address, and what its query says.
func (h *wsHidden) url(text string) {
	u, err := url.Parse(text)
	if err != nil {
		h.text(text)
		return
	}
	if u.User != nil {
		password, _ := u.User.Password()
		h.add(u.User.Username(), password)
	}
	for _, values := range u.Query() {
		h.add(values)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if looksLikeWSKey(segment) {
			h.text(segment)
		}
	}
}

// json hides what looks like a key in JSON, such as a token of a preflight request.
func (h *wsHidden) json(value gjson.Result) {
	if value.Type == gjson.String && looksLikeWSKey(value.Str) {
		h.text(value.Str)
	}
	if value.IsObject() || value.IsArray() {
		value.ForEach(func(_, element gjson.Result) bool {
			h.json(element)
			return true
		})
	}
}

// looksLikeWSKey reports whether a text looks as if a machine had made it up.
func looksLikeWSKey(text string) bool {
	return len(text) >= 12 && strings.ContainsAny(text, "0123456789") && strings.ContainsFunc(text, unicode.IsLetter) &&
		!strings.Contains(text, "://")
}

// show makes what a server says safe to print: on one line, shortened, without secrets.
func (h wsHidden) show(text string) string {
	if h.in(text) {
		return "(not shown: it repeats what may be secret)"
	}
	return oneLine(text)
}

// in reports whether a text has one of them in it.
func (h wsHidden) in(text string) bool {
	return slices.ContainsFunc(h, func(secret string) bool { return strings.Contains(text, secret) })
}

// said is show behind a colon; nothing, for nothing.
func (h wsHidden) said(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return ": " + h.show(text)
}

// shownWSURL is what of an address may be shown: scheme, host and path. A path that may hold
// a token is left out.
func shownWSURL(u *url.URL) string {
	at := u.Scheme + "://" + u.Host
	for segment := range strings.SplitSeq(u.Path, "/") {
		if looksLikeWSKey(segment) {
			return at + "/***"
		}
	}
	return oneLine(at + u.EscapedPath())
}

// oneLine is a text without what could break a line of a log or steer a terminal, shortened.
func oneLine(text string) string {
	out := make([]byte, 0, min(len(text), wsMaxShown)+len("…"))
	before := rune(0)
	for _, r := range text {
		if len(out) >= wsMaxShown {
			return string(append(out, "…"...))
		}
		switch {
		case r != utf8.RuneError && strconv.IsPrint(r) && (before != '\\' || r != 'x'): // tint makes an ESC of \x1b
			out = utf8.AppendRune(out, r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		before = r
	}
	return string(out)
}
