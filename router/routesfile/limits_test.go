package routesfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHugeFilesAreQuick loads what is large, deep or repetitive enough to show any
// quadratic cost.
func TestHugeFilesAreQuick(t *testing.T) {
	t.Parallel()
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, strings.ReplaceAll(format, "#", "%[1]d"), i)
		}
		return b.String()
	}
	channels := func(n int) string { return oneChannel + many(n, "[channels.c#]\ntransport = \"pubsub\"\n") }
	handlers := func(n int) string { return many(n, "[handlers.h#]\nkind = \"log\"\n") }
	for name, text := range map[string]string{
		"garbage":         strings.Repeat("\x00\xffgarbage [[[ = \"", maxFile/16),
		"brackets":        "a = " + strings.Repeat("[", maxFile/2),
		"tables":          "a = " + strings.Repeat("{a=", maxFile/4),
		"dots":            "a" + strings.Repeat(".a", maxFile/3) + " = 1",
		"dotted header":   "[a" + strings.Repeat(".a", maxFile/3) + "]",
		"many keys":       many(60000, "k# = 1\n"),
		"unknown keys":    "[redis]\n" + many(9900, "k# = 1\n"),
		"wrong channels":  many(4900, "[channels.c#]\nx = 1\n"),
		"one long line":   "[handlers.save]\ndsn = \"x\"\nbody = { " + many(9900, "k# = 1, ") + "z = 1 }\n" + oneChannel,
		"conditions":      oneChannel + many(900, "[[routes]]\nchannel = \"a\"\ntype = \"t#\"\nhandler = \"log\"\nwhen = 'event.data.x in ["+strings.Repeat("#, ", 150)+"0]'\n"),
		"long list":       oneChannel + "types = [" + many(60000, "\"t#\", ") + "]\n",
		"wrong handlers":  handlers(1000) + channels(1000) + many(1000, "[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"hx#\"\n"),
		"near types":      "[channels.a]\ntransport = \"pubsub\"\ntypes = [" + many(9000, "\"type#\", ") + "]\n" + many(200, "[[routes]]\nchannel = \"a\"\nhandler = \"log\"\ntype = \"typo#\"\n"),
		"all to all":      handlers(2000) + channels(2500) + "[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = [" + many(2000, "\"h#\", ") + "]\n",
		"routes on all":   channels(3000) + many(600, "[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = \"log\"\n"),
		"types":           "[channels.a]\ntransport = \"pubsub\"\ntypes = [" + many(20000, "\"t#\", ") + "]\n[[routes]]\nchannel = \"a\"\nhandler = \"log\"\ntype = [" + many(20000, "\"t#\", ") + "]\n",
		"types elsewhere": many(2000, "[channels.c#]\ntransport = \"pubsub\"\ntypes = [\"t#\"]\n") + many(600, "[[routes]]\nchannel = \"*\"\ntype = [\"t#\", "+strings.Repeat("\"!t1*\", \"!t2*\", ", 20)+"]\nhandler = \"log\"\n"),
		"cycles": many(1000, "[channels.p#]\ntransport = \"pubsub\"\npattern = \"c*#*\"\n[handlers.h#]\nkind = \"publish\"\nchannel = \"c0\"\n") + channels(500) +
			many(500, "[[routes]]\nchannel = \"p#\"\ntype = \"*\"\nhandler = \"h#\"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if len(text) > maxFile {
				text = text[:maxFile]
			}
			start := time.Now()
			_, err := load(t, text, Source{})
			if took := time.Since(start); took > patience {
				t.Errorf("%d KiB took %s", len(text)>>10, took)
			} else {
				t.Logf("%d KiB took %s", len(text)>>10, took)
			}
			if err != nil && strings.Count(err.Error(), "\n") > 10*maxErrors {
				t.Errorf("%d lines of errors", strings.Count(err.Error(), "\n"))
			}
		})
	}
}

// A test may send much, and all together, but not so much that nothing else gets done; a
// file that many tests send is read once.
func TestManyMessagesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := "[channels.a]\ntransport = \"stream\"\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"log\"\n"
	one := "[[tests]]\nname = \"%d\"\nsend = [{ channel = \"a\", file = \"%d.jsonl\" }]\nhandled = [{}]\n"
	for _, lines := range []int{10_000, 10_001} {
		file := filepath.Join(dir, fmt.Sprintf("%d.jsonl", lines))
		if err := os.WriteFile(file, []byte(strings.Repeat("{\"type\":\"x\"}\n", lines)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		tests, lines int
		want         string // of the first error; empty: none
	}{
		{1, 10_000, ""},
		{1, 10_001, "test 1: sends 10001 messages; a test sends 10000 at most"},
		{10, 10_000, ""},
		{500, 10_000, "test 11: with this one, tests send more than 100000 messages"},
	} {
		text := head
		for i := range test.tests {
			text += fmt.Sprintf(one, i, test.lines)
		}
		path := filepath.Join(dir, "routes.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := Load(Source{Paths: []string{path}, Check: true, Tests: true}, testKinds())
		if took := time.Since(start); took > patience {
			t.Errorf("%d tests took %s", test.tests, took)
		}
		var found Errors
		errors.As(err, &found)
		switch {
		case test.want == "" && err != nil, test.want != "" && len(found) != 1:
			t.Errorf("%d × %d: %v", test.tests, test.lines, err)
		case test.want != "" && !strings.HasPrefix(found[0].Message, test.want):
			t.Errorf("%d × %d: %v", test.tests, test.lines, found[0].Message)
		}
	}
}

// However long names are, an error is short.
func TestLongNamesAreShort(t *testing.T) {
	t.Parallel()
	text := "[channels.a]\ntransport = \"pubsub\"\ntypes = [\"" + strings.Repeat("x", 300_000) + "\"]\n" +
		"[[routes]]\nchannel = \"a\"\nhandler = \"log\"\ntype = \"" + strings.Repeat("y", 300_000) + "\"\n"
	if _, err := load(t, text, Source{}); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.2000v", err)
	}
}

// Conditions that are the same are compiled once, and all others together have a limit.
func TestManyConditions(t *testing.T) {
	t.Parallel()
	file := func(routes int, when string) string {
		var b strings.Builder
		b.WriteString(oneChannel)
		for i := range routes {
			fmt.Fprintf(&b, "[[routes]]\nchannel = \"a\"\ntype = \"t%d\"\nhandler = \"log\"\nwhen = '%s'\n", i, strings.ReplaceAll(when, "#", fmt.Sprint(i)))
		}
		return b.String()
	}
	list := strings.Repeat("1, ", 250)
	if _, err := load(t, file(1000, `event.data.x in [`+list+`1]`), Source{}); err != nil {
		t.Errorf("the same condition in all routes: %v", err)
	}
	_, err := load(t, file(1000, `event.data.x in [`+list+`#]`), Source{})
	if err == nil || !strings.Contains(err.Error(), "when: the conditions are longer than 512 KiB together; write fewer") {
		t.Errorf("different ones: %.200v", err)
	}
}
