package generate

import (
	"fmt"
	"strings"

	"signalbox/router"
)

// Python writes the channels and types of cfg as constants of a Python module. Files are
// what the header says they come from.
func Python(cfg router.Config, files []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# From %s.\n", header("constants --lang python"), origin(files))
	b.WriteString("\"\"\"The channels of the configuration, and their types.\"\"\"\n\nfrom typing import Final\n")
	channels := constants(cfg, "CHANNELS", "DECLARED", "TRANSPORTS")

	pythonClass(&b, "CHANNELS", "The channels, by their names in Redis.")
	for _, ch := range channels {
		fmt.Fprintf(&b, "\n    %s: Final = %s\n", ch.constant, quotePython(ch.Topic))
		docstring(&b, about(ch.Channel))
	}
	pythonClass(&b, "DECLARED", "The channels, by their names in the configuration: an event's channel.")
	b.WriteByte('\n')
	for _, ch := range channels {
		fmt.Fprintf(&b, "    %s: Final = %s\n", ch.constant, quotePython(ch.Name))
	}
	pythonClass(&b, "TRANSPORTS", "How each channel is carried: pubsub or stream.")
	b.WriteByte('\n')
	for _, ch := range channels {
		fmt.Fprintf(&b, "    %s: Final = %s\n", ch.constant, quotePython(string(ch.Transport)))
	}
	pythonTypes(&b, channels)
	return []byte(b.String())
}

// pythonTypes writes a class for each channel that declares types.
func pythonTypes(b *strings.Builder, channels []declared) {
	for _, ch := range channels {
		if len(ch.types) == 0 {
			continue
		}
		pythonClass(b, ch.constant, "Types of "+ch.Name+".")
		b.WriteByte('\n')
		for _, one := range ch.types {
			fmt.Fprintf(b, "    %s: Final = %s\n", one.constant, quotePython(one.text))
		}
	}
}

func pythonClass(b *strings.Builder, name, doc string) {
	fmt.Fprintf(b, "\n\nclass %s:\n", name)
	docstring(b, doc)
}

// docstring writes a text below what it is about, where editors look for it.
func docstring(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	text = strings.ReplaceAll(text, `\`, `\\`)
	text = strings.ReplaceAll(text, `"""`, `\"\"\"`)
	if head, quoted := strings.CutSuffix(text, `"`); quoted {
		text = head + `\"`
	}
	lines := wrap(text, width-len(`    """`))
	fmt.Fprintf(b, "    \"\"\"%s", strings.Join(lines, "\n    "))
	if len(lines) > 1 {
		b.WriteString("\n    ")
	}
	b.WriteString("\"\"\"\n")
}
