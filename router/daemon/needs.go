package daemon

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router/routesfile"
)

// lacks is the error of a command that looks at or sends to channels when the
// configuration, read as `router check` reads it, skipped a value that says where they
// are. Without it the command would use a default, and so another Redis or channel.
// What only handlers and routes need may be missing. More are subjects that the command
// needs beside, such as "[service] name".
func lacks(src routesfile.Source, notes []routesfile.Note, channels []string, more ...string) error {
	var errs routesfile.Errors
	for _, note := range notes {
		subject, why, skipped := strings.Cut(note.Message, ": skipped: ")
		if !skipped || overridden(src, subject) {
			continue
		}
		ofChannel := slices.ContainsFunc(channels, func(name string) bool {
			return strings.HasPrefix(subject, fmt.Sprintf("channel %q: ", name))
		})
		if strings.HasPrefix(subject, "[redis] ") || ofChannel || slices.Contains(more, subject) {
			errs = append(errs, routesfile.Error{File: note.File, Line: note.Line, Column: note.Column, Message: subject + ": " + why})
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// overridden reports whether a flag or a variable says what the skipped URL would.
func overridden(src routesfile.Source, subject string) bool {
	return subject == "[redis] url" && (src.Set["redis.url"] != "" || variable(src.Environ, "SIGNALBOX_REDIS__URL") != "")
}

// variable is the value of a variable of the environment, or empty.
func variable(environ []string, name string) string {
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
