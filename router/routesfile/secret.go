package routesfile

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// hidden stands for what is not shown.
const hidden = "***"

// secrecy is how much of a value is shown.
type secrecy int

const (
	// asWritten is all of it: of options with the tag `secret:"false"`.
	asWritten secrecy = iota
	// withoutPasswords is all but what has the form of a password in an address or a text:
	// of the keys of the language.
	withoutPasswords
	// withoutKeys is likewise, and nothing that looks like a key: of options.
	withoutKeys
	// hostOnly is scheme and host of an address: of options with the tag `secret:"url"`.
	hostOnly
	// noneOfIt is of options with the tag `secret:"true"`.
	noneOfIt
)

// secrecyOf is what a tag says, else what the name of the key does.
func secrecyOf(tag, name string, otherwise secrecy) secrecy {
	switch {
	case otherwise == noneOfIt, tag == "true":
		return noneOfIt
	case tag == "url":
		return hostOnly
	case tag == "false":
		return asWritten
	case otherwise == withoutKeys && isSecretName(name):
		return noneOfIt
	}
	return otherwise
}

// isSecretName reports whether the name of a key or a variable says that its value is a
// secret. In doubt it is one.
func isSecretName(name string) bool {
	squashed := squash(name)
	if saysSecret(squashed) {
		return true
	}
	for _, end := range []string{"key", "pwd", "pass"} {
		if strings.HasSuffix(squashed, end) {
			return true
		}
	}
	words := []string{"pass", "pwd", "pw", "psw", "key", "keys", "auth", "cookie", "cookies", "jwt", "otp", "pin", "sas", "cred", "creds", "salt", "seed", "hook", "hmac", "session"}
	return slices.ContainsFunc(wordsOf(name), func(word string) bool { return slices.Contains(words, word) })
}

// setSecret keeps what is in n out of errors: see node.kind.
func (n *node) setSecret() {
	for _, leaf := range n.leaves() {
		leaf.secret = true
	}
}

// conceal keeps the lines of a secret out of excerpts, unless they only refer to it.
func (r *report) conceal(n *node) {
	for _, leaf := range n.leaves() {
		parts := references(leaf.raw)
		if alone := len(parts) == 1 && parts[0].literal == "" && parts[0].fallback == nil; !alone && leaf.at.line > 0 {
			r.dark[place{file: leaf.at.file, line: leaf.at.line}] = true
		}
	}
}

// masked is what options or a kind have said of n, without the secrets in it.
func (r *report) masked(n *node, text string) string {
	if n == nil {
		return text
	}
	for _, leaf := range n.leaves() {
		if value, _ := leaf.value.(string); leaf.secret && len(value) >= shortestSecret && n.get(value) == nil {
			text = strings.ReplaceAll(text, value, hidden)
		}
	}
	return r.errorAt(place{}, text).Message
}

// squash is a name without case and what stands between its words.
func squash(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// saysSecret reports whether a squashed name leaves no doubt.
func saysSecret(squashed string) bool {
	parts := []string{"passw", "passphrase", "secret", "token", "credential", "authoriz", "bearer", "webhook", "accesskey", "apikey", "signature", "mnemonic"}
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(squashed, part) })
}

