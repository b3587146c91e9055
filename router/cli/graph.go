package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "graph",
		Short: "Draw what is wired: channels, types, routes, handlers",
		Long: `Draw what is wired: channels, types, routes, handlers, where these publish, and where
dead letters are kept. No Redis is needed, and no variable has to be set: what is
skipped for that gets a note.

Mermaid is drawn by GitHub and other sites in a block of a page, dot by Graphviz; both
leave out routes that are off.`,
		Example: `  router graph
  router graph -o mermaid > wiring.mmd
  router graph -o dot | dot -Tsvg > wiring.svg
  router graph -o json | jq '.channels[].routes[].handler'`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return daemon.Graph(a.options(), format)
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "tree", "`FORMAT`: "+strings.Join(daemon.GraphFormats(), ", "))
	completeFixed(c, "output", daemon.GraphFormats()...)
	return c
}
