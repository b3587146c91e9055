package routesfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"signalbox/router/internal/order"
)

// maxErrors is how many errors one load reports. Nobody reads more, and a file of
// garbage must not cost seconds.
const maxErrors = 200

// Error is one mistake in a configuration and where it is. An error that lies in no
// file has Line 0, and File then names where it lies: "$SIGNALBOX_REDIS__URL".
type Error struct {
	File         string
	Line, Column int // from 1; Column counts characters
	Message      string
	Excerpt      Excerpt
}

// Error is "file:line:column: message".
func (e Error) Error() string { return e.place().String() + ": " + e.Message }

// Errors are all mistakes of a configuration, sorted by file and line.
type Errors []Error

// Error is one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Show is [Error.Show] of each.
func (e Errors) Show() string {
	shown := make([]string, len(e))
	for i, one := range e {
		shown[i] = one.Show()
	}
	return strings.Join(shown, "\n")
}

// Note is something worth knowing that is no mistake, such as a value that a check
// skipped because its variable is not set.
type Note struct {
	Error
	// Warning says that what is written works and is hardly what its author meant.
	Warning bool
	// Skipped is the key whose value a check skipped, from the top: channels, prices, name.
	// Routes, and what stands in a list, are counted from 1. Nil: the note is about
	// something else.
	Skipped []string

	lacks string // why it was skipped, behind what it is
}

// Needed is the error of who cannot do without what was skipped.
func (n Note) Needed() Error {
	return Error{File: n.File, Line: n.Line, Column: n.Column, Message: n.lacks}
}

// String is "file:line:column: message".
func (n Note) String() string { return n.Error.Error() }

// warningMark stands before the message of a warning, so that editors tell it from an error.
const warningMark = "warning: "

// Show is the note with its line: see [Error.Show].
func (n Note) Show() string {
	if !n.Warning {
		return n.String()
	}
	n.Message = warningMark + n.Message
	return n.Error.Show()
}

// place is where something was written.
type place struct {
	file         string
	line, column int
}

func (p place) String() string {
	file := printable(p.file, false)
	if p.line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, p.line, p.column)
}

// lineIn is how an error in the file `from` refers to p.
func (p place) lineIn(from string) string {
	if p.file == from && p.line > 0 {
		return fmt.Sprintf("line %d", p.line)
	}
	return p.String()
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
}

// report gathers the errors and notes of one load.
type report struct {
	errs  Errors
	notes []Note
	more  int // errors beyond maxErrors

	warnings int
	seen     map[Error]bool
	texts    texts
	widths   map[place]int  // characters of a place, where its text does not say
	secrets  []string       // no message has one of these
	dark     map[place]bool // lines that hold a secret; no column
}

func newReport() *report {
	return &report{seen: make(map[Error]bool), texts: make(texts), widths: make(map[place]int), dark: make(map[place]bool)}
}

// full reports whether further errors are only counted, so that composing them
// (suggestions above all) may be left out.
func (r *report) full() bool { return len(r.errs) >= maxErrors }

// failures counts the errors so far.
func (r *report) failures() int { return len(r.errs) + r.more }

func (r *report) errorf(at place, format string, args ...any) {
	if r.full() {
		r.more++
		return
	}
	e := r.errorAt(at, fmt.Sprintf(format, args...))
	if r.seen[e] {
		return
	}
	r.seen[e] = true
	r.errs = append(r.errs, e)
}

// skip tells that a check does without the value of n.
func (r *report) skip(n *node, why string) {
	path := make([]string, len(n.path))
	for i, key := range n.path {
		path[i] = strings.TrimPrefix(key, delim)
	}
	needed := r.errorAt(n.at, n.label()+": "+why)
	r.notes = append(r.notes, Note{Error: r.errorAt(n.at, n.label()+": skipped: "+why), Skipped: path, lacks: needed.Message})
}

// warnf tells what works and is hardly meant. Nobody reads more than maxErrors of those.
func (r *report) warnf(at place, format string, args ...any) {
	if r.warnings++; r.warnings <= maxErrors {
		r.notes = append(r.notes, Note{Error: r.errorAt(at, fmt.Sprintf(format, args...)), Warning: true})
	}
}

// shortestSecret is how many bytes a secret has at least: what is shorter could be any word.
const shortestSecret = 6

// keep keeps secrets to itself, whoever else would tell them: a kind that refuses its
// options, for example. The errors of our own say what is written instead.
func (r *report) keep(secrets []string) {
	for _, secret := range secrets {
		if len(secret) >= shortestSecret && !slices.Contains(r.secrets, secret) {
			r.secrets = append(r.secrets, secret)
		}
	}
}

func (r *report) errorAt(at place, message string) Error {
	for _, secret := range r.secrets {
		message = strings.ReplaceAll(message, secret, hidden)
		if short := shorten(secret); short != secret {
			message = strings.ReplaceAll(message, short, hidden)
		}
	}
	return Error{File: at.file, Line: at.line, Column: at.column, Message: printable(message, true)}
}

// printable is text without what a terminal would not show, or obey: names and values are
// as a file has them, and so are names of files.
func printable(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' && lines || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}

func (e Error) place() place { return place{e.File, e.Line, e.Column} }

// err is the sorted Errors, or nil.
func (r *report) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	order.Stable(r.errs, func(a, b *Error) int { return comparePlaces(a.place(), b.place()) })
	hides := newCensor()
	for i, e := range r.errs {
		r.errs[i].Excerpt = r.excerpt(e.place(), hides)
	}
	if r.more > 0 {
		last := r.errs[len(r.errs)-1]
		last.Message, last.Excerpt = fmt.Sprintf("and %d more errors; these come first", r.more), Excerpt{}
		r.errs = append(r.errs, last)
	}
	return r.errs
}

func (r *report) excerpt(at place, hides *censor) Excerpt {
	if r.dark[place{file: at.file, line: at.line}] {
		return Excerpt{}
	}
	return r.texts.excerpt(at, r.widths[at], hides)
}

// sortedNotes is the notes in the order of the files.
func (r *report) sortedNotes() []Note {
	if len(r.notes) == 0 {
		return nil
	}
	order.Stable(r.notes, func(a, b *Note) int { return comparePlaces(a.place(), b.place()) })
	hides := newCensor()
	for i, n := range r.notes {
		r.notes[i].Excerpt = r.excerpt(n.place(), hides)
	}
	return r.notes
}