// wordsOf splits API_KEY, x-api-key and apiKey.
func wordsOf(name string) []string {
	var spaced strings.Builder
	small := false
	for _, r := range name {
		if unicode.IsUpper(r) && small {
			spaced.WriteByte(' ')
		}
		small = unicode.IsLower(r)
		spaced.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(spaced.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// censor takes out of texts what must not be seen of them.
type censor struct {
	assignment *regexp.Regexp // name=, "name": or --name before a value
	told       *regexp.Regexp // a name in a line of a file, with what is between it and what follows
	bearer     *regexp.Regexp // what an Authorization field has before its value
	user       *regexp.Regexp // user:password@host without a scheme
	run        *regexp.Regexp // what may be a key
	id         *regexp.Regexp // what may be one in the form of a UUID
	long       *regexp.Regexp // what may be one in base64
}

func newCensor() *censor {
	return &censor{
		assignment: regexp.MustCompile(`([\w.%-]+)("?\s*(?:[=!]=|[=:])\s*|\s+)`),
		told:       regexp.MustCompile(`([\w.%-]+)(["']?\s*(?:[=!]=|[=:,])\s*|["']?\s+)`),
		bearer:     regexp.MustCompile(`(?i)\b(bearer|basic|digest)\s+\S`),
		user:       regexp.MustCompile(`(?:^|\s)[^\s:/@]*:(?:[^/\s@]|/[^/\s@])[^\s@]*@`),
		run:        regexp.MustCompile(`[A-Za-z0-9]{16,}`),
		id:         regexp.MustCompile(`[0-9a-fA-F-]{32,}`),
		long:       regexp.MustCompile(`[A-Za-z0-9+=_-][A-Za-z0-9+/=_-]{31,}`),
	}
}

// show is what a text may show.
func (c *censor) show(text string, how secrecy) string {
	switch how {
	case asWritten:
		return text
	case noneOfIt:
		return hidden
	case hostOnly:
		return schemeAndHost(text)
	case withoutKeys:
		text = withoutPath(c.withoutPasswords(text))
		if c.looksLikeKey(text) {
			return hidden
		}
		return text
	}
	return c.withoutPasswords(text)
}

// WithoutLogins is a text, such as an error, that may be shown to others: without what has
// the form of a password, as in an address.
func WithoutLogins(text string) string { return newCensor().withoutLogins(text) }

// withoutPasswords hides the password of an address, and all that follows a name of which
// it says that it is a secret: where the secret ends, only who wrote it knows.
func (c *censor) withoutPasswords(text string) string {
	text = c.withoutLogins(text)
	for from := 0; ; {
		at := c.assignment.FindStringSubmatchIndex(text[from:])
		if at == nil {
			return text
		}
		name, between := text[from+at[2]:from+at[3]], text[from+at[4]:from+at[5]]
		from += at[1]
		var isSecret bool
		switch sign := strings.Trim(between, "\" \t\n"); {
		case sign == "==" || sign == "!=": // in a condition, where event.key is none
			isSecret = saysSecret(squash(name))
		case sign != "" || strings.HasPrefix(name, "-"):
			isSecret = isSecretName(name) || strings.Contains(name, "%") // one with an escape may be any
		}
		if trimmed := strings.TrimRightFunc(text, unicode.IsSpace); isSecret && from >= len(trimmed) && len(trimmed) < len(text) {
			return trimmed + hidden // it is all space
		}
		if isSecret && from < len(text) {
			return text[:from] + hidden
		}
	}
}

// withoutLogins hides what has the form of a password, whatever it is called: in an
// address, behind the word for a way to log in, in a key file.
func (c *censor) withoutLogins(text string) string {
	if strings.Contains(text, "-----BEGIN") {
		return hidden
	}
	text = withoutUser(text)
	if at := c.user.FindStringIndex(text); at != nil {
		if strings.Count(text[at[0]:], "@") > 1 { // nobody knows which one ends the password
			return text[:at[0]] + hidden
		}
		text = text[:at[0]] + hidden + text[at[1]-1:]
	}
	if at := c.bearer.FindStringIndex(text); at != nil {
		text = text[:at[1]-1] + hidden
	}
	return text
}

// looksLikeKey reports whether something in a text looks as if a machine had made it up.
func (c *censor) looksLikeKey(text string) bool {
	mixed := func(found string) bool {
		return strings.ContainsAny(found, "0123456789") && strings.ContainsFunc(found, unicode.IsLetter)
	}
	cased := func(found string) bool {
		return mixed(found) && strings.ToLower(found) != found && strings.ToUpper(found) != found
	}
	return slices.ContainsFunc(c.run.FindAllString(text, -1), mixed) ||
		slices.ContainsFunc(c.id.FindAllString(text, -1), mixed) ||
		slices.ContainsFunc(c.long.FindAllString(text, -1), cased)
}

// withoutUser hides who logs in at an address, but for the user's name at a server where
// that is no secret. A password may hold any character, so that only the last @ ends it;
// where an @ may as well be part of what follows the host, all of the address is hidden.
func withoutUser(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	login, host, found := cutLast(rest, "@")
	if !found {
		return text
	}
	if strings.ContainsAny(login, "/?#") {
		return scheme + "://" + hidden
	}
	user, _, hasPassword := strings.Cut(login, ":")
	isServer := slices.ContainsFunc([]string{"redis", "rediss", "postgres", "postgresql"}, func(s string) bool { return strings.HasSuffix(scheme, s) })
	switch {
	case isServer && !hasPassword && isPlainName(user): // the name alone
		return text
	case isServer && hasPassword && isPlainName(user):
		return scheme + "://" + user + ":" + hidden + "@" + host
	}
	return scheme + "://" + hidden + "@" + host
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

func isPlainName(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && r != '.'
	})
}

// withoutPath hides the path and the query of an address in the web, unless its path is
// only words: many receivers are told who calls by nothing else.
func withoutPath(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	if !slices.Contains([]string{"http", "https", "ws", "wss"}, strings.ToLower(scheme)) {
		return text
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		return text
	}
	for segment := range strings.SplitSeq(rest[end:], "/") {
		isWord := !strings.ContainsFunc(segment, func(r rune) bool { return r < 'a' || r > 'z' })
		isShort := len(segment) < 4 && isPlainName(segment) // v1
		if !isWord && !isShort {
			return scheme + "://" + rest[:end] + "/" + hidden
		}
	}
	return text
}

// schemeAndHost is all that is shown of an address whose path may be a secret.
func schemeAndHost(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || strings.Contains(u.Host, "@") {
		return hidden
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" && (u.Path == "" || u.Path == "/") {
		return text
	}
	return u.Scheme + "://" + u.Host + "/" + hidden
}
