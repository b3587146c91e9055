package sources

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// wsHeader are header fields whose values have references in them.
type wsHeader map[string]wsText

// parseWSHeader reads the header fields of an option. Errors show no value.
func parseWSHeader(option string, fields map[string]string, scope wsScope) (wsHeader, error) {
	header := wsHeader{}
	var errs []error
	seen := map[string]string{}
	scope.loose = true
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		canonical := http.CanonicalHeaderKey(name)
		text, err := parseWSText(fields[name], scope)
		switch why := whyNotWSHeader(canonical); {
		case name == "" || strings.ContainsFunc(name, isNotToken):
			errs = append(errs, fmt.Errorf("%s: %q is no name of a field; write letters, digits and hyphens", option, oneLine(name)))
		case why != "":
			errs = append(errs, fmt.Errorf("%s: %q can't be set: %s", option, name, why))
		case seen[canonical] != "":
			errs = append(errs, fmt.Errorf("%s: %q and %q are one field; remove one", option, seen[canonical], name))
		case strings.ContainsFunc(fields[name], isControl):
			errs = append(errs, fmt.Errorf("%s: the value of %q has a line break or another control character, which would begin a new field; remove it", option, name))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %q: %w", option, name, err))
		}
		seen[canonical], header[canonical] = name, text
	}
	return header, errors.Join(errs...)
}

// whyNotWSHeader says who else sets a field; empty: the user may.
func whyNotWSHeader(canonical string) string {
	switch canonical {
	case "Host":
		return "it is the host of url"
	case "Origin":
		return "the option origin does"
	case "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Keep-Alive", "Expect", "Proxy-Connection":
		return "it belongs to the connection"
	}
	if strings.HasPrefix(canonical, "Sec-Websocket-") {
		return "it belongs to the upgrade"
	}
	return ""
}

// isNotToken reports whether a name of a header field may not have the character.
func isNotToken(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// isControl reports whether a value of a header field may not have the character.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// set sets the fields.
func (h wsHeader) set(header http.Header, v *wsValues) error {
	for name, text := range h {
		value, err := text.fill(v, nil)
		if err != nil {
			return err
		}
		if strings.ContainsFunc(value, isControl) {
			return fmt.Errorf("header field %q: what stands for its reference has a control character", name)
		}
		header.Set(name, value)
	}
	return nil
}
