package routesfile

import (
	"bytes"
	"fmt"
	"strings"

	"signalbox/router"
)

// Reference is a page in Markdown about every key of a configuration whose handlers and
// sources are of these kinds. Command is how to make the page again.
func Reference(kinds *router.Registry, command string) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Reference\n\nEvery key of a configuration, as the program itself describes them. `%s` makes this page:\nit is not edited by hand.\n\n", command)
	tables := Keys(kinds)
	for _, table := range tables {
		fmt.Fprintf(&page, "- [`%s`](#%s)\n", table.Table, anchor(table.Table))
		for _, kind := range table.kinds() {
			fmt.Fprintf(&page, "  - [%s `%s`](#%s)\n", table.wordForKind(), kind.Name, anchor(strings.ReplaceAll(table.wordForKind(), " ", "-")+"-"+kind.Name))
		}
	}
	for _, table := range tables {
		fmt.Fprintf(&page, "\n## `%s`\n\n%s\n", table.Table, sentence(table.Doc))
		writeTable(&page, table)
		for _, kind := range table.kinds() {
			fmt.Fprintf(&page, "\n### %s `%s`\n\n%s\n", capital(table.wordForKind()), kind.Name, sentence(kind.Doc))
			writeTable(&page, kind)
		}
	}
	return page.Bytes()
}

// wordForKind is what a kind is called there, where those of handlers are simply kinds.
func (k Key) wordForKind() string {
	if k.Path == "sources" {
		return "kind of source"
	}
	return "kind"
}

// kinds are the keys of handlers, or of sources, that are kinds.
func (k Key) kinds() []Key {
	var kinds []Key
	for _, key := range k.Keys {
		if key.Kind != "" && k.Kind == "" {
			kinds = append(kinds, key)
		}
	}
	return kinds
}

// writeTable writes a row for each key that a table itself has.
func writeTable(page *bytes.Buffer, table Key) {
	rows := 0
	for _, key := range All(table.Keys) {
		if key.Kind != table.Kind {
			continue // an option, below its kind
		}
		if rows++; rows == 1 {
			page.WriteString("\n| key | value | default | meaning |\n|---|---|---|---|\n")
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", key.Name, key.allowedCell(), key.defaultCell(), key.meaningCell())
	}
	switch {
	case rows == 0:
		page.WriteString("\nIt has no options.\n")
	case table.shape.kinds != nil:
		page.WriteString("\nAll other keys are the options of its kind.\n")
	}
}

func (k Key) allowedCell() string {
	if len(k.Values) == 0 {
		return k.Allowed()
	}
	code := make([]string, len(k.Values))
	for i, value := range k.Values {
		code[i] = "`\"" + value + "\"`"
	}
	return alternatives(code)
}

func (k Key) defaultCell() string {
	switch {
	case k.Required:
		return "required"
	case k.toml != "":
		return "`" + k.toml + "`"
	}
	return inCell(k.Default)
}

func (k Key) meaningCell() string {
	parts := []string{k.Doc}
	for _, not := range k.Not {
		transport, why, _ := strings.Cut(not, ":")
		parts = append(parts, "Not for a "+transport+" channel:"+why)
	}
	return inCell(strings.Join(parts, ". "))
}

// inCell keeps what means something to Markdown from doing so.
func inCell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`, "`", "\\`").Replace(text)
}

// sentence is a line of documentation as one: with a capital and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return capital(strings.TrimSuffix(text, ".") + ".")
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// anchor is what a heading is called in links.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("[].`\"", c) {
			return -1
		}
		return c
	}, strings.ToLower(heading))
}
