package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"BTC → ✗ ü":         "BTC → ✗ ü",
		"\x1b[31m":          `\x1b[31m`,
		"a\nb\tc\r\x07\x00": `a\nb\tc\r\a\x00`,
		"\u009b31m":         `\u009b31m`, // CSI in one character
		"\u202eabc":         `\u202eabc`, // writes from right to left
		"\x9b31m":           "\uFFFD31m", // CSI in one byte: no UTF-8
		"\U000E0001":        `\U000e0001`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestJSONStaysJSON(t *testing.T) {
	hostile := "a\u009b\u202e\x7f\U000E0001\x1b<>&\"ü"
	msg, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	line := toJSON(shownEvent{Channel: hostile, Name: "n\xff", Msg: msg})
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x9b || r == 0x202e || r == 0xE0001 }) {
		t.Errorf("%q has what plays tricks on a terminal", line)
	}
	var got struct{ Channel, Msg string }
	if err := json.Unmarshal([]byte(line), &got); err != nil || got.Channel != hostile || got.Msg != hostile {
		t.Errorf("%s is read as %+v, %v", line, got, err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestViewStops(t *testing.T) {
	price := router.Channel{Name: "prices", Topic: "prices", Transport: router.PubSub}
	tick := router.Message{Payload: []byte(`[{"type":"tick"},{"type":"tick"},{"type":"tick"}]`), Name: "prices", Time: time.Now()}
	price.Fields.Split = "."

	ctx, stop := context.WithCancel(t.Context())
	var out strings.Builder
	v := (&tailer{opts: Options{Stdout: &out}, asked: TailOptions{N: 2}}).newView([]router.Channel{price}, time.Now(), stop)
	v.show(price, tick)
	if n := strings.Count(out.String(), "\n"); n != 2 || ctx.Err() == nil {
		t.Errorf("printed %d lines, want 2, then the end: %v", n, ctx.Err())
	}
	if strings.Contains(out.String(), noID) {
		t.Errorf("an id that nobody sent: %q", out.String())
	}

	ctx, stop = context.WithCancel(t.Context())
	(&tailer{opts: Options{Stdout: brokenPipe{}}}).newView(nil, time.Now(), stop).show(price, tick)
	if ctx.Err() == nil {
		t.Error("goes on though nobody reads")
	}
}
