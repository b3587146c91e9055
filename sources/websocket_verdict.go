package sources

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

const (
	// wsMaxRetryAfter is the longest pause that a server may ask for, and wsRefused how long
	// not to connect when one has refused and asks for nothing.
	wsMaxRetryAfter = time.Hour
	wsRefused       = time.Minute
	// wsRestarting and wsOverloaded are for servers that close with the codes for these.
	wsRestarting = 5 * time.Second
	wsOverloaded = 30 * time.Second
)

// The verdicts of option errors.
const (
	wsRetry     = "retry"
	wsReauth    = "reauth"
	wsStandDown = "stand_down"
	wsFatal     = "fatal"
	wsIgnore    = "ignore"
	wsRotate    = "rotate"
)

// wsRule says what an error means.
type wsRule struct {
	match    wsPatterns
	codes    []int64
	statuses []int64
	then     string
	after    time.Duration
}

// errWSPlanned ends a session as planned.
var errWSPlanned = errors.New("planned")

func parseWSRules(list []WebSocketError) ([]wsRule, error) {
	rules := make([]wsRule, 0, len(list))
	var errs []error
	for i, o := range list {
		name := "errors." + strconv.Itoa(i)
		rule := wsRule{then: o.Then, after: o.After}
		var matchErr, codeErr, statusErr error
		rule.match, matchErr = parseWSPatterns(name+".match", o.Match)
		rule.codes, codeErr = parseWSNumbers(name+".code", o.Code, 1000, 4999, "close codes")
		rule.statuses, statusErr = parseWSNumbers(name+".status", o.Status, 300, 599, "HTTP statuses of errors")
		errs = append(errs, matchErr, codeErr, statusErr)
		switch {
		case !slices.Contains([]string{wsRetry, wsReauth, wsStandDown, wsFatal, wsIgnore, wsRotate}, o.Then):
			errs = append(errs, fmt.Errorf(`%s.then: want "retry", "reauth", "stand_down", "fatal", "ignore" or "rotate", have %q`, name, o.Then))
		case o.Match == nil && o.Code == nil && o.Status == nil:
			errs = append(errs, fmt.Errorf("%s has nothing to tell the error by; write match, code or status", name))
		case o.Then == wsIgnore && (o.Code != nil || o.Status != nil):
			errs = append(errs, fmt.Errorf(`%s.then: "ignore" is for messages; after a close code or a status there is no session`, name))
		case o.Then == wsRotate && o.Status != nil:
			errs = append(errs, fmt.Errorf(`%s.then: "rotate" is for messages and close codes; a session that was refused has not begun, and "retry" waits before the next attempt`, name))
		case o.After < 0 || o.After != 0 && o.Then != wsRetry && o.Then != wsReauth:
			errs = append(errs, fmt.Errorf(`%s.after: it goes with "retry" and "reauth" only, and is not negative`, name))
		}
		rules = append(rules, rule)
	}
	return rules, errors.Join(errs...)
}

// parseWSNumbers reads an option that is a number or a list of them.
func parseWSNumbers(option string, value any, least, most int64, what string) ([]int64, error) {
	list, isList := value.([]any)
	if !isList && value != nil {
		list = []any{value}
	}
	var numbers []int64
	for _, one := range list {
		n, ok := one.(int64)
		if i, isInt := one.(int); isInt {
			n, ok = int64(i), true
		}
		if !ok || n < least || n > most {
			return nil, fmt.Errorf("%s: %v is none; %s are numbers from %d to %d", option, one, what, least, most)
		}
		numbers = append(numbers, n)
	}
	if isList && len(list) == 0 {
		return nil, fmt.Errorf("%s: the list is empty; write a number, or leave it out", option)
	}
	return numbers, nil
}

// verdict is what an error means by the rule.
func (r wsRule) verdict(err error) error {
	if r.then == wsReauth {
		err = reauth(err)
	}
	switch {
	case r.then == wsStandDown:
		return router.StandDown(err)
	case r.then == wsFatal:
		return router.Permanent(err)
	case r.then == wsRotate:
		return errWSPlanned
	case r.after > 0:
		return router.Unavailable(err, r.after)
	default:
		return err
	}
}

// reauth says that the credentials are at fault. That they are read again is so with every
// session; who reads the log should not look for another remedy.
func reauth(err error) error {
	return fmt.Errorf("%w; credentials are read again before the next attempt", err)
}

// verdictOfStatus is what an answer with another status than was wanted means. Where nothing
// is asked for but to log in, being forbidden is a matter of credentials, too.
func verdictOfStatus(rules []wsRule, status int, header http.Header, err error, login bool) error {
	for _, rule := range rules {
		if slices.Contains(rule.statuses, int64(status)) {
			return rule.verdict(err)
		}
	}
	after := retryAfter(header)
	if status == http.StatusUnauthorized || status == http.StatusForbidden && login {
		err = reauth(err)
	}
	switch status {
	case http.StatusForbidden, http.StatusNotAcceptable, http.StatusTooManyRequests:
		if after == 0 {
			after = wsRefused
		}
	}
	if after > 0 {
		return router.Unavailable(err, after)
	}
	return err
}

// verdictOfClose is what it means that the server closes the session.
func verdictOfClose(rules []wsRule, code websocket.StatusCode, err error) error {
	for _, rule := range rules {
		if slices.Contains(rule.codes, int64(code)) {
			return rule.verdict(err)
		}
	}
	switch code {
	case websocket.StatusServiceRestart:
		return router.Unavailable(err, wsRestarting)
	case websocket.StatusTryAgainLater:
		return router.Unavailable(err, wsOverloaded)
	default:
		return err
	}
}

// retryAfter is how long a server asks to be left alone: seconds, or a date by its own
// clock. What can't be read, or is over, is 0.
func retryAfter(header http.Header) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(wsMaxRetryAfter/time.Second) { // err: more than fits
			return wsMaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), wsMaxRetryAfter)
}
