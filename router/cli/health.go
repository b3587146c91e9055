package cli

import (
	"time"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) healthCommand() *cobra.Command {
	var what daemon.HealthOptions
	var output string
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the router that runs whether it is ready",
		Long: `Ask the router that runs whether it is ready: Redis answers, every subscription is
confirmed, and every source that it holds is connected. It prints a line, and the exit
code is 1 when it is not ready.

It asks at the address of [http] listen in this configuration, with its token, and needs
nothing else: no Redis, no other variable, and no file that is right elsewhere. --live asks
whether the router is stuck, so that only a restart would help.`,
		Example: `  router health
  router health --live --timeout 1s
  router health --url http://10.0.0.5:8080 -o json`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			return daemon.AskHealth(c.Context(), a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Live, "live", false, "ask whether it lives, not whether it is ready")
	askFlags(c, &what.AskOptions, &output, 3*time.Second)
	return c
}

// askFlags are those of the commands that ask a router that runs.
func askFlags(c *cobra.Command, what *daemon.AskOptions, output *string, timeout time.Duration) {
	c.Flags().StringVar(&what.URL, "url", "", "`URL` of the router to ask (default: where [http] listens, on this machine)")
	c.Flags().DurationVar(&what.Timeout, "timeout", timeout, "wait for the answer for this `TIME`")
	c.Flags().StringVarP(output, "output", "o", "text", "`FORMAT`: text or json")
	completeFixed(c, "output", "text", "json")
}
