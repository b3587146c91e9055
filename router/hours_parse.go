package router

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/router/internal/order"
)

// maxHours is how many bytes hours may have: each of their spans is looked at.
const maxHours = 1000

// UnmarshalText reads hours as a file has them.
func (h *Hours) UnmarshalText(text []byte) error {
	switch {
	case strings.TrimSpace(string(text)) == "":
		return errors.New("is empty; remove it for always")
	case len(text) > maxHours:
		return fmt.Errorf("too long: %d bytes; at most %d", len(text), maxHours)
	}
	words := strings.Join(strings.Fields(string(text)), " ")
	for _, sign := range []string{"-", ","} { // "09:30 - 16:00"
		words = strings.ReplaceAll(strings.ReplaceAll(words, " "+sign, sign), sign+" ", sign)
	}
	zone, parts, err := zoneOf(words)
	if err != nil {
		return err
	}
	var spans []span
	for _, part := range parts {
		more, err := spansOf(part)
		if err != nil {
			return err
		}
		spans = append(spans, more...)
	}
	if always(spans) {
		spans = nil
	}
	order.Stable(spans, func(a, b *span) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.begin, b.begin)) })
	*h = Hours{string(text), spans, zone}
	return nil
}

// zoneOf splits hours into their parts, and cuts the time zone off the last one.
func zoneOf(text string) (*time.Location, []string, error) {
	parts := strings.Split(text, ";")
	last := strings.Fields(parts[len(parts)-1])
	if len(last) == 0 || startsWithDigit(last[len(last)-1]) {
		return nil, nil, errors.New("the time zone is missing; write one at the end, such as America/New_York or UTC")
	}
	name := last[len(last)-1]
	parts[len(parts)-1] = strings.Join(last[:len(last)-1], " ")
	zone, err := location(name, time.LoadLocation)
	return zone, parts, err
}

// location is a time zone by its name.
func location(name string, load func(string) (*time.Location, error)) (*time.Location, error) {
	if name != "UTC" && !strings.Contains(name, "/") {
		if _, err := daysOf(name); err == nil {
			return nil, fmt.Errorf("the times and the time zone are missing after %s; write %s 09:30-16:00 America/New_York", name, name)
		}
		return nil, fmt.Errorf("time zone %q: write one that is called after a place and knows its summer time, such as America/New_York, or UTC", name)
	}
	zone, err := load(name)
	if err == nil {
		return zone, nil
	}
	if _, err := load("America/New_York"); err != nil {
		return nil, fmt.Errorf("time zone %q: this machine knows no time zones; install tzdata, or name a zoneinfo.zip in the variable ZONEINFO", name)
	}
	return nil, fmt.Errorf("there is no time zone %q; write one such as America/New_York, Europe/London or UTC", name)
}

// spansOf reads days and times.
func spansOf(part string) ([]span, error) {
	words := strings.Fields(part)
	switch {
	case len(words) == 0:
		return nil, errors.New("days and times are missing before the time zone, or between two semicolons; write them as Mon-Fri 09:30-16:00")
	case len(words) == 1 && startsWithDigit(words[0]):
		return nil, fmt.Errorf("the days are missing before %s; write Mon-Fri, or daily", words[0])
	case len(words) == 1:
		return nil, fmt.Errorf("the times are missing after %s; write them as %s 09:30-16:00", words[0], words[0])
	case len(words) > 2 && startsWithDigit(words[1]) && !startsWithDigit(words[2]):
		return nil, fmt.Errorf("%q: there is one time zone, at the end; remove this one", words[2])
	case len(words) > 2:
		return nil, fmt.Errorf("%q: want days and times, each without spaces, such as Mon,Wed 09:30-12:00,13:00-16:00; a semicolon stands between this and more of it", part)
	}
	days, err := daysOf(words[0])
	if err != nil {
		return nil, err
	}
	var spans []span
	for times := range strings.SplitSeq(words[1], ",") {
		from, to, ok := strings.Cut(times, "-")
		if !ok {
			return nil, fmt.Errorf("%q: want two times with a hyphen between, such as 09:30-16:00", times)
		}
		begin, err := minutesOf(from)
		if err != nil {
			return nil, err
		}
		end, err := minutesOf(to)
		if err != nil {
			return nil, err
		}
		if begin == minutesOfDay {
			return nil, fmt.Errorf("%q: nothing begins at 24:00; write 00:00 of the next day", times)
		}
		if end <= begin {
			end += minutesOfDay
		}
		for _, day := range days {
			spans = append(spans, span{day, begin, end})
		}
	}
	return spans, nil
}

// daysOf reads "Mon", "Mon-Fri", a list of these, or "daily".
func daysOf(text string) ([]time.Weekday, error) {
	if strings.EqualFold(text, "daily") {
		text = "Mon-Sun"
	}
	var days []time.Weekday
	for one := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(one, "-")
		if !isRange {
			to = from
		}
		day, err := dayOf(from)
		if err != nil {
			return nil, err
		}
		last, err := dayOf(to)
		if err != nil {
			return nil, err
		}
		for days = append(days, day); day != last; days = append(days, day) {
			day = (day + 1) % 7
		}
	}
	slices.Sort(days)
	return slices.Compact(days), nil
}

func dayOf(text string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()[:3]) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is no day; there are Mon, Tue, Wed, Thu, Fri, Sat, Sun and daily", text)
}

// minutesOf reads "09:30" as minutes after midnight.
func minutesOf(text string) (int, error) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(hours, 10, 16)
	m, err2 := strconv.ParseUint(minutes, 10, 16)
	switch {
	case !ok || err1 != nil || err2 != nil || len(hours) > 2 || len(minutes) != 2:
		return 0, fmt.Errorf("%q is no time; write one as 09:30 or 16:00", text)
	case h > 24 || m > 59 || h == 24 && m > 0:
		return 0, fmt.Errorf("%q is no time of a day, which goes from 00:00 to 24:00", text)
	}
	return int(h)*60 + int(m), nil
}

func startsWithDigit(text string) bool { return text != "" && text[0] >= '0' && text[0] <= '9' }
