package routesfile

import (
	"fmt"
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
	declared := oneChannel + many(2500, "[channels.c#]\ntransport = \"pubsub\"\n")
	for name, text := range map[string]string{
		"garbage":            strings.Repeat("\x00\xffgarbage [[[ = \"", maxFile/16),
		"brackets":           "a = " + strings.Repeat("[", maxFile/2),
		"tables":             "a = " + strings.Repeat("{a=", maxFile/4),
		"dots":               "a" + strings.Repeat(".a", maxFile/3) + " = 1",
		"dotted header":      "[a" + strings.Repeat(".a", maxFile/3) + "]",
		"unknown keys":       many(60000, "k# = 1\n"),
		"unknown in a table": "[redis]\n" + many(60000, "k# = 1\n"),
		"tables of one key":  many(40000, "[channels.c#]\nx = 1\n"),
		"one long line":      "[handlers.save]\nbody = { " + many(60000, "k# = 1, ") + "z = 1 }\n" + oneChannel,
		"long list":          oneChannel + "types = [" + many(60000, "\"t#\", ") + "]\n",
		"unknown handlers":   many(2000, "[handlers.h#]\nkind = \"log\"\n") + declared + many(8000, "[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"hx#\"\n"),
		"all to all":         many(2000, "[handlers.h#]\nkind = \"log\"\n") + declared + "[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = [" + many(2000, "\"h#\", ") + "]\n",
		"routes on all":      declared + many(8000, "[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = \"log\"\n"),
		"cycles":             many(2000, "[channels.p#]\ntransport = \"pubsub\"\npattern = \"c*#*\"\n") + many(2000, "[handlers.h#]\nkind = \"publish\"\nchannel = \"c#\"\n") + many(2000, "[channels.c#]\ntransport = \"pubsub\"\n[[routes]]\nchannel = \"p#\"\ntype = \"*\"\nhandler = \"h#\"\n"),
		"types":              "[channels.a]\ntransport = \"pubsub\"\ntypes = [" + many(20000, "\"t#\", ") + "]\n[[routes]]\nchannel = \"a\"\nhandler = \"log\"\ntype = [" + many(20000, "\"t#\", ") + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			if len(text) > maxFile {
				text = text[:maxFile]
			}
			start := time.Now()
			_, err := load(t, text, Source{})
			if took := time.Since(start); took > 5*time.Second {
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
