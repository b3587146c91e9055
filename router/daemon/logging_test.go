package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lmittmann/tint"

	"signalbox/router/routesfile"
)

// hostile are texts that would reach a terminal as escape sequences, some only after
// tint has unquoted what it takes for colours.
var hostile = []string{
	"\x1b[2J", `\x1b[2J`, "a \x1b]0;title\x07", `"\x1b[45m"`, `\\x1b[2J`, "\u009b2J", "\x9b2J", `\u001b[2J`, "two\nlines\x1b[2J", "\u202eright", "\x7f", "\U000e0001",
	`\x1b\x1b[2J`, "\\\x1b[2J", `\\\x1b[2J "quoted"`,
}

func TestColoursLetNoEscapeThrough(t *testing.T) {
	own := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for _, text := range hostile {
		var out bytes.Buffer
		log := slog.New(tint.NewTextHandler(&out, &tint.Options{ReplaceAttr: withoutEscapes}))
		log.Info("event", "data", text, "err", errors.New(text), slog.Group("g", "inner", text), "list", []string{text}, "any", struct{ S string }{text})
		if !own.MatchString(out.String()) {
			t.Fatalf("no colours: %q", out.String())
		}
		rest := own.ReplaceAllString(strings.ReplaceAll(out.String(), "\x1b[45m", "\x1b!"), "") // 45 is none of tint's
		if strings.ContainsAny(rest, "\x1b\x07\u009b") || !utf8.ValidString(rest) {
			t.Errorf("%q is logged as %q", text, rest)
		}
	}
}

func TestPlainAndJSONLetNoEscapeThrough(t *testing.T) {
	for _, format := range []string{"text", "json", "auto"} {
		for _, text := range hostile {
			var out bytes.Buffer
			newLogger(&out, routesfile.Log{Level: "info", Format: format}, slog.LevelInfo).Info("event", "data", text, "err", errors.New(text))
			if strings.ContainsAny(out.String(), "\x1b\u009b\u007f\u202e") || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("%s: %q is logged as %q", format, text, out.String())
			}
		}
	}
}

func TestVerbosity(t *testing.T) {
	for _, test := range []struct {
		level     string
		verbosity int
		want      string
	}{
		{"info", 0, "info warn error"},
		{"info", 1, "debug info warn error"},
		{"info", -1, "warn error"},
		{"error", -1, "error"},
		{"warn", 1, "debug info warn error"},
	} {
		var out bytes.Buffer
		settings := routesfile.Log{Level: test.level, Format: "text"}
		log := newLogger(&out, settings, levelOf(settings, test.verbosity))
		log.Debug("debug")
		log.Info("info")
		log.Warn("warn")
		log.Error("error")
		var got []string
		for line := range strings.Lines(out.String()) {
			_, msg, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			got = append(got, msg)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("level %s, verbosity %d: logged %q, want %q", test.level, test.verbosity, got, test.want)
		}
	}
}

func TestColourOnlyOnATerminalAndUnlessUnwanted(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer func() { _ = terminal.Close() }()
	t.Setenv("NO_COLOR", "")
	if !colourful(terminal) {
		t.Error("a terminal gets no colours")
	}
	if colourful(&bytes.Buffer{}) {
		t.Error("a buffer gets colours")
	}
	t.Setenv("NO_COLOR", "1")
	if colourful(terminal) {
		t.Error("NO_COLOR is not obeyed")
	}
}
