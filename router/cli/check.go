package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) checkCommand() *cobra.Command {
	var what daemon.CheckOptions
	var connect bool
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

With --connect all variables have to be set, and what is right is then tried: Redis and
what this user may do there, databases and their tables, addresses, programs, folders.
Nothing is sent, started or changed. If anything fails, the exit code is 1.

-o github is for workflows on GitHub, which then show each finding beside its line.`,
		Example: `  router check
  router check -c config/channels.toml -c config/bot.toml
  router check --strict -o github
  router check --connect                      before a deployment, where it will run`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(daemon.CheckFormats(), what.Format) {
				return &daemon.UsageError{Err: fmt.Errorf("-o %s: want text, json or github", what.Format)}
			}
			if connect {
				return a.checkConnect(c.Context(), what)
			}
			return daemon.Check(a.options(), what)
		},
	}
	c.Flags().BoolVar(&connect, "connect", false, "also try Redis, and what handlers work for")
	c.Flags().BoolVar(&what.Strict, "strict", false, "warnings are errors")
	c.Flags().StringVarP(&what.Format, "output", "o", "text", "`FORMAT`: text, json (a line each) or github")
	completeFixed(c, "output", daemon.CheckFormats()...)
	return c
}

// checkConnect checks as a run would, with all variables set, and then tries what there is.
func (a *app) checkConnect(ctx context.Context, what daemon.CheckOptions) error {
	if what.Format == "github" {
		return &daemon.UsageError{Err: errors.New("-o github is about files, and --connect about machines; write -o json")}
	}
	what.Needed = true
	if err := daemon.Check(a.options(), what); err != nil {
		return err
	}
	return daemon.Connect(ctx, a.options(), daemon.ConnectOptions{JSON: what.Format == "json"})
}

// alias is a command by another name, which the help does not list.
func alias(name string, c *cobra.Command) *cobra.Command {
	c.Use, c.Hidden = name, true
	return c
}
