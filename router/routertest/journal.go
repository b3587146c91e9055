package routertest

import (
	"fmt"
	"strings"

	"signalbox/router"
)

// Journal is what has happened so far, as text for [Golden]: for each route what became of
// its events, in order; then the messages that reached no route; then what was published
// to each declared channel. Routes don't wait for each other, so the text says nothing of
// the order between them, and with one worker for each route it is always the same.
func (b *Box) Journal() string {
	var out strings.Builder
	outcomes := b.Outcomes()
	for _, r := range b.config.Routes {
		name := r.Name
		if name == "" {
			name = r.Handler
		}
		chapter(&out, r.Channel+"/"+name, outcomes, func(o router.Outcome) bool { return o.Channel == r.Channel && o.Route == name })
	}
	for _, ch := range b.config.Channels {
		chapter(&out, ch.Name, outcomes, func(o router.Outcome) bool { return o.Channel == ch.Name && o.Route == "" })
	}
	for _, ch := range b.config.Channels {
		messages := b.Published(ch.Name)
		if len(messages) > 0 {
			fmt.Fprintf(&out, "published to %s\n", ch.Name)
		}
		for _, m := range messages {
			fmt.Fprintf(&out, "  %s\n", m)
		}
	}
	return out.String()
}

func chapter(out *strings.Builder, title string, outcomes []router.Outcome, belongs func(router.Outcome) bool) {
	begun := false
	for _, o := range outcomes {
		if !belongs(o) {
			continue
		}
		if !begun {
			fmt.Fprintln(out, title)
			begun = true
		}
		fmt.Fprintf(out, "  %s%s\n", about(o.Event), fate(o))
	}
}

// about is the type and id of an event. What Signalbox originates has another id each time.
func about(event *router.Event) string {
	switch {
	case event == nil:
		return ""
	case strings.HasPrefix(event.Type, router.OwnPrefix):
		return event.Type + ": "
	}
	return event.Type + " " + event.ID + ": "
}

func fate(o router.Outcome) string {
	text := string(o.Result)
	if o.Attempt > 1 {
		text += fmt.Sprintf(" after %d attempts", o.Attempt)
	}
	if o.Err != nil {
		text += ", " + o.Err.Error()
	}
	if o.Result == router.Retried {
		text += fmt.Sprintf("; again in %v", o.Pause)
	}
	if o.Kept {
		text += "; a dead letter"
	}
	return text
}
