package router

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// article names a JSON value's sort for a sentence.
func article(of kind) string {
	switch of {
	case array:
		return "an array"
	case object:
		return "an object"
	case quoted:
		return "a string"
	case number:
		return "a number"
	case boolean:
		return "a boolean"
	default:
		return "null"
	}
}

// timeOf reads RFC 3339, or a number since 1970 whose magnitude tells its unit: below
// 1e11 seconds, 1e14 milliseconds, 1e17 microseconds, else nanoseconds. Each of these
// covers the years 1973 to 5138. Anything else counts as missing.
func timeOf(v *found) time.Time {
	written := v.text()
	if written == "" {
		return time.Time{}
	}
	if v.kind == quoted {
		if t, err := time.Parse(time.RFC3339, written); err == nil {
			if year := t.UTC().Year(); year < 0 || year > 9999 { // by its offset; RFC 3339 cannot write it again
				return time.Time{}
			}
			return t
		}
	}
	return unixTime(written)
}

func unixTime(number string) time.Time {
	if strings.ContainsAny(number, "eE") {
		f, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return time.Time{}
		}
		number = strconv.FormatFloat(f, 'f', -1, 64)
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || n == 0 {
		return time.Time{}
	}
	digits := 0 // of the fraction that are at least a nanosecond
	switch {
	case n < 1e11:
		digits = 9
	case n < 1e14:
		digits = 6
	case n < 1e17:
		digits = 3
	}
	unit := int64(math.Pow10(digits)) // in ns
	ns := int64(0)
	for i, c := range []byte(fraction) {
		if c < '0' || c > '9' {
			return time.Time{}
		}
		if i < digits {
			ns += int64(c-'0') * int64(math.Pow10(digits-1-i))
		}
	}
	perSecond := int64(time.Second) / unit
	return time.Unix(int64(n)/perSecond, int64(n)%perSecond*unit+ns).UTC()
}

// text views bytes as a string without a copy. Events are read-only by contract, so
// the bytes never change while the string is in use.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf views a part of a string made by text as bytes again.
func bytesOf(s string) json.RawMessage { return unsafe.Slice(unsafe.StringData(s), len(s)) }
