package generate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"signalbox/router"
)

// Go writes the channels and types of cfg as constants of a Go package. Files are what
// the header says they come from.
func Go(cfg router.Config, files []string, pkg string) ([]byte, error) {
	if !isGoName(pkg) {
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
	return []byte(b.String()), nil
}

// isGoName reports whether a package may have a name.
func isGoName(name string) bool {
	keywords := "break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var"
	for i, r := range name {
		if !unicode.IsLetter(r) && r != '_' && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != "" && name != "_" && !slices.Contains(strings.Fields(keywords), name)
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
	goConstants(b, []string{
		fmt.Sprintf("%s\t= %s\t// %s", ch.name, strconv.Quote(ch.Topic), what),
		fmt.Sprintf("%s\t= %s\t// its name in the configuration, Event.Channel", ch.declared, strconv.Quote(ch.Name)),
		fmt.Sprintf("%s\t= %q", ch.transport, ch.Transport),
	})
	if len(ch.types) == 0 {
		return
	}
	fmt.Fprintf(b, "\n// Types of %s.\n", ch.Name)
	lines := make([]string, len(ch.types))
	for i, one := range ch.types {
		lines[i] = fmt.Sprintf("%s\t= %s", one.constant, strconv.Quote(one.text))
	}
	goConstants(b, lines)
}

// goConstants writes a block of constants as gofmt would, whose alignment is a tabwriter's,
// too. Package go/format would make the router half a megabyte larger.
func goConstants(b *strings.Builder, lines []string) {
	var block strings.Builder
	aligned := tabwriter.NewWriter(&block, 0, 0, 1, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(aligned, line)
	}
	_ = aligned.Flush() // a builder takes everything
	b.WriteString("const (\n")
	for line := range strings.Lines(block.String()) {
		b.WriteString("\t" + line)
	}
	b.WriteString(")\n")
}
