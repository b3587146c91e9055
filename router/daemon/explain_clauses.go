package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"signalbox/router"
)

func (e *explainer) byType(r router.Route, s subject) clause {
	set, err := router.ParseTypes(r.Types...)
	if err != nil { // not in a configuration that was checked
		return clause{"type", resultNo, err.Error()}
	}
	by := set.Decides(s.Type)
	switch {
	case set.Match(s.Type):
		return clause{"type", resultMatch, fmt.Sprintf("type %q", by)}
	case by != "":
		return clause{"type", resultNo, fmt.Sprintf("type: %q excludes it", by)}
	case strings.HasPrefix(s.Type, "signalbox.") && slices.Contains(r.Types, "*"):
		return clause{"type", resultNo, fmt.Sprintf(`type: "*" leaves out Signalbox's own events; write %q beside it`, s.Type)}
	default:
		return clause{"type", resultNo, "type: not in " + quotedList(r.Types)}
	}
}

// quotedList is names in quotes, the first few of them.
func quotedList(names []string) string {
	const most = 8
	words := make([]string, 0, most+1)
	for i, name := range names {
		if i == most {
			words = append(words, fmt.Sprintf("… (%d)", len(names)))
			break
		}
		words = append(words, fmt.Sprintf("%q", name))
	}
	return strings.Join(words, " ")
}

func (e *explainer) byCondition(r router.Route, s subject) clause {
	if r.When == nil {
		return clause{}
	}
	answer, err := e.conditions.Explain(r.WhenText, &s.Event, s.unknown...)
	because := "when: " + answer.Clause
	if answer.Values != "" {
		because += ": " + answer.Values
	}
	if written, secret := e.program.loaded.When(r.Channel, r.Name), e.program.loaded.SecretWhen(r.Channel, r.Name); secret {
		because = "when: " + written // there is a secret in the clause
		if answer.Err != nil {
			answer.Err = errors.New("the condition cannot be evaluated on it")
		}
	}
	switch {
	case err != nil: // not in a configuration that was checked
		return clause{"when", resultFails, err.Error()}
	case answer.Matches:
		return clause{"when", resultMatch, "when true"}
	case answer.Unknown:
		return clause{"when", resultUnknown, because + ": unknown without a message"}
	case answer.Err != nil:
		return clause{"when", resultFails, fmt.Sprintf("%s; the event would fail here: %s", because, answer.Err)}
	default:
		return clause{"when", resultNo, because}
	}
}

func (e *explainer) byAge(r router.Route, s subject) clause {
	most := r.Policy.MaxAge
	if most == 0 {
		return clause{}
	}
	if e.now.Sub(s.Time) > most {
		return clause{"max_age", resultNo, fmt.Sprintf("max_age: %s, and %s is the most", s.age(e.now), short(most))}
	}
	return clause{"max_age", resultMatch, fmt.Sprintf("max_age %s: %s", short(most), s.age(e.now))}
}

// byDedupe says what would be remembered; whether it is already only Redis knows.
func (e *explainer) byDedupe(r router.Route, s subject) clause {
	dedupe := r.Policy.Dedupe
	if dedupe.Window == 0 {
		return clause{}
	}
	text := fmt.Sprintf("dedupe: remembered for %s by ", short(dedupe.Window))
	switch {
	case dedupe.By == router.DedupeByKey && (s.Key != "" || slices.Contains(s.unknown, "key")):
		text += strings.TrimRight("key "+s.Key, " ")
	default:
		text += strings.TrimRight("id "+s.ID, " ")
	}
	return clause{"dedupe", resultMatch, text}
}

// policy is how a route would handle what it takes.
func (e *explainer) policy(r router.Route) string {
	p := r.Policy.Effective()
	var words []string
	if r.Isolated {
		words = append(words, "isolated")
	}
	if n := p.Retry.Attempts; n > 1 {
		words = append(words, fmt.Sprintf("%d attempts, %s apart and longer", n, short(p.Retry.Backoff)))
	} else {
		words = append(words, "1 attempt")
	}
	if p.Timeout > 0 {
		words = append(words, "timeout "+short(p.Timeout))
	} else {
		words = append(words, "no timeout")
	}
	if p.Workers > 1 {
		words = append(words, fmt.Sprintf("%d workers", p.Workers))
	}
	if to, ok := e.config.DeadLettersOf(r); ok {
		words = append(words, "dead letters in "+to.Topic)
	} else {
		words = append(words, "no dead letters")
	}
	return strings.Join(words, " · ")
}
