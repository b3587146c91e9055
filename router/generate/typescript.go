package generate

import (
	"fmt"
	"strings"

	"signalbox/router"
)

// TypeScript writes the channels and types of cfg as constants of a TypeScript module, and
// as types that are unions of them. Files are what the header says they come from.
func TypeScript(cfg router.Config, files []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "// %s\n// From %s.\n", header("constants --lang typescript"), origin(files))
	channels := constants(cfg, "CHANNELS", "DECLARED", "TRANSPORTS")

	scriptObject(&b, "CHANNELS", "The channels, by their names in Redis.", func() {
		for _, ch := range channels {
			scriptComment(&b, "  ", about(ch.Channel))
			fmt.Fprintf(&b, "  %s: %s,\n", ch.constant, quoteScript(ch.Topic))
		}
	})
	scriptObject(&b, "DECLARED", "The channels, by their names in the configuration: an event's channel.", func() {
		for _, ch := range channels {
			fmt.Fprintf(&b, "  %s: %s,\n", ch.constant, quoteScript(ch.Name))
		}
	})
	scriptObject(&b, "TRANSPORTS", "How each channel is carried.", func() {
		for _, ch := range channels {
			fmt.Fprintf(&b, "  %s: %s,\n", ch.constant, quoteScript(string(ch.Transport)))
		}
	})
	for _, ch := range channels {
		if len(ch.types) == 0 {
			continue
		}
		scriptObject(&b, ch.constant, "Types of "+ch.Name+".", func() {
			for _, one := range ch.types {
				fmt.Fprintf(&b, "  %s: %s,\n", one.constant, quoteScript(one.text))
			}
		})
	}
	return []byte(b.String())
}

// scriptObject writes an object of constants, and under the same name the type of what
// is in it.
func scriptObject(b *strings.Builder, name, doc string, members func()) {
	b.WriteByte('\n')
	scriptComment(b, "", doc)
	fmt.Fprintf(b, "export const %s = {\n", name)
	members()
	fmt.Fprintf(b, "} as const;\nexport type %[1]s = (typeof %[1]s)[keyof typeof %[1]s];\n", name)
}

func scriptComment(b *strings.Builder, indent, text string) {
	lines := wrap(strings.ReplaceAll(text, "*/", `*\/`), width)
	switch len(lines) {
	case 0:
	case 1:
		fmt.Fprintf(b, "%s/** %s */\n", indent, lines[0])
	default:
		fmt.Fprintf(b, "%[1]s/**\n%[1]s * %[2]s\n%[1]s */\n", indent, strings.Join(lines, "\n"+indent+" * "))
	}
}
