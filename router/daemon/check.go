package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"signalbox/router/internal/wording"
	"signalbox/router/routesfile"
)

// CheckOptions say how [Check] prints what it finds.
type CheckOptions struct {
	Format string // of CheckFormats
	Strict bool   // warnings are errors
	// Needed says that all variables have to be set, and secrets be readable.
	Needed bool
}

// CheckFormats are how [Check] may print.
func CheckFormats() []string { return []string{"text", "json", "github"} }

// PrintedError is an error that the user has been told already.
type PrintedError struct{ Err error }

func (e *PrintedError) Error() string { return e.Err.Error() }
func (e *PrintedError) Unwrap() error { return e.Err }

// Check reads the configuration and says what is wrong or odd in it. Its error is
// [routesfile.Errors], perhaps in a [PrintedError].
func Check(opts Options, what CheckOptions) error {
	opts.Source.Check, opts.Source.Tests = true, true
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if what.Needed {
		opts.Source.Check = false
		_, err = routesfile.Load(opts.Source, opts.Kinds)
	}
	found, ok := errors.AsType[routesfile.Errors](err)
	if err != nil && !ok {
		return err
	}
	var notes []routesfile.Note
	if loaded != nil {
		for _, note := range loaded.Notes {
			switch {
			case note.Warning && what.Strict:
				found = append(found, note.Error)
			case what.Needed && note.Skipped != nil: // is an error
			default:
				notes = append(notes, note)
			}
		}
	}
	switch what.Format {
	case "json":
		return printed(found, writeFindings(opts.Stdout, found, notes, jsonFinding))
	case "github":
		return printed(found, writeFindings(opts.Stdout, found, notes, githubFinding))
	}
	for _, note := range notes {
		fmt.Fprintln(opts.Stderr, note.Show())
	}
	if len(found) > 0 {
		return found
	}
	return summarize(opts.Stdout, loaded, notes)
}

func printed(found routesfile.Errors, err error) error {
	if err != nil || len(found) == 0 {
		return err
	}
	return &PrintedError{found}
}

func summarize(out io.Writer, loaded *routesfile.Result, notes []routesfile.Note) error {
	for _, file := range loaded.Files {
		fmt.Fprintln(out, file)
	}
	warnings := 0
	for _, note := range notes {
		if note.Warning {
			warnings++
		}
	}
	cfg := loaded.Config
	line := "ok: " + wording.Count(len(cfg.Channels), "channel")
	if n := len(cfg.Sources); n > 0 {
		line += ", " + wording.Count(n, "source")
	}
	line += fmt.Sprintf(", %s, %s", wording.Count(len(cfg.Handlers), "handler"), wording.Count(len(cfg.Routes), "route"))
	if n := len(loaded.Tests); n > 0 {
		line += ", " + wording.Count(n, "test")
	}
	if warnings > 0 {
		line += ", " + wording.Count(warnings, "warning")
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// finding is one thing that a check has found, for programs.
type finding struct {
	Severity string `json:"severity"` // error, warning or note
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	width    int
	Message  string `json:"message"`
}

func writeFindings(out io.Writer, errs routesfile.Errors, notes []routesfile.Note, format func(finding) string) error {
	var text strings.Builder
	add := func(severity string, e routesfile.Error) {
		text.WriteString(format(finding{severity, e.File, e.Line, e.Column, e.Excerpt.Width, e.Message}) + "\n")
	}
	for _, e := range errs {
		add("error", e)
	}
	for _, n := range notes {
		severity := "note"
		if n.Warning {
			severity = "warning"
		}
		add(severity, n.Error)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func jsonFinding(f finding) string {
	line, err := json.Marshal(f)
	if err != nil { // no type in it can fail
		return strconv.Quote(err.Error())
	}
	return string(line)
}

// githubFinding is a workflow command, which GitHub shows beside the line.
func githubFinding(f finding) string {
	command := f.Severity
	if command == "note" {
		command = "notice"
	}
	properties := "file=" + githubProperty(f.File)
	if f.Line > 0 {
		properties += fmt.Sprintf(",line=%d,col=%d", f.Line, f.Column)
		if f.width > 0 {
			properties += fmt.Sprintf(",endColumn=%d", f.Column+f.width)
		}
	}
	return fmt.Sprintf("::%s %s::%s", command, properties, githubText(f.Message))
}

func githubText(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func githubProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(githubText(text))
}
