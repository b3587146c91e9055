package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"signalbox/router/internal/nearest"
	"signalbox/router/routesfile"
)

// ConfigOptions say what to show of the configuration that is in force.
type ConfigOptions struct {
	Keys []string // only what is under one of these, its defaults, too; none: everything
	All  bool     // the defaults, too
	JSON bool
}

// ShowConfig prints the configuration that is in force: values with where they come from,
// and no secret. It needs neither Redis nor the variables that the files refer to.
func ShowConfig(opts Options, what ConfigOptions) error {
	opts.Source.Check = true
	effective, err := routesfile.LoadEffective(opts.Source, opts.Kinds)
	if err != nil {
		return err
	}
	for _, note := range effective.Notes {
		if note.Skipped != nil { // advice is for check to give
			fmt.Fprintln(opts.Stderr, note)
		}
	}
	if err := noSuchKey(effective, what.Keys); err != nil {
		return err
	}
	page := configPage{out: opts.Stdout, dim: colourful(opts.Stdout)}
	for _, table := range effective.Tables {
		values := slices.DeleteFunc(slices.Clone(table.Values), func(v routesfile.EffectiveValue) bool { return !what.has(table, v) })
		switch {
		case len(values) == 0:
		case what.JSON:
			for _, v := range values {
				page.printf("%s\n", toJSON(newConfigRow(table, v)))
			}
		default:
			page.table(table, values)
		}
	}
	if len(what.Keys) == 0 && !what.JSON {
		page.places("off, by enabled = false", effective.Off)
		page.places("not known, as long as a variable is not set", effective.Unknown)
	}
	return page.err
}

// has reports whether a value is to be shown.
func (o ConfigOptions) has(table routesfile.EffectiveTable, v routesfile.EffectiveValue) bool {
	if len(o.Keys) > 0 {
		return slices.ContainsFunc(o.Keys, func(key string) bool { return isUnder(table, v, key) })
	}
	return o.All || !v.Default || table.Path[0] == "routes" && alwaysTold(v.Key)
}

// alwaysTold reports whether people ask what it is of a route that doesn't say.
func alwaysTold(key string) bool {
	return slices.Contains([]string{"name", "timeout", "retry.attempts", "workers", "dead_letter", "group"}, key)
}

// isUnder reports whether a value is what key names, or in a table that it names. Names in
// it may stand in quotes, but need not.
func isUnder(table routesfile.EffectiveTable, v routesfile.EffectiveValue, key string) bool {
	under := func(name string) bool { return name == key || strings.HasPrefix(name, key+".") }
	return under(table.Name(v)) || under(strings.Join(table.Path, ".")+"."+strings.ReplaceAll(v.Key, `"`, ""))
}

// noSuchKey is the error for a key under which there is nothing.
func noSuchKey(effective *routesfile.Effective, keys []string) error {
	var names []string
	for _, table := range effective.Tables {
		for i := range table.Path {
			names = append(names, strings.Join(table.Path[:i+1], "."))
		}
		for _, v := range table.Values {
			names = append(names, table.Name(v))
		}
	}
	for _, key := range keys {
		found := slices.ContainsFunc(effective.Tables, func(table routesfile.EffectiveTable) bool {
			return slices.ContainsFunc(table.Values, func(v routesfile.EffectiveValue) bool { return isUnder(table, v, key) })
		})
		if found {
			continue
		}
		if near, ok := nearest.Name(key, names); ok {
			return &UsageError{fmt.Errorf("nothing is in force under %q; did you mean %q?", key, near)}
		}
		return &UsageError{fmt.Errorf("nothing is in force under %q: the configuration does not say it, and it has no default; keys look like redis.url, channels.NAME.types or routes.CHANNEL.NAME", key)}
	}
	return nil
}

// configRow is a value as `config -o json` prints it.
type configRow struct {
	Key       string   `json:"key"`
	Value     any      `json:"value"`
	Where     string   `json:"where"`
	From      string   `json:"from,omitempty"`
	Reference string   `json:"reference,omitempty"`
	Unset     []string `json:"unset,omitempty"`
	Secret    bool     `json:"secret"`
	Default   bool     `json:"default"`
}

func newConfigRow(table routesfile.EffectiveTable, v routesfile.EffectiveValue) configRow {
	return configRow{table.Name(v), v.Value, v.Where, v.From, v.Reference, v.Unset, v.Secret, v.Default}
}

// configPage prints tables as a file would have them, with comments that say where each
// value comes from.
type configPage struct {
	out   io.Writer
	dim   bool // defaults
	begun bool
	err   error
}

// widestValue is how far comments stand to the right at most, for the sake of long values.
const widestValue = 48

func (p *configPage) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.out, format, args...); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *configPage) table(table routesfile.EffectiveTable, values []routesfile.EffectiveValue) {
	if p.begun {
		p.printf("\n")
	}
	p.begun = true
	keys, width := 0, utf8.RuneCountInString(table.Header())
	for _, v := range values {
		keys = max(keys, utf8.RuneCountInString(v.Key))
	}
	for _, v := range values {
		if wide := keys + len(" = ") + utf8.RuneCountInString(v.Text); wide <= keys+widestValue {
			width = max(width, wide)
		}
	}
	p.line(table.Header(), table.Where, width, false)
	for _, v := range values {
		p.line(fmt.Sprintf("%-*s = %s", keys, v.Key, v.Text), origin(v), width, v.Default)
	}
}

func (p *configPage) line(text, comment string, width int, isDefault bool) {
	if comment != "" {
		text = fmt.Sprintf("%-*s  # %s", width, text, printable(comment))
	}
	if isDefault && p.dim {
		text = faint + text + normal
	}
	p.printf("%s\n", text)
}

// origin says where a value comes from.
func origin(v routesfile.EffectiveValue) string {
	words := []string{v.Where}
	if v.From != "" {
		words = []string{v.From, words[0]}
	}
	if v.From != "" && v.Default {
		words = words[:1]
	}
	if v.Reference != "" && v.Reference != v.Value {
		words = append(words, v.Reference)
	}
	for _, name := range v.Unset {
		if strings.HasPrefix(name, "file ") {
			words = append(words, "("+name+" cannot be read)")
		} else {
			words = append(words, "("+name+" is not set)")
		}
	}
	return strings.Join(words, " ")
}

// places are those of routes that are not shown.
func (p *configPage) places(why string, places []string) {
	if len(places) > 0 {
		p.printf("\n")
	}
	for _, place := range places {
		p.printf("# %s: the route %s\n", why, printable(place))
	}
}
