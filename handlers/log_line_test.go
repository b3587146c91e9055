package handlers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/lmittmann/tint"

	"signalbox/handlers"
	"signalbox/router"
)

// hostile is what a payload may do to a terminal or to who reads a log by line.
func hostile() map[string]string {
	return map[string]string{
		"ansi":            "\x1b[2J\x1b[31mred",
		"csi in one":      "\u009b31mred",
		"line":            "a\r\nlevel=ERROR msg=forged",
		"unicode lines":   "a\u2028b\u2029c\u0085d",
		"bidi":            "\u202egnp.exe\u2066",
		"nul bell delete": "\x00\x07\x7f",
		"tag characters":  "\U000e0041\U000e0042",
		"invalid":         "a\xff\xfeb\xc3",
		"tint's escape":   `say "\x1b[31m"`,
		"replacement":     "a b\ufffd and what follows",
		"long":            strings.Repeat("é\x1b ", 1<<18),
	}
}

func TestLogHostileText(t *testing.T) {
	formats := map[string]func(io.Writer) slog.Handler{
		"text":           func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, withoutTime()) },
		"json":           func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, withoutTime()) },
		"tint":           func(w io.Writer) slog.Handler { return tint.NewTextHandler(w, &tint.Options{NoColor: true}) },
		"tint in colour": func(w io.Writer) slog.Handler { return tint.NewTextHandler(w, nil) },
	}
	for format, newHandler := range formats {
		for name, text := range hostile() {
			t.Run(format+"/"+name, func(t *testing.T) {
				var out bytes.Buffer
				handler := newLog(t, newHandler(&out), handlers.LogOptions{
					Fields: []string{"channel", "type", "id", "key", "source", "name", "data.text", "data", "msg"},
				})
				quoted := strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`)
				data := []byte(`{"text":"` + quoted + `"}`)
				event := &router.Event{Channel: text, Type: text, ID: text, Key: text, Source: text, Name: text, Data: data, Msg: data}
				if err := handler.Handle(t.Context(), event); err != nil {
					t.Fatal(err)
				}
				checkLine(t, out.String())
			})
		}
	}
}

func checkLine(t *testing.T, line string) {
	t.Helper()
	// Tint's own colours: any other ESC comes from the payload.
	for _, own := range []string{"\x1b[2m", "\x1b[0m", "\x1b[92m", "\x1b[22m"} {
		line = strings.ReplaceAll(line, own, "")
	}
	body, ended := strings.CutSuffix(line, "\n")
	if !ended {
		t.Fatalf("no line: %q", line)
	}
	for i, r := range body {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			t.Fatalf("%U at byte %d of %q", r, i, body)
		}
	}
	if len(body) > 10*1200 {
		t.Errorf("the line has %d bytes", len(body))
	}
	if !strings.Contains(body, "event_msg") {
		t.Errorf("the last attribute is missing in %q", body)
	}
}

func TestLogCutsLongData(t *testing.T) {
	var out bytes.Buffer
	handler := newLog(t, slog.NewJSONHandler(&out, nil), handlers.LogOptions{Fields: []string{"data"}})
	for _, test := range []struct {
		name, data string
		cut        bool
	}{
		{"just fits", `"` + strings.Repeat("x", 510) + `"`, false},
		{"just fits, spaces don't count", strings.Repeat(" ", 1<<20) + `"` + strings.Repeat("x", 510) + `"` + strings.Repeat("\n", 1<<20), false},
		{"one too many", `"` + strings.Repeat("x", 511) + `"`, true},
		{"1 MB", `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, true},
		{"inside a character", `"` + strings.Repeat("é", 1<<10) + `"`, true},
		{"inside an escape", `"` + strings.Repeat("\u2028", 1<<10) + `"`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			out.Reset()
			if err := handler.Handle(t.Context(), &router.Event{Data: []byte(test.data)}); err != nil {
				t.Fatal(err)
			}
			var line struct{ Data string }
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			shown, cut := strings.CutSuffix(line.Data, "…")
			if cut != test.cut || len(shown) > 512 || !cut && shown != strings.TrimSpace(test.data) {
				t.Errorf("cut %t after %d bytes: %s", cut, len(shown), line.Data)
			}
		})
	}
}

func FuzzLogData(f *testing.F) {
	for _, text := range hostile() {
		f.Add([]byte(`{ "text" : "` + text[:min(len(text), 100)] + `" }`))
	}
	f.Add([]byte(`[1, "\\\\x1b", "\\"", {}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		var out bytes.Buffer
		handler := newLog(t, slog.NewJSONHandler(&out, nil), handlers.LogOptions{Fields: []string{"data"}})
		if err := handler.Handle(t.Context(), &router.Event{Data: data}); err != nil {
			t.Fatal(err)
		}
		var line struct{ Data string }
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(line.Data, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not printable", line.Data)
		}
		// What is shown whole still says the same.
		var got, want any
		if json.Unmarshal(data, &want) != nil || strings.HasSuffix(line.Data, "…") {
			return
		}
		if err := json.Unmarshal([]byte(line.Data), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s says %v, want %v (%v)", line.Data, got, want, err)
		}
	})
}
