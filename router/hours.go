package router

import (
	"slices"
	"time"
)

// Hours are the times of the week when messages are to be expected, for example
// "Mon-Fri 09:30-16:00 America/New_York". The zero value is always.
//
// They are days, times and, at the end, one time zone: days as in "Mon", "Mon-Fri",
// "Mon,Wed,Fri" or "daily", times as in "09:30-16:00" or "09:30-12:00,13:00-16:00". A time
// that ends where it begins, or before, ends on the next day: "Sun-Thu 18:00-17:00". Several
// of both stand with a semicolon between: "Mon-Thu 09:00-18:00; Fri 09:00-14:00 Asia/Dubai".
type Hours struct {
	text  string
	spans []span // by when they begin; nil: always
	zone  *time.Location
}

// span is a stretch of time that comes every week, by the clock on the wall.
type span struct {
	day        time.Weekday
	begin, end int // minutes after the midnight that day begins with; end may be on the next day
}

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

// String is the hours as they were written.
func (h Hours) String() string { return h.text }

// Equal reports whether two hours were written alike.
func (h Hours) Equal(other Hours) bool { return h.text == other.text }

// Open reports whether messages are to be expected at a time, and since when without a
// break. Since is the zero time if there never is one, or not open.
func (h Hours) Open(at time.Time) (since time.Time, open bool) {
	if h.spans == nil {
		return time.Time{}, true
	}
	now, _ := h.around(at)
	return now.begin, !now.begin.IsZero()
}

// Next is when that changes: when they close, if they are open, and else when they open.
// It is the zero time if they never close.
func (h Hours) Next(at time.Time) time.Time {
	if h.spans == nil {
		return time.Time{}
	}
	now, next := h.around(at)
	if !now.begin.IsZero() {
		return now.end
	}
	return next
}

// period is from begin until just before end; zero: there is none.
type period struct{ begin, end time.Time }

// around is the period that at is in, if it is in one, and when the next one begins.
func (h Hours) around(at time.Time) (now period, next time.Time) {
	local := at.In(h.zone)
	for day := -8; day <= 8; day++ { // a period is shorter than a week, or it is always
		date := time.Date(local.Year(), local.Month(), local.Day()+day, 12, 0, 0, 0, time.UTC)
		for _, s := range h.spans {
			if s.day != date.Weekday() {
				continue
			}
			begin, end := h.clock(date, s.begin), h.clock(date, s.end)
			switch {
			case !begin.Before(end): // the clock was put forward over all of it
			case !now.end.IsZero() && !begin.After(now.end):
				now.end = later(now.end, end)
			case now.end.After(at):
				return now, begin
			case begin.After(at):
				return period{}, begin
			default:
				now = period{begin, end}
			}
		}
	}
	if !now.end.After(at) {
		now = period{}
	}
	return now, time.Time{}
}

// clock is when a clock on the wall shows so many minutes after the midnight that a date
// begins with, or more, for the first time.
func (h Hours) clock(date time.Time, minutes int) time.Time {
	at := time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, h.zone)
	wanted := time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, time.UTC)
	shows := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	begin, end := at.ZoneBounds()
	switch {
	case shows.Before(wanted): // the clock jumps over it, and at is before that
		return end
	case shows.After(wanted):
		return begin
	case begin.IsZero():
		return at
	}
	// Where the clock is put back, it shows this twice.
	_, offset := at.Zone()
	_, before := begin.Add(-time.Second).Zone()
	if first := at.Add(time.Duration(offset-before) * time.Second); first.Before(begin) {
		return first
	}
	return at
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// always reports whether spans leave no time of the week out.
func always(spans []span) bool {
	covered := make([]bool, minutesOfWeek)
	for _, s := range spans {
		for m := s.begin; m < s.end; m++ {
			covered[(int(s.day)*minutesOfDay+m)%minutesOfWeek] = true
		}
	}
	return !slices.Contains(covered, false)
}
