package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) checkCommand() *cobra.Command {
	var what daemon.CheckOptions
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, without Redis, and with no variable set",
		Long: `Check the configuration, without Redis, and with no variable set.

Every mistake is a line file:line:column: what is wrong and what would be right, with
the place underlined, and the exit code is 78. What works but is hardly meant is a
warning: routes that handle an event twice, types that no route takes, channels and
handlers that nothing uses (in files that have routes, too), policies that cannot do
what they say. What cannot be checked here, such as a value from a variable that is
not set, is skipped with a note.

-o github is for workflows on GitHub, which then show each finding beside its line.`,
		Example: `  router check
  router check -c config/channels.toml -c config/bot.toml
  router check --strict -o github`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			switch what.Format {
			case "text", "json", "github":
				return daemon.Check(a.options(), what)
			}
			return &daemon.UsageError{Err: fmt.Errorf("-o %s: want text, json or github", what.Format)}
		},
	}
	c.Flags().BoolVar(&what.Strict, "strict", false, "warnings are errors")
	c.Flags().StringVarP(&what.Format, "output", "o", "text", "`FORMAT`: text, json (a line each) or github")
	return c
}

// alias is a command by another name, which the help does not list.
func alias(name string, c *cobra.Command) *cobra.Command {
	c.Use, c.Hidden = name, true
	return c
}
