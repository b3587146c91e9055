package generate

import (
	"cmp"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"strconv"
	"strings"

	"signalbox/router"
)

// Go writes the channels and types of cfg as constants of a Go package. Files are what
// the header says they come from.
func Go(cfg router.Config, files []string, pkg string) ([]byte, error) {
	if !token.IsIdentifier(pkg) || pkg == "_" {
		return nil, fmt.Errorf("%q is no name for a package of Go; want letters, digits and _, such as channels", pkg)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// %s\n// From %s.\n\n", header("constants --lang go"), origin(files))
	if pkg != "main" { // which is about its program
		fmt.Fprintf(&b, "// Package %s names the channels of the configuration, and their types.\n", pkg)
	}
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, ch := range goChannels(cfg) {
		ch.write(&b)
	}
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return nil, errors.Join(errors.New("what was generated is no Go, which is a bug of Signalbox"), err)
	}
	return source, nil
}

// goChannel is a channel with the names of its constants, which share one scope with those
// of all others.
type goChannel struct {
	router.Channel
	name, declared, transport string
	types                     []typed
}

func goChannels(cfg router.Config) []goChannel {
	channels := make([]goChannel, len(cfg.Channels))
	var wanted []candidate
	var places []*string
	want := func(at *string, of, name string) {
		wanted, places = append(wanted, candidate{name, of}), append(places, at)
	}
	for i := range cfg.Channels {
		ch := &channels[i]
		ch.Channel = cfg.Channels[i]
		ch.Topic = cmp.Or(ch.Topic, ch.Name)
		base := camel(ch.Name)
		if base[0] >= '0' && base[0] <= '9' {
			base = "X" + base
		}
		want(&ch.name, "name "+ch.Name, base)
		want(&ch.declared, "declared "+ch.Name, base+"Declared")
		want(&ch.transport, "transport "+ch.Name, base+"Transport")
		texts := typesOf(ch.Channel)
		ch.types = make([]typed, len(texts))
		for j, text := range texts {
			ch.types[j].text = text
			want(&ch.types[j].constant, "type "+ch.Name+" "+text, base+camel(text))
		}
	}
	for i, name := range distinct(wanted) {
		*places[i] = name
	}
	return channels
}

func (ch *goChannel) write(b *strings.Builder) {
	b.WriteByte('\n')
	for _, line := range wrap(fmt.Sprintf("Channel %s: %s", ch.Name, cmp.Or(about(ch.Channel), "its names, and its transport.")), width) {
		fmt.Fprintln(b, "//", line)
	}
	what := "its name in Redis"
	if ch.Pattern {
		what = "its pattern of names in Redis"
	}
	fmt.Fprintf(b, "const (\n%s = %s // %s\n%s = %s // its name in the configuration, Event.Channel\n%s = %q\n)\n",
		ch.name, strconv.Quote(ch.Topic), what, ch.declared, strconv.Quote(ch.Name), ch.transport, ch.Transport)
	if len(ch.types) == 0 {
		return
	}
	fmt.Fprintf(b, "\n// Types of %s.\nconst (\n", ch.Name)
	for _, one := range ch.types {
		fmt.Fprintf(b, "%s = %s\n", one.constant, strconv.Quote(one.text))
	}
	b.WriteString(")\n")
}
