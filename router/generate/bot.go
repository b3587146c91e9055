package generate

import (
	"cmp"
	_ "embed"
	"fmt"
	"strings"

	"signalbox/router"
)

// botSource is bot.py without what depends on the configuration.
//
//go:embed bot.py
var botSource string

// botConstants is the line of bot.py in whose place the constants come.
const botConstants = "# CONSTANTS\n"

// botWidth is how long a line of bot.py gets.
const botWidth = 120

// PythonBot writes a module that hands the events of cfg's channels to functions, fed by a
// router or by Redis, with the constants that [Python] writes. Files are what the header
// says they come from.
func PythonBot(cfg router.Config, files []string) []byte {
	channels := constants(cfg, "CHANNELS")
	var b strings.Builder
	b.WriteString("class CHANNELS:\n")
	docstring(&b, "The channels, by their names in Redis.")
	for _, ch := range channels {
		args := botChannel(ch)
		line := fmt.Sprintf("    %s: Final = Channel(%s)\n", ch.constant, strings.Join(args, ", "))
		if len(line) > botWidth {
			line = fmt.Sprintf("    %s: Final = Channel(\n        %s,\n    )\n", ch.constant, strings.Join(args, ",\n        "))
		}
		b.WriteString("\n" + line)
		docstring(&b, about(ch.Channel))
	}
	pythonTypes(&b, channels)
	head := fmt.Sprintf("# %s\n# From %s.\n", header("python"), origin(files))
	return []byte(head + strings.Replace(botSource, botConstants, b.String(), 1))
}

// botChannel is what bot.py has to know of a channel: arguments of Channel, those left out
// that are its defaults.
func botChannel(ch declared) []string {
	args := []string{quotePython(ch.Topic), "declared=" + quotePython(ch.Name), "transport=" + quotePython(string(ch.Transport))}
	if len(ch.types) > 0 {
		types := make([]string, len(ch.types))
		for i, one := range ch.types {
			types[i] = quotePython(one.text)
		}
		if len(types) == 1 {
			types[0] += ","
		}
		args = append(args, "types=("+strings.Join(types, ", ")+")")
	}
	for _, field := range []struct{ name, value, usual string }{
		{"type_field", ch.Fields.Type, "type"},
		{"default_type", ch.Fields.DefaultType, ""},
		{"id_field", ch.Fields.ID, "id"},
		{"time_field", ch.Fields.Time, "time"},
		{"key_field", ch.Fields.Key, ""},
		{"start", onlyStream(ch, string(ch.Start)), string(router.StartOldest)},
	} {
		if value := cmp.Or(field.value, field.usual); value != field.usual {
			args = append(args, field.name+"="+quotePython(value))
		}
	}
	if ch.Pattern {
		args = append(args, "pattern=True")
	}
	if ch.Fields.Split != "" {
		args = append(args, "arrays=True")
	}
	if ch.Transport == router.Stream && ch.MaxLen != 0 && ch.MaxLen != 100_000 {
		args = append(args, fmt.Sprintf("max_len=%d", ch.MaxLen))
	}
	return args
}

// onlyStream leaves out what says nothing about a channel on Pub/Sub.
func onlyStream(ch declared, value string) string {
	if ch.Transport != router.Stream {
		return ""
	}
	return value
}
