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
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/pretty"

	"signalbox/router"
)

// noID stands for the id of a message that has none, where decoding would make up one.
const noID = "\x00none"

// view prints messages for tail.
type view struct {
	out   io.Writer
	json  bool
	types *router.TypeSet // nil: all
	where *where          // nil: all
	rates *rates          // counts instead of printing; nil: prints
	stop  context.CancelFunc

	channelWidth, typeWidth int
	times                   string // how times are written

	mu   sync.Mutex
	left int // 0: no limit
}

// newView makes columns as wide as what is declared needs.
func (t *tailer) newView(channels []router.Channel, now time.Time, stop context.CancelFunc) *view {
	v := &view{out: t.opts.Stdout, json: t.asked.JSON, types: t.types, where: t.where, left: t.asked.N, stop: stop, times: "15:04:05.000"}
	if t.since != nil && t.since.isEarlierDay(now) {
		v.times = "2006-01-02 15:04:05.000"
	}
	for _, ch := range channels {
		v.channelWidth = max(v.channelWidth, utf8.RuneCountInString(printable(ch.Name)))
		for _, typ := range ch.Types {
			v.typeWidth = max(v.typeWidth, utf8.RuneCountInString(printable(typ)))
		}
	}
	return v
}

// show prints or counts the events of a message, or why it has none.
func (v *view) show(ch router.Channel, m router.Message) {
	if m.ID == "" {
		m.ID = noID
	}
	if v.rates != nil {
		v.rates.saw(ch.Name, m.Time)
	}
	events, err := router.Decode(ch, m)
	for i := range events {
		e := &events[i]
		if !v.wants(e) {
			continue
		}
		if strings.HasPrefix(e.ID, noID) {
			e.ID = ""
		}
		if v.rates != nil {
			v.count(ch, oneType, e.Type, len(e.Msg), m.Time)
		} else {
			v.print(v.eventLine(ch, e))
		}
	}
	switch {
	case err == nil || v.types != nil || v.where != nil:
	case v.rates == nil:
		v.print(v.rejectedLine(ch, m, err))
	case len(events) > 0: // the bytes are theirs
		v.count(ch, rejected, "", 0, m.Time)
	default:
		v.count(ch, rejected, "", len(m.Payload), m.Time)
	}
}

// wants reports whether an event is to be shown. A condition is asked about the event that
// a route would see, which always has an id.
func (v *view) wants(e *router.Event) bool {
	if v.types != nil && !v.types.Match(e.Type) {
		return false
	}
	if v.where == nil {
		return true
	}
	asked := *e
	if rest, none := strings.CutPrefix(e.ID, noID); none {
		asked.ID = someID + rest
	}
	return v.where.has(&asked)
}

func (v *view) count(ch router.Channel, kind rateKind, typ string, bytes int, at time.Time) {
	v.one(func() error {
		v.rates.add(ch.Name, kind, typ, bytes, at)
		return nil
	})
}

func (v *view) print(line string) {
	v.one(func() error {
		_, err := fmt.Fprintln(v.out, line)
		return err
	})
}

// one shows one more, if there may be.
func (v *view) one(show func() error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left < 0 {
		return
	}
	if err := show(); err != nil {
		v.stop() // nobody reads any more
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

func (v *view) eventLine(ch router.Channel, e *router.Event) string {
	if v.json {
		return toJSON(shownEvent{
			Channel: e.Channel, Name: e.Name, Type: e.Type, ID: e.ID, Key: e.Key, Source: e.Source,
			Time: e.Time.UTC().Format(time.RFC3339Nano), Msg: e.Msg,
		})
	}
	id := printable(e.ID)
	if id == "" {
		id = "-"
	}
	return fmt.Sprintf("%s  %-*s  %s  %s", v.begin(ch, e.Name, e.Time), v.typeWidth, printable(e.Type), id, printable(string(pretty.Ugly(e.Data))))
}

func (v *view) rejectedLine(ch router.Channel, m router.Message, err error) string {
	if v.json {
		return toJSON(shownEvent{
			Channel: ch.Name, Name: m.Name, ID: strings.TrimPrefix(m.ID, noID),
			Time: m.Time.UTC().Format(time.RFC3339Nano), Rejected: err.Error(),
		})
	}
	return fmt.Sprintf("%s  rejected: %s", v.begin(ch, m.Name, m.Time), printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
}

// begin is how each line begins. What came by a pattern shows where it was sent.
func (v *view) begin(ch router.Channel, name string, at time.Time) string {
	if !ch.Pattern {
		name = ch.Name
	}
	return fmt.Sprintf("%s  %-*s", at.Local().Format(v.times), v.channelWidth, printable(name))
}

func toJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil { // a message in it was decoded, so it is JSON
		return fmt.Sprintf(`{"rejected":%q}`, err)
	}
	return escaped(string(out), jsonEscape)
}

func jsonEscape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// printable escapes what could play tricks on a terminal.
func printable(s string) string {
	return escaped(s, goEscape)
}

func goEscape(r rune) string {
	quoted := strconv.QuoteRune(r)
	return quoted[1 : len(quoted)-1]
}

// escaped replaces what is not printable: control characters, also those above ASCII
// that some terminals obey, changes of the direction of writing, bytes that are no UTF-8.
func escaped(s string, escape func(rune) string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s { // a byte that is no UTF-8 is a U+FFFD
		if hidden(r) {
			b.WriteString(escape(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
