package routesfile

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// durationForm is how a duration is written: the one that a text means, if that can be told.
func durationForm(n *node, text string) string {
	if meant := meantDuration(text); meant != "" && n.source == "" {
		if _, err := time.ParseDuration(meant); err != nil {
			return "less: a duration has 290 years at most"
		}
		return strconv.Quote(meant)
	}
	return `a number and its unit, such as "500ms", "5s", "10m" or "2h"`
}

var durationPart = regexp.MustCompile(`^([0-9]+(?:[.,][0-9]+)?)\s*([a-z]*)[\s,]*`)

// meantDuration reads "5 minutes", "1d", "5S" and "5"; empty for what is none of these.
func meantDuration(text string) string {
	var meant strings.Builder
	for rest := strings.ToLower(strings.TrimSpace(text)); rest != ""; {
		part := durationPart.FindStringSubmatch(rest)
		if part == nil || len(rest) > maxListed {
			return ""
		}
		rest = rest[len(part[0]):]
		number, err := strconv.ParseFloat(strings.Replace(part[1], ",", ".", 1), 64)
		unit, factor := durationUnit(part[2])
		if err != nil || unit == "" || part[2] == "" && (meant.Len() > 0 || rest != "") {
			return ""
		}
		meant.WriteString(strconv.FormatFloat(number*factor, 'f', -1, 64) + unit)
	}
	return meant.String()
}

// durationUnit is the unit that a word means, and how many of it the word is.
func durationUnit(word string) (unit string, factor float64) {
	if len(word) > 2 {
		word = strings.TrimSuffix(word, "s")
	}
	switch word {
	case "ms", "msec", "milli", "millisecond":
		return "ms", 1
	case "", "s", "sec", "second":
		return "s", 1
	case "m", "min", "minute":
		return "m", 1
	case "h", "hr", "hour":
		return "h", 1
	case "d", "day":
		return "h", 24
	case "w", "week":
		return "h", 7 * 24
	}
	return "", 0
}

var sizeWord = regexp.MustCompile(`^([0-9]+)(?:[.,]([0-9]+))?\s*([kmg])(i?)[a-z]*$`)

// meantSize reads "10M" and "1 megabyte"; empty for what is none.
func meantSize(text string) string {
	found := sizeWord.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if found == nil || len(text) > maxListed {
		return ""
	}
	meant := found[1]
	if found[2] != "" {
		meant += "." + found[2]
	}
	return meant + strings.ToUpper(found[3]) + found[4] + "B"
}
