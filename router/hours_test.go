package router

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func hoursOf(t testing.TB, text string) (h Hours) {
	t.Helper()
	if err := h.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return h
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	one, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// Whether hours are open, since when, and when that changes. 2026-11-23 is a Monday; New
// York puts its clocks forward on 2026-03-08 and back on 2026-11-01.
func TestHours(t *testing.T) {
	t.Parallel()
	const exchange = "Mon-Fri 09:30-16:00 America/New_York"
	const future = "Sun-Thu 18:00-17:00 America/New_York"
	const forex = "Sun-Thu 17:00-17:00 America/New_York"
	const always = "always"
	for _, c := range []struct{ hours, at, since, next string }{
		{exchange, "2026-11-23T14:29:59Z", "", "2026-11-23T14:30:00Z"},
		{exchange, "2026-11-23T14:30:00Z", "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"},
		{exchange, "2026-11-23T20:59:59Z", "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"},
		{exchange, "2026-11-23T21:00:00Z", "", "2026-11-24T14:30:00Z"},
		{exchange, "2026-11-27T22:00:00Z", "", "2026-11-30T14:30:00Z"}, // over the weekend
		{exchange, "2026-11-28T16:00:00Z", "", "2026-11-30T14:30:00Z"},
		// In summer it opens an hour earlier by UTC, from one Monday to the next.
		{exchange, "2026-03-06T14:45:00Z", "2026-03-06T14:30:00Z", "2026-03-06T21:00:00Z"},
		{exchange, "2026-03-09T13:29:00Z", "", "2026-03-09T13:30:00Z"},
		{exchange, "2026-03-09T13:45:00Z", "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z"},
		{exchange, "2026-10-30T13:45:00Z", "2026-10-30T13:30:00Z", "2026-10-30T20:00:00Z"},
		{exchange, "2026-11-02T13:45:00Z", "", "2026-11-02T14:30:00Z"},

		{future, "2026-11-22T22:59:00Z", "", "2026-11-22T23:00:00Z"},                     // Sunday, 17:59
		{future, "2026-11-23T05:30:00Z", "2026-11-22T23:00:00Z", "2026-11-23T22:00:00Z"}, // Monday, 00:30
		{future, "2026-11-23T22:30:00Z", "", "2026-11-23T23:00:00Z"},                     // the break
		{future, "2026-11-27T12:00:00Z", "2026-11-26T23:00:00Z", "2026-11-27T22:00:00Z"}, // Friday is Thursday's
		{future, "2026-11-27T23:30:00Z", "", "2026-11-29T23:00:00Z"},
		// Over the night of a change it is open for an hour less, or more.
		{"Sat 18:00-17:00 America/New_York", "2026-03-08T12:00:00Z", "2026-03-07T23:00:00Z", "2026-03-08T21:00:00Z"},
		{"Sat 18:00-17:00 America/New_York", "2026-11-01T12:00:00Z", "2026-10-31T22:00:00Z", "2026-11-01T22:00:00Z"},
		// What touches is one.
		{forex, "2026-11-25T12:00:00Z", "2026-11-22T22:00:00Z", "2026-11-27T22:00:00Z"},
		{"Sun 17:00-24:00; Mon-Thu 00:00-24:00; Fri 00:00-17:00 America/New_York", "2026-11-25T12:00:00Z", "2026-11-22T22:00:00Z", "2026-11-27T22:00:00Z"},
		{"Mon 09:00-12:00,11:00-13:00,13:00-14:00 UTC", "2026-11-23T11:30:00Z", "2026-11-23T09:00:00Z", "2026-11-23T14:00:00Z"},

		// A time that the clock jumps over is when it jumps; one that comes twice, the first.
		{"Sun 02:30-04:00 America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"},
		{"Sun 02:10-02:50 America/New_York", "2026-03-08T07:00:00Z", "", "2026-03-15T06:10:00Z"},
		{"Sun 01:30-02:30 America/New_York", "2026-11-01T06:45:00Z", "2026-11-01T05:30:00Z", "2026-11-01T07:30:00Z"},
		{"Sun 00:00-01:30 America/New_York", "2026-11-01T05:30:00Z", "", "2026-11-08T05:00:00Z"},
		{"Sun 00:00-12:00 America/Santiago", "2026-09-06T04:30:00Z", "2026-09-06T04:00:00Z", "2026-09-06T15:00:00Z"}, // no midnight

		{"Mon-Fri 09:00-11:30,12:30-15:30 Asia/Tokyo", "2026-11-23T03:00:00Z", "", "2026-11-23T03:30:00Z"},
		{"mon,Wed-Thu,SAT 9:00-10:00 UTC", "2026-11-24T09:30:00Z", "", "2026-11-25T09:00:00Z"},
		{"mon,Wed-Thu,SAT 9:00-10:00 UTC", "2026-11-28T09:30:00Z", "2026-11-28T09:00:00Z", "2026-11-28T10:00:00Z"},
		{"Fri-Mon 09:00-10:00 UTC", "2026-11-29T09:30:00Z", "2026-11-29T09:00:00Z", "2026-11-29T10:00:00Z"},
		{" Mon - Fri  09:30 - 12:00 , 13:00 - 16:00 ; Sat 10:00-11:00  UTC ", "2026-11-28T10:30:00Z", "2026-11-28T10:00:00Z", "2026-11-28T11:00:00Z"},
		{"daily 22:00-06:00 UTC", "2026-11-23T05:00:00Z", "2026-11-22T22:00:00Z", "2026-11-23T06:00:00Z"},
		{"daily 00:00-24:00 UTC", "2026-11-23T05:00:00Z", always, ""},
		{"Mon-Sun 12:00-12:00 Europe/London", "2026-11-23T05:00:00Z", always, ""},
		{"Mon 00:00-24:00 UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
	} {
		h := hoursOf(t, c.hours)
		since, open := h.Open(at(t, c.at))
		if c.since == always {
			c.since = ""
			if !open {
				t.Errorf("%q at %s is not open", c.hours, c.at)
			}
		} else if open != (c.since != "") {
			t.Errorf("%q at %s: open %v", c.hours, c.at, open)
		}
		if !since.Equal(at(t, c.since)) {
			t.Errorf("%q at %s: since %v, want %s", c.hours, c.at, since.UTC(), c.since)
		}
		if next := h.Next(at(t, c.at)); !next.Equal(at(t, c.next)) {
			t.Errorf("%q at %s: next %v, want %s", c.hours, c.at, next.UTC(), c.next)
		}
		if h.String() != c.hours {
			t.Errorf("%q is written %q", c.hours, h)
		}
	}
	var zero Hours
	if since, open := zero.Open(time.Now()); !open || !since.IsZero() || !zero.Next(time.Now()).IsZero() {
		t.Error("without hours it is not always")
	}
}

func TestHoursAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" ":                                           "is empty; remove it for always",
		"Mon-Fri 09:30-16:00":                         "the time zone is missing; write one at the end, such as America/New_York or UTC",
		"Mon-Fri":                                     "the times and the time zone are missing after Mon-Fri; write Mon-Fri 09:30-16:00 America/New_York",
		"Mon-Fri UTC":                                 "the times are missing after Mon-Fri; write them as Mon-Fri 09:30-16:00",
		"09:30-16:00 UTC":                             "the days are missing before 09:30-16:00; write Mon-Fri, or daily",
		"UTC":                                         "days and times are missing",
		"Mon 09:00-10:00;; Tue UTC":                   "between two semicolons",
		"Mo-Fri 09:30-16:00 UTC":                      `"Mo" is no day; there are Mon, Tue, Wed, Thu, Fri, Sat, Sun and daily`,
		"Mon-Fr 09:30-16:00 UTC":                      `"Fr" is no day`,
		"Mon, 09:30-16:00 UTC":                        `the times are missing after Mon,09:30-16:00`,
		"Mon,,Tue 09:30-16:00 UTC":                    `"" is no day`,
		"Mon 9.30-16.00 UTC":                          `"9.30" is no time; write one as 09:30 or 16:00`,
		"Mon 9:30am-4pm UTC":                          `"9:30am" is no time`,
		"Mon 09:30–16:00 UTC":                         `want two times with a hyphen between`,
		"Mon 09:30-16:60 UTC":                         `"16:60" is no time of a day, which goes from 00:00 to 24:00`,
		"Mon 24:00-12:00 UTC":                         "nothing begins at 24:00",
		"Mon 12:00-24:01 UTC":                         `"24:01" is no time of a day`,
		"Mon 12:00-+4:00 UTC":                         `"+4:00" is no time`,
		"Mon 09:30-16:00 EST":                         `time zone "EST": write one that is called after a place`,
		"Mon 09:30-16:00 Local":                       `time zone "Local"`,
		"Mon 09:30-16:00 America/Boston":              `there is no time zone "America/Boston"; write one such as America/New_York`,
		"Mon 09:30-16:00 ../etc/passwd":               `there is no time zone "../etc/passwd"`,
		"Mon 09:30-10:00 UTC; Tue 09:30-10:00 UTC":    `"UTC": there is one time zone, at the end`,
		"Mon 09:30-12:00 13:00-16:00 UTC":             `each without spaces`,
		"Mon 09:30-10:00" + strings.Repeat(" ", 1000): "too long",
	} {
		h := Hours{text: "before"}
		if err := h.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if h.text != "before" {
			t.Errorf("%q: an error changed it", text)
		}
	}
}

