package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tidwall/pretty"

	"signalbox/router"
)

// view prints messages for tail.
type view struct {
	out   io.Writer
	json  bool
	types *router.TypeSet // nil: all
	stop  context.CancelFunc

	mu   sync.Mutex
	left int // 0: no limit
}

// show prints the events of a message, or why it has none.
func (v *view) show(ch router.Channel, m router.Message) {
	events, err := router.Decode(ch, m)
	for i := range events {
		if v.types == nil || v.types.Match(events[i].Type) {
			v.print(eventLine(&events[i], v.json))
		}
	}
	if err != nil && v.types == nil {
		v.print(rejectedLine(ch, m, err, v.json))
	}
}

func (v *view) print(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left < 0 {
		return
	}
	if _, err := fmt.Fprintln(v.out, line); err != nil {
		v.stop() // nobody reads any more: `router tail | head`
	}
	if v.left > 0 {
		if v.left--; v.left == 0 {
			v.left = -1
			v.stop()
		}
	}
}

// shownEvent is an event as `tail -o json` prints it.
type shownEvent struct {
	Channel string          `json:"channel"`
	Name    string          `json:"name"`
	Type    string          `json:"type,omitempty"`
	ID      string          `json:"id,omitempty"`
	Time    string          `json:"time"`
	Key     string          `json:"key,omitempty"`
	Source  string          `json:"source,omitempty"`
	Msg     json.RawMessage `json:"msg,omitempty"`
	// Rejected says why the message is no event.
	Rejected string `json:"rejected,omitempty"`
}

func eventLine(e *router.Event, asJSON bool) string {
	if asJSON {
		return toJSON(shownEvent{
			Channel: e.Channel, Name: e.Name, Type: e.Type, ID: e.ID, Key: e.Key, Source: e.Source,
			Time: e.Time.UTC().Format(time.RFC3339Nano), Msg: e.Msg,
		})
	}
	return strings.Join([]string{
		e.Time.Local().Format("15:04:05.000"), printable(e.Channel), printable(e.Type), printable(e.ID), printable(string(pretty.Ugly(e.Data))),
	}, "  ")
}

func rejectedLine(ch router.Channel, m router.Message, err error, asJSON bool) string {
	if asJSON {
		return toJSON(shownEvent{Channel: ch.Name, Name: m.Name, ID: m.ID, Time: m.Time.UTC().Format(time.RFC3339Nano), Rejected: err.Error()})
	}
	return fmt.Sprintf("%s  %s  rejected: %s", m.Time.Local().Format("15:04:05.000"), printable(ch.Name), strings.ReplaceAll(err.Error(), "\n", "; "))
}

func toJSON(v shownEvent) string {
	out, err := json.Marshal(v)
	if err != nil { // Msg was decoded, so it is JSON
		return fmt.Sprintf(`{"rejected":%q}`, err)
	}
	return string(out)
}

// printable escapes what could play tricks on a terminal.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
