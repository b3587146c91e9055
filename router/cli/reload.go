package cli

import (
	"time"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) reloadCommand() *cobra.Command {
	var what daemon.AskOptions
	var output string
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the router that runs read its configuration again",
		Long: `Have the router that runs read its configuration again, and wait until the new one runs.

What is wrong with it is printed as check does, the exit code is 1, and the old one goes
on. The router is asked at the address of [http] listen, with its token; it reads the
files and variables that it was started with. Where [http] is off, SIGHUP does the same,
and the log says what became of it.`,
		Example: `  router reload
  router reload --url http://10.0.0.5:8080`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			return daemon.AskReload(c.Context(), a.options(), what)
		},
	}
	askFlags(c, &what, &output, time.Minute)
	return c
}
