package router

import (
	"errors"
	"time"
)

// Permanent marks err as one that trying again cannot mend. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error it wraps, was marked by [Permanent].
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

// Unavailable marks err as "the target is away": the event is as good as before and
// waits. After is how long the target asked to be left alone, 0 when it said
// nothing. Unavailable(nil, …) is nil.
func Unavailable(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &unavailableError{err, after}
}

// IsUnavailable reports whether err, or an error it wraps, was marked by
// [Unavailable], and how long the target asked to be left alone.
func IsUnavailable(err error) (after time.Duration, ok bool) {
	u, ok := errors.AsType[*unavailableError](err)
	if !ok {
		return 0, false
	}
	return u.after, true
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

type unavailableError struct {
	err   error
	after time.Duration
}

func (e *unavailableError) Error() string { return e.err.Error() }
func (e *unavailableError) Unwrap() error { return e.err }