// A machine without time zones says so, rather than that there is no New York.
func TestHoursWithoutTimeZones(t *testing.T) {
	t.Parallel()
	load := func(string) (*time.Location, error) { return nil, errors.New("none") }
	if _, err := location("Europe/Paris", load); err == nil || !strings.Contains(err.Error(), "install tzdata") {
		t.Errorf("error %v", err)
	}
}

func TestHoursAreEqual(t *testing.T) {
	t.Parallel()
	a, b := hoursOf(t, "Mon-Fri 09:30-16:00 America/New_York"), hoursOf(t, "Mon-Fri 09:30-16:00 America/New_York")
	if !a.Equal(b) || !reflect.DeepEqual(a, b) || a.Equal(Hours{}) || a.Equal(hoursOf(t, "Mon-Fri 09:30-16:00 America/Chicago")) {
		t.Error("hours that were written alike are not equal, or others are")
	}
	b.Open(time.Now()) // the zone remembers something of it
	if !sameChannel(Channel{Hours: a}, Channel{Hours: b}) || sameChannel(Channel{Hours: a}, Channel{}) {
		t.Error("a channel with the same hours has changed, or one without has not")
	}
	if f := (&feed{opened: Channel{Hours: a}}); !f.serves(&subscription{channel: Channel{StaleAfter: StaleAfter{Any: 1}}}) {
		t.Error("other hours make another subscription")
	}
}

