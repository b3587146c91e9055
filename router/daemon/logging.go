package daemon

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"signalbox/router/routesfile"
)

// levelOf is the level that [log] and the flags ask for.
func levelOf(settings routesfile.Log, verbosity int) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.Level)); err != nil {
		level = slog.LevelInfo // not reached: the configuration was checked
	}
	switch {
	case verbosity > 0:
		level = slog.LevelDebug
	case verbosity < 0:
		level = max(level, slog.LevelWarn)
	}
	return level
}

// newLogger writes to w what [log] asks for: colours on a terminal, plain text
// elsewhere, JSON on request.
func newLogger(w io.Writer, settings routesfile.Log, level slog.Leveler) *slog.Logger {
	switch format := settings.Format; {
	case format == "json":
		return slog.New(slog.NewJSONHandler(plain{w, jsonEscape}, &slog.HandlerOptions{Level: level}))
	case format != "text" && colourful(w):
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", ReplaceAttr: withoutEscapes}))
	default:
		return slog.New(slog.NewTextHandler(plain{w, goEscape}, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime}))
	}
}

// standardLog sends what libraries write with package log, such as what a web server says
// that nobody asked, to debug lines of ours, until restore.
func standardLog(to *slog.Logger) (restore func()) {
	writer, flags := log.Writer(), log.Flags()
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(to.Handler(), slog.LevelDebug).Writer())
	return func() {
		log.SetFlags(flags)
		log.SetOutput(writer)
	}
}

// RedisLog sends what go-redis says by itself to package log. It is for redis.SetLogger, which
// is to be called once, before there is a client.
type RedisLog struct{}

// Printf implements go-redis' interface.
func (RedisLog) Printf(_ context.Context, format string, values ...any) {
	log.Printf("redis: "+format, values...)
}

// plain escapes what slog leaves as it is in a line although terminals may obey it: in
// JSON control characters from U+007F on and changes of the direction of writing, in
// text a lone U+007F.
type plain struct {
	io.Writer
	escape func(rune) string
}

func (w plain) Write(line []byte) (int, error) {
	text := escaped(strings.TrimSuffix(string(line), "\n"), w.escape) + "\n"
	if _, err := io.WriteString(w.Writer, text); err != nil {
		return 0, err
	}
	return len(line), nil
}

// colourful reports whether w is a terminal whose user has not set NO_COLOR.
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd())) //nolint:gosec // a descriptor fits an int
}

func shortTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.String(a.Key, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	return a
}

// withoutEscapes keeps escape sequences out of a terminal. Tint means well by those
// who colour their values: it turns an escaped ESC in a quoted text into a real one,
// and with it any that a message of a stranger holds.
func withoutEscapes(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch value := a.Value.Resolve(); value.Kind() {
	case slog.KindString:
		text = value.String()
	case slog.KindAny: // errors, lists and the like, as tint writes them
		text = fmt.Sprintf("%+v", value.Any())
	}
	if !strings.Contains(text, `\x1b`) && !strings.Contains(text, "\x1b") {
		return a
	}
	return slog.String(a.Key, strings.NewReplacer(`\x1b`, `\u001b`, "\x1b", `\u001b`).Replace(text))
}
