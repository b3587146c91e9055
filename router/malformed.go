package router

import (
	"errors"
	"fmt"
	"strconv"
)

// Cause says in one word why a message was rejected: the label of its counter.
type Cause string

// The causes of [Malformed] errors, and one more.
const (
	CauseEmpty       Cause = "empty"        // nothing but white space
	CauseTooBig      Cause = "too_big"      // more bytes than Fields.MaxBytes
	CauseTooDeep     Cause = "too_deep"     // nested deeper than 1,000
	CauseInvalidUTF8 Cause = "invalid_utf8" // bytes, or an escape, that are no character
	CauseNaN         Cause = "nan"          // NaN or Infinity, which some JSON writers let through
	CauseNotJSON     Cause = "not_json"     // any other mistake in the syntax
	CauseNotObject   Cause = "not_object"   // JSON, but an array, a text, a number …
	CauseNoType      Cause = "no_type"      // no field says the type, and there is no default
	CauseBadType     Cause = "bad_type"     // the type is no text, or empty
	CauseTwice       Cause = "field_twice"  // a field that the router reads stands twice
	CauseSchema      Cause = "schema"       // it does not satisfy the schema of its type
	CauseMiddleware  Cause = "middleware"   // Options.Middleware returned an error
)

// headBytes is how much of a rejected message its error quotes.
const headBytes = 80

// Malformed is the error of a message that cannot become an event.
type Malformed struct {
	Cause  Cause
	Detail string // what is wrong, for a person
	Offset int    // byte of the message where it is wrong; 0 for CauseSchema, whose Detail names a path
	Head   string // the first 80 bytes, quoted and escaped
}

// Error tells what is wrong, where, and how the message begins.
func (m *Malformed) Error() string {
	switch m.Cause {
	case CauseEmpty: // there is no place to point at
		return m.Detail
	case CauseTooBig, CauseSchema:
		return m.Detail + ": " + m.Head
	}
	return fmt.Sprintf("%s at byte %d: %s", m.Detail, m.Offset, m.Head)
}

// AsMalformed returns the [Malformed] that err is or wraps.
func AsMalformed(err error) (*Malformed, bool) {
	var m *Malformed
	ok := errors.As(err, &m)
	return m, ok
}

func malformed(payload []byte, cause Cause, offset int, detail string) *Malformed {
	return &Malformed{Cause: cause, Detail: detail, Offset: offset, Head: quoteHead(payload)}
}

func quoteHead(payload []byte) string {
	if len(payload) > headBytes {
		return strconv.QuoteToASCII(string(payload[:headBytes])) + "…"
	}
	return strconv.QuoteToASCII(string(payload))
}
