package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
)

func (a *app) tailCommand() *cobra.Command {
	var what daemon.TailOptions
	var output string
	c := &cobra.Command{
		Use:   "tail [CHANNEL...]",
		Short: "Show what travels on channels, taking it from nobody",
		Long: `Show what travels on channels, taking it from nobody.

CHANNEL is a declared channel, or any name in Redis, or a pattern such as 'price*';
without one, all declared channels are shown, from now on. A line has time, channel,
type, id (- if the message has none) and data.

--where takes what a route may have under when. An event that lacks what it reads is
passed over, and a note on standard error says so.
--since shows first what streams still hold, oldest first: TIME is a time back from now
(10m), a time (2026-11-26T20:30:00Z), or the id of an entry (0-0: all). Pub/Sub keeps
nothing.
--stats shows rates by channel and type instead, renewed each second on a terminal;
elsewhere it is one table at the end, or with -o json a line each second.`,
		ValidArgsFunction: a.completeChannels(-1),
		Example: `  router tail
  router tail price_data --type tick -n 10
  router tail price_data --where 'event.data.price > 97000.0'
  router tail trade_commands --since 10m
  router tail --stats
  router tail -o json | jq .msg`,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			if err := notEmpty(c, "where", "a condition such as 'event.data.price > 97000.0'"); err != nil {
				return err
			}
			if err := notEmpty(c, "since", "a time back from now such as 10m"); err != nil {
				return err
			}
			what.Channels = args
			return daemon.Tail(c.Context(), a.options(), what)
		},
	}
	c.Flags().StringSliceVar(&what.Types, "type", nil, "show only these `TYPES`, as in routes: tick, order.*, !heartbeat")
	c.Flags().StringVar(&what.Where, "where", "", "show only events for which this `CONDITION` is true, as under when in routes")
	c.Flags().StringVar(&what.Since, "since", "", "show first what streams hold from this `TIME` on")
	c.Flags().BoolVar(&what.Stats, "stats", false, "show rates by channel and type instead of events")
	c.Flags().IntVarP(&what.N, "number", "n", 0, "stop after `N` events (default: never)")
	c.Flags().DurationVar(&what.For, "for", 0, "stop after this `TIME`, such as 10s (default: never)")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFlag(c, "type", a.completeTypes)
	completeFixed(c, "output", "text", "json")
	return c
}

// notEmpty refuses a flag that is given and empty, as an unset variable makes it.
func notEmpty(c *cobra.Command, flag, want string) error {
	if f := c.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
		return &daemon.UsageError{Err: fmt.Errorf("--%s is empty: want %s", flag, want)}
	}
	return nil
}
