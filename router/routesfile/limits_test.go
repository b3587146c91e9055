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
		"long list":       oneChannel + "types = [" + many(60000, "\"t#\", ") + "]\n",
		"wrong handlers":  handlers(1000) + channels(1000) + many(1000, "[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"hx#\"\n"),
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
