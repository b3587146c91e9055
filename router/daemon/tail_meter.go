package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"signalbox/router/internal/wording"
)

// meter shows rates while something runs, and at its end: on a terminal a table in its
// place, as JSON a line each second, and else a table at the end.
type meter struct {
	*rates
	where *where // nil: no condition
	out   io.Writer
	json  bool
	size  func() (width, height int) // of the terminal; nil: there is none
	stop  context.CancelFunc

	lines int // of the table on the terminal
}

func newMeter(out io.Writer, asJSON bool, r *rates, w *where, stop context.CancelFunc) *meter {
	m := &meter{rates: r, where: w, out: out, json: asJSON, stop: stop}
	if !asJSON {
		m.size = sizeOf(out)
	}
	return m
}

// sizeOf asks how large a terminal is; nil when out is none, or none that can draw.
func sizeOf(out io.Writer) func() (width, height int) {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) { //nolint:gosec // a descriptor fits an int
		return nil
	}
	return func() (width, height int) {
		width, height, err := term.GetSize(int(file.Fd())) //nolint:gosec // a descriptor fits an int
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
}

// during runs what there is to measure.
func (m *meter) during(ctx context.Context, run func(context.Context) error) error {
	showing, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.eachSecond(showing)
	}()
	err := run(ctx)
	end()
	<-ended
	m.show()
	return err
}

func (m *meter) eachSecond(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if m.size != nil {
		m.show()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.tick()
		if m.json || m.size != nil {
			m.show()
		}
	}
}

func (m *meter) show() {
	shown := m.shown()
	shown.PassedOver = m.where.passedOver()
	text := ""
	switch {
	case m.json:
		text = toJSON(shown) + "\n"
	case m.size == nil:
		text = ratesTable(shown.Rows, 0, 0)
	default:
		text = m.redrawn(shown)
	}
	if _, err := io.WriteString(m.out, text); err != nil {
		m.stop() // nobody reads any more
	}
}

// redrawn is the table, and what brings it to where the last one stands. Lines are not
// wrapped meanwhile: how wide a terminal draws a character, only it knows.
func (m *meter) redrawn(shown ratesShown) string {
	const noWrap, wrap, clearLine, clearBelow = "\x1b[?7l", "\x1b[?7h", "\x1b[2K", "\x1b[J"
	width, height := m.size()
	height-- // the cursor stands below
	note := ""
	if shown.PassedOver > 0 {
		note = fmt.Sprintf("%s passed over by --where\n", wording.Several(shown.PassedOver, "event", "events"))
		height--
	}
	text := ratesTable(shown.Rows, width, max(height, 1)) + note
	up := "\r"
	if m.lines > 0 {
		up += fmt.Sprintf("\x1b[%dA", m.lines)
	}
	m.lines = strings.Count(text, "\n")
	var b strings.Builder
	b.WriteString(noWrap + up)
	for line := range strings.Lines(text) {
		b.WriteString(clearLine + line)
	}
	b.WriteString(clearBelow + wrap)
	return b.String()
}