func FuzzHours(f *testing.F) {
	for _, text := range []string{"Mon-Fri 09:30-16:00 America/New_York", "Sun-Fri 18:00-17:00 UTC", "daily 00:00-24:00 Europe/London", "Mon,Tue 1:00-2:00,3:00-3:00; Sat 22:00-04:00 Australia/Lord_Howe", "Sun 02:30-02:45 America/Santiago"} {
		f.Add(text, int64(1772953200))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		var h Hours
		if h.UnmarshalText([]byte(text)) != nil {
			return
		}
		now := time.Unix(unix%(1<<33), 0)
		since, open := h.Open(now)
		next := h.Next(now)
		if !open && !since.IsZero() || since.After(now) || !next.IsZero() && !next.After(now) {
			t.Errorf("%q at %v: since %v, open %v, next %v", text, now.UTC(), since.UTC(), open, next.UTC())
		}
		if next.IsZero() {
			return
		}
		if _, then := h.Open(next); then == open {
			t.Errorf("%q at %v: nothing changes at %v", text, now.UTC(), next.UTC())
		}
		if _, before := h.Open(next.Add(-time.Second)); before != open {
			t.Errorf("%q at %v: it changes before %v", text, now.UTC(), next.UTC())
		}
	})
}

// The longest hours that may be written are looked at in milliseconds.
func BenchmarkHours(b *testing.B) {
	for name, text := range map[string]string{
		"exchange": "Mon-Fri 09:30-16:00 America/New_York",
		"longest":  "daily " + strings.Repeat("9:00-9:01,", 95) + "9:00-9:01 America/New_York",
	} {
		b.Run(name, func(b *testing.B) {
			h, now := hoursOf(b, text), at(b, "2026-11-23T13:00:00Z")
			for b.Loop() {
				h.Open(now)
			}
		})
	}
}
