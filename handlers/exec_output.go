package handlers

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// outputLines is how many lines of the output of a handler's programs are logged in a second.
	outputLines = 100
	// tailLines is how many of the last lines of stderr an error shows.
	tailLines = 4
	// maxLine is how much of a line is read; what follows in it is left out. A verdict must
	// fit. What isn't read for verdicts gets by with less.
	maxLine       = 64 << 10
	maxOutputLine = 4 << 10
)

// eachLine calls do for each line of r until r ends, without its line break, and with no
// more of it than size. Do must not keep the line.
func eachLine(r io.Reader, size int, do func(line []byte, cut bool)) {
	lines := bufio.NewReaderSize(r, size)
	for within := false; ; {
		line, err := lines.ReadSlice('\n')
		cut := errors.Is(err, bufio.ErrBufferFull)
		if !within && len(line) > 0 {
			line = trimBreak(line)
			do(line, cut)
		}
		within = cut
		if err != nil && !cut {
			return
		}
	}
}

func trimBreak(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// execOutput logs what the programs of a handler say: each line as one line, shortened and
// escaped, and of more than outputLines in a second only how many there were.
type execOutput struct {
	log     *slog.Logger
	secrets execSecrets

	mu      sync.Mutex
	since   time.Time // when the second began
	lines   int       // in it
	leftOut int
}

// say logs a line, and about what it is.
func (o *execOutput) say(level slog.Level, message string, stream string, line []byte, about ...any) {
	if len(line) == 0 || !o.log.Enabled(context.Background(), level) {
		return
	}
	if o.admit() {
		attrs := append(slices.Clip(about), "stream", stream, "line", oneLine(o.secrets.in(string(line))))
		o.log.Log(context.Background(), level, message, attrs...) //nolint:sloglint // one of two constants
	}
}

// admit reports whether a line is logged.
func (o *execOutput) admit() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.since) >= time.Second {
		o.account()
		o.since, o.lines = now, 0
	}
	if o.lines == outputLines {
		o.leftOut++
		return false
	}
	o.lines++
	return true
}

// flush says what was left out and not said yet.
func (o *execOutput) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.account()
}

func (o *execOutput) account() {
	if o.leftOut > 0 {
		o.log.Warn("the program says more than is logged", "lines_left_out", o.leftOut, "lines_a_second", outputLines)
		o.leftOut = 0
	}
}

// execTail keeps the last lines of a program's stderr, for the error that tells of its end.
type execTail struct {
	mu    sync.Mutex
	lines []string
}

func (t *execTail) add(line []byte) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, string(line))
}

// about is ", stderr ends with …", or nothing.
func (t *execTail) about(hide execSecrets) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return ""
	}
	lines := make([]string, len(t.lines))
	for i, line := range t.lines {
		lines[i] = strings.TrimSpace(hide.in(line))
	}
	return `; stderr ends with "` + oneLine(strings.Join(lines, " | ")) + `"`
}

// execSecrets hides the values of a program's own variables in what it says: it may print
// its environment when it fails. What is short is no secret, and may be any word.
type execSecrets struct{ replacer *strings.Replacer }

// shortestSecret is how long a value must be to be hidden.
const shortestSecret = 8

func newSecrets(env map[string]string) execSecrets {
	names := map[string]string{} // by what is hidden
	for _, name := range slices.Sorted(maps.Keys(env)) {
		hidden := []string{env[name]}
		if u, err := url.Parse(env[name]); err == nil {
			password, _ := u.User.Password()
			hidden = append(hidden, password)
		}
		for _, value := range hidden {
			if len(value) >= shortestSecret && names[value] == "" {
				names[value] = name
			}
		}
	}
	if len(names) == 0 {
		return execSecrets{}
	}
	// One may be the beginning of another: the longer one is looked for first.
	values := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	var pairs []string
	for _, value := range values {
		pairs = append(pairs, value, "${"+names[value]+"}")
	}
	return execSecrets{strings.NewReplacer(pairs...)}
}

// in returns a text with the names in place of the values.
func (s execSecrets) in(text string) string {
	if s.replacer == nil {
		return text
	}
	return s.replacer.Replace(text)
}
