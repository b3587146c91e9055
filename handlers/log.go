package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"signalbox/router"
)

// LogOptions are the options of the kind log. In the zero value each has its default.
type LogOptions struct {
	Level  string        `toml:"level" enum:"debug,info,warn,error" doc:"level of the lines: debug, info, warn or error"`
	Fields []string      `toml:"fields" doc:"what a line says: event fields, or paths into data and msg such as data.symbol"`
	Every  time.Duration `toml:"every" min:"0s" doc:"at most one line in this time for each channel, type and key; a duration such as 1s; 0s: a line for every event"`
}

func defaultLogOptions() LogOptions {
	return LogOptions{Level: "info", Fields: []string{"channel", "type", "id", "key", "data"}}
}

// Validate reports all that is wrong with the options.
func (o LogOptions) Validate() error {
	_, levelErr := parseLevel(o.Level)
	_, fieldsErr := parseFields(o.Fields)
	var everyErr error
	if o.Every < 0 {
		everyErr = fmt.Errorf("every: %s is negative; 0s is a line for every event", o.Every)
	}
	return errors.Join(levelErr, fieldsErr, everyErr)
}

func parseLevel(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, fmt.Errorf("level: %q is not one of debug, info, warn, error", name)
	}
}

// Log is the kind that writes one readable line per event to the router's log: the
// message "event" with the fields of the event as attributes.
//
// Whatever a payload holds, a line stays one line of limited length, without control
// characters. Lines of a level that the log doesn't show cost next to nothing.
func Log() router.Kind[LogOptions] {
	return router.Kind[LogOptions]{
		Name:     "log",
		Doc:      "Writes one readable line per event to the log.",
		Defaults: defaultLogOptions(),
		New: func(env router.Env, options LogOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			return newLogger(env.Log, options), nil
		},
	}
}

// logger is a handler of kind log.
type logger struct {
	log     *slog.Logger
	level   slog.Level
	fields  []logField
	sampler *sampler // nil: every event
}

// newLogger makes a handler of options that are valid.
func newLogger(log *slog.Logger, options LogOptions) *logger {
	l := &logger{log: log}
	l.level, _ = parseLevel(options.Level)
	if len(options.Fields) == 0 {
		options.Fields = defaultLogOptions().Fields
	}
	l.fields, _ = parseFields(options.Fields)
	if options.Every > 0 {
		l.sampler = newSampler(options.Every)
	}
	return l
}

// Handle writes a line. It never fails.
func (l *logger) Handle(ctx context.Context, event *router.Event) error {
	if !l.log.Enabled(ctx, l.level) {
		return nil
	}
	skipped, pass := l.sampler.admit(event)
	if !pass {
		return nil
	}
	attrs := make([]slog.Attr, 0, len(l.fields)+2)
	for _, f := range l.fields {
		if value, ok := f.value(event); ok {
			attrs = append(attrs, slog.Attr{Key: f.name, Value: value})
		}
	}
	if trace := event.TraceID(); trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("skipped", skipped))
	}
	l.log.LogAttrs(ctx, l.level, "event", attrs...)
	return nil
}
