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
	return skipped(notes, func(subject string) bool {
		return slices.Contains(more, subject) || ofChannel(subject, channels) || strings.HasPrefix(subject, "[redis] ") && !overridden(src, subject)
	})
}

// lacksChannels is the same for a command that needs no Redis.
func lacksChannels(notes []routesfile.Note, channels []string) error {
	return skipped(notes, func(subject string) bool { return ofChannel(subject, channels) })
}

func ofChannel(subject string, channels []string) bool {
	return slices.ContainsFunc(channels, func(name string) bool {
		return strings.HasPrefix(subject, fmt.Sprintf("channel %q: ", name))
	})
}

// skipped makes errors of the notes on what was skipped and is needed.
func skipped(notes []routesfile.Note, needed func(subject string) bool) error {
	var errs routesfile.Errors
	for _, note := range notes {
		subject, why, skipped := strings.Cut(note.Message, ": skipped: ")
		if skipped && needed(subject) {
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
