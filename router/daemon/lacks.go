package daemon

import (
	"slices"
	"strings"

	"signalbox/router/routesfile"
)

// lacks is the error of a command that looks at or sends to channels when the
// configuration, read as `router check` reads it, skipped a value that says where they
// are. Without it the command would use a default, and so another Redis or channel.
// What only handlers and routes need may be missing. More are keys that the command needs
// beside, such as "service.name".
func lacks(src routesfile.Source, notes []routesfile.Note, channels []string, more ...string) error {
	return needed(notes, func(key []string) bool {
		return slices.Contains(more, strings.Join(key, ".")) || ofChannel(key, channels) || key[0] == "redis" && !overridden(src, key)
	})
}

// lacksChannels is the same for a command that needs no Redis.
func lacksChannels(notes []routesfile.Note, channels []string) error {
	return needed(notes, func(key []string) bool { return ofChannel(key, channels) })
}

func ofChannel(key, channels []string) bool {
	return len(key) > 1 && key[0] == "channels" && slices.Contains(channels, key[1])
}

// needed makes errors of the notes on what was skipped and is needed.
func needed(notes []routesfile.Note, is func(key []string) bool) error {
	var errs routesfile.Errors
	for _, note := range notes {
		if note.Skipped != nil && is(note.Skipped) {
			errs = append(errs, note.Needed())
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// overridden reports whether a flag or a variable says what the skipped URL would.
func overridden(src routesfile.Source, key []string) bool {
	return slices.Equal(key, []string{"redis", "url"}) && (src.Set["redis.url"] != "" || variable(src.Environ, "SIGNALBOX_REDIS__URL") != "")
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
