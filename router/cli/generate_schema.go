package cli

import (
	"github.com/spf13/cobra"

	"signalbox/router/generate"
	"signalbox/router/routesfile"
)

func (a *app) generateSchemaCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "schema",
		Short: "Write the JSON Schema of a configuration, for editors",
		Long: `Write the JSON Schema (draft-07) of a configuration, for editors: they complete and
explain keys by it, and mark mistakes while you type. It has the options of all kinds of
this program. A file names it in its first line, relative to itself:

  #:schema ./routes.schema.json

VS Code with "Even Better TOML" reads that line, and so does everything else that is made of
taplo. What takes more than one table to see, only check sees.`,
		Args:    noArguments,
		Example: `  router generate schema --out config/routes.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			schema, err := routesfile.Schema(a.kinds)
			if err != nil {
				return err
			}
			return generate.Write(a.out, out, schema)
		},
	}
	c.Flags().StringVar(&out, "out", "", "write to `FILE` (default: standard output)")
	return c
}

func (a *app) generateReferenceCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "reference",
		Short: "Write a page in Markdown about every key of a configuration",
		Long: `Write a page in Markdown about every key of a configuration, with the options of all kinds
of this program. "docs NAME" shows a part of it.`,
		Args:    noArguments,
		Example: `  router generate reference --out docs/reference.md`,
		RunE: func(*cobra.Command, []string) error {
			return generate.Write(a.out, out, routesfile.Reference(a.kinds, a.name+" generate reference"))
		},
	}
	c.Flags().StringVar(&out, "out", "", "write to `FILE` (default: standard output)")
	return c
}
