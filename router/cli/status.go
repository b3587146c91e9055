package cli

import (
	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) statusCommand() *cobra.Command {
	var what daemon.StatusOptions
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what waits in Redis, who reads it, and what is wrong",
		Long: `Show what waits in Redis, who reads it, and what is wrong: problems first, each with
what to do. It asks once and changes nothing.

Of each declared channel: subscribers on Pub/Sub; of a stream its length, and of each
group its consumers, what it has not read (lag), what is in hand (pending), the oldest
of that, and what was trimmed before it was read; then the dead letters. Of each source:
who holds it, in which epoch, since when, and when it was heard of last.

A problem is what keeps events from this configuration's routes, such as a group that
nobody reads or a source that nobody holds. It makes the exit code 1 only with --check. What other services should
mind is a note.`,
		Example: `  router status
  router status --check -q > /dev/null || echo "something is wrong"
  router status -o json | jq -c '.groups[]? | [.group, .lag]'`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			return daemon.Status(c.Context(), a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Check, "check", false, "a problem makes the exit code 1")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFixed(c, "output", "text", "json")
	return c
}
