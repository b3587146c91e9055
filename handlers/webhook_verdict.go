package handlers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"signalbox/router"
)

const (
	// maxRetryAfter is the longest pause that a receiver may ask for.
	maxRetryAfter = 5 * time.Minute
	// maxAnswer is how much of an answer is read, in bytes, and answerTimeout how long: the
	// status has said it all. A connection whose answer has not ended by then is closed.
	maxAnswer     = 64 << 10
	answerTimeout = time.Second
)

// verdict is what a receiver's answer means for the event.
func (w *webhook) verdict(response *http.Response, text string) error {
	status := response.StatusCode
	if status/100 == 2 {
		return nil
	}
	err := fmt.Errorf("POST to %s: the receiver answered %s%s%s", w.where, named(status), hintAbout(status), text)
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return router.Unavailable(err, retryAfter(response.Header))
	default:
		return router.Permanent(err)
	}
}

// named is a status as HTTP calls it, whatever the receiver does.
func named(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

func hintAbout(status int) string {
	if status/100 == 3 {
		return "; redirects are not followed, write the address that it moved to as url"
	}
	return ""
}

// retryAfter is how long the receiver asks to be left alone: seconds, or a date by its own
// clock. What can't be read, or is over, is 0: then the route decides.
func retryAfter(header http.Header) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) { // err: more than fits
			return maxRetryAfter
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
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// answerText reads the body of an answer, so that the connection can be used again, and
// returns what of it an error may say. Stop ends the request.
func (w *webhook) answerText(response *http.Response, stop func()) string {
	defer func() { _ = response.Body.Close() }()
	defer time.AfterFunc(answerTimeout, stop).Stop()
	limited := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, limited) // it is done, whatever follows
		return ""
	}
	body, err := io.ReadAll(limited)
	text := strings.TrimSpace(string(body))
	switch {
	case text == "", err != nil, response.Header.Get("Content-Encoding") != "":
		return ""
	default:
		return ": " + w.hidden.show(text)
	}
}

// failure is the verdict when there is no answer.
func (w *webhook) failure(err error) error {
	if text := err.Error(); w.hidden.show(text) != text {
		// A receiver that speaks no HTTP is quoted, and it may repeat what it was told.
		err = errors.New(w.hidden.show(text))
	}
	return router.Unavailable(fmt.Errorf("POST to %s: %w%s", w.where, err, remedyFor(err)), 0)
}

func remedyFor(err error) string {
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return "; ca_file names the authority to trust"
	}
	if record, is := errors.AsType[tls.RecordHeaderError](err); is && string(record.RecordHeader[:]) == "HTTP/" {
		return "; the receiver has no TLS, if that is meant, write http:// in url"
	}
	return ""
}
