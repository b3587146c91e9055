package cli

import (
	"fmt"
	"os"
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

// generated writes what a verb has made to a file, or to standard output.
func (a *app) generated(file string, text []byte) error {
	if file == "" {
		_, err := a.out.Write(text)
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // the user names the file, and it holds no secret
		return fmt.Errorf("write what was generated: %w", err)
	}
	return nil
}
