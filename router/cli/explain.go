package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/internal/wording"
)

func (a *app) explainCommand() *cobra.Command {
	var what daemon.ExplainOptions
	var output string
	c := &cobra.Command{
		Use:   "explain CHANNEL [TYPE [DATA|-] | -]",
		Short: "Say which routes take a message, and why the others don't",
		Long: `Say which routes take a message, and why the others don't.

With TYPE it is an event of that type; what depends on its data is unknown without
DATA, which is JSON as for publish. "-" reads the whole message from standard input,
and after TYPE its data. --last takes the newest one of a stream, or waits for the next
one on Pub/Sub. Nothing is sent and nothing is taken from anybody, and only --last
needs Redis. Whether dedupe has an event already is not looked up.

The exit code is 0 when a route takes the message, or may take it; 1 when none does.`,
		ValidArgsFunction: a.completeEvent,
		Example: `  router explain trade_commands enter
  router explain trade_commands enter '{"bot":"momentum-1"}'
  router explain price_data - < tick.json
  router explain trade_commands --last -o json | jq '.routes[] | .route, .result'`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("explain needs CHANNEL, and then TYPE, or - for a message on standard input, or --last; got no arguments")
			case what.Last && len(args) > 1:
				return fmt.Errorf("explain --last needs CHANNEL and nothing else; got %q", args[1])
			case !what.Last && len(args) == 1:
				return errors.New("explain needs TYPE, - for a message on standard input, or --last")
			case len(args) > 3, len(args) == 3 && args[1] == "-":
				return fmt.Errorf("explain needs CHANNEL TYPE [DATA|-], or CHANNEL -; got %s", wording.Count(len(args), "argument"))
			case len(args) > 1 && args[1] == "":
				return errors.New("TYPE is empty")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			what.Channel = args[0]
			if len(args) > 1 {
				what.Type = args[1]
			}
			if len(args) > 2 {
				what.Data = args[2]
			}
			if what.Type == "-" || what.Data == "-" {
				what.From = a.in
			}
			if what.Type == "-" {
				what.Type = ""
			}
			return daemon.Explain(c.Context(), a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Last, "last", false, "take the newest message from Redis")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFixed(c, "output", "text", "json")
	return c
}
