package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/internal/wording"
)

func (a *app) initCommand() *cobra.Command {
	what := daemon.InitOptions{Folder: "."}
	var noCompose bool
	c := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write routes to begin with, and tests of them",
		Long: `Write routes to begin with to FOLDER, which is this one by default: config/routes.toml,
with the routes that demo runs; tests of them in config/routes_test.toml; a schema by
which editors complete and check both; and a docker-compose.yml. They pass check and
test as they are.

A file that exists is left alone. If config/routes.toml does, nothing is written.`,
		Example: `  router init
  router init --minimal my-bot      one channel and one route, in a new folder`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("init takes one folder; got %s", wording.Count(len(args), "argument"))
			}
			if len(args) == 1 && filepath.Ext(args[0]) == ".toml" {
				return fmt.Errorf("init takes the folder of a project, and writes config/routes.toml there; got %q", args[0])
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				what.Folder = args[0]
			}
			what.Command, what.Compose = a.program, !noCompose
			return daemon.Init(a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Minimal, "minimal", false, "one channel and one route, for who knows the rest")
	c.Flags().BoolVar(&noCompose, "no-compose", false, "no docker-compose.yml")
	return c
}
