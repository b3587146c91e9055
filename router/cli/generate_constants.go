package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/generate"
)

// languages are the values of --lang.
func languages() []string { return []string{"go", "python", "typescript"} }

func (a *app) generateConstantsCommand() *cobra.Command {
	var lang, pkg, out string
	c := &cobra.Command{
		Use:   "constants --lang LANGUAGE",
		Short: "Write the channels and their types as constants of a language",
		Long: `Write the channels and their types as constants of a language: go, python or
typescript. A channel is its name in Redis, since that is what a bot publishes to; its
name in the configuration and its transport stand beside it, and its types have names of
their own. What a name can't hold becomes _, and names that would be the same get a suffix.

Variables need not be set, unless a channel depends on one.`,
		Example: `  router generate constants --lang python --out channels.py
  router generate constants --lang typescript > src/channels.ts
  router generate constants --lang go --package channels --out channels/channels.go`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("package") && lang != "go" {
				return &daemon.UsageError{Err: fmt.Errorf("--package %s: only Go has packages; remove it, or write --lang go", pkg)}
			}
			return a.generateConstants(lang, pkg, out)
		},
	}
	c.Flags().StringVar(&lang, "lang", "", "`LANGUAGE`: "+strings.Join(languages(), ", "))
	c.Flags().StringVar(&pkg, "package", "channels", "`NAME` of the Go package")
	addOut(c, &out)
	if err := c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(languages(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is above
	}
	return c
}

func (a *app) generateConstants(lang, pkg, out string) error {
	switch lang {
	case "go", "python", "typescript":
	case "":
		return &daemon.UsageError{Err: fmt.Errorf("--lang is missing: want %s", strings.Join(languages(), ", "))}
	default:
		return &daemon.UsageError{Err: fmt.Errorf("--lang %s: want %s", lang, strings.Join(languages(), ", "))}
	}
	loaded, err := daemon.Declared(a.options())
	if err != nil {
		return err
	}
	var text []byte
	switch lang {
	case "go":
		if text, err = generate.Go(loaded.Config, loaded.Files, pkg); err != nil {
			return &daemon.UsageError{Err: fmt.Errorf("--package: %w", err)}
		}
	case "python":
		text = generate.Python(loaded.Config, loaded.Files)
	case "typescript":
		text = generate.TypeScript(loaded.Config, loaded.Files)
	}
	return generate.Write(a.out, out, text)
}
