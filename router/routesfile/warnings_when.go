package routesfile

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"signalbox/router"
)

// warnCondition tells conditions that ask nothing.
func (w *warnings) warnCondition(raw *rawRoute) {
	n := raw.node.sure("when")
	if n == nil || raw.When == "" {
		return
	}
	w.warnQuoted(n, raw.When)
	if strings.Contains(raw.When, "event") || strings.Contains(raw.When, "service") {
		return
	}
	when := (&expander{compiler: w.compiler}).conditionOf(raw)
	if when == nil {
		return
	}
	always, err := when(&router.Event{})
	if err != nil {
		return
	}
	if always {
		w.report.warnf(n.at, "%s: is always true; remove it", n.label())
		return
	}
	w.report.warnf(n.at, "%s: is never true, so that this route handles nothing; write enabled = false to take it out", n.label())
}

var (
	numberCompared  = regexp.MustCompile(`[<>]=?\s*(?:"(-?[0-9]+(?:\.[0-9]+)?)"|'(-?[0-9]+(?:\.[0-9]+)?)')`)
	serviceCompared = regexp.MustCompile(`[=!]=\s*(?:"(service)"|'(service)')`)
)

// warnQuoted tells quotes that make a text of a number or of a name.
func (w *warnings) warnQuoted(n *node, text string) {
	tell := func(pattern *regexp.Regexp, format string) {
		found := pattern.FindStringSubmatchIndex(text)
		if found == nil {
			return
		}
		start, end := found[2], found[3]
		if start < 0 {
			start, end = found[4], found[5]
		}
		above := strings.LastIndexByte(text[:start-1], '\n') + 1
		at, exact := w.report.texts.inside(n, strings.Count(text[:start], "\n")+1, utf8.RuneCountInString(text[above:start-1])+1)
		if exact {
			w.report.widths[at] = end - start + 2
		}
		w.report.warnf(at, format, n.label(), text[start:end])
	}
	tell(numberCompared, "%s: \"%[2]s\" in quotes is a text, and texts are compared letter by letter: \"9\" is more than \"10\"; write %[2]s, with double(…) around the member if messages have it in quotes")
	tell(serviceCompared, "%s: \"%s\" in quotes is a text; the name of this service is written without them")
}
