package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// generateCommand makes files for other programs: each verb is in a file of its own.
func (a *app) generateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "generate",
		Short: "Write files for editors and other programs, from the configuration",
		Long: `Write files for editors and other programs, from the configuration. Each verb writes to
standard output, or to a file with --out, which it replaces.`,
		Args: unknownVerb,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.generateConstantsCommand(), a.generatePythonCommand(), a.generateAsyncAPICommand(), a.generateSchemaCommand(), a.generateReferenceCommand())
	for _, verb := range c.Commands() {
		verb.Example = strings.ReplaceAll(verb.Example, "  router ", "  "+a.name+" ")
	}
	return c
}
