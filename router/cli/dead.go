package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/internal/nearest"
)

func (a *app) deadCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters, replay them, or purge them",
		Long: `Look at dead letters, replay them, or purge them.

A dead letter is an event that a route gave up, or a message that is no event, kept in
a stream with the reason. CHANNEL is the declared channel that it came on, also where
several channels keep theirs in one stream.`,
		Example: `  router dead ls                                  which channels have any
  router dead ls trade_commands                   one line each
  router dead show trade_commands 1763933245123-0
  router dead replay trade_commands --route enter --dry-run`,
		Args: unknownVerb,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.deadLsCommand(), a.deadShowCommand(), a.deadReplayCommand(), a.deadPurgeCommand())
	for _, verb := range c.Commands() {
		verb.Example = strings.ReplaceAll(verb.Example, "  router ", "  "+a.name+" ")
	}
	return c
}

// unknownVerb is for a command that has only subcommands: cobra would print its help
// and call that a success.
func unknownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, verb := range c.Commands() {
		verbs = append(verbs, verb.Name())
	}
	if near, ok := nearest.Name(args[0], verbs); ok {
		return fmt.Errorf("unknown command %q for %q; did you mean %q?", args[0], c.CommandPath(), near)
	}
	return fmt.Errorf("unknown command %q for %q; there are %s", args[0], c.CommandPath(), strings.Join(verbs, ", "))
}

func (a *app) deadLsCommand() *cobra.Command {
	var what daemon.DeadListOptions
	var output string
	c := &cobra.Command{
		Use:   "ls [CHANNEL]",
		Short: "List the dead letters of a channel, or which channels have any",
		Long: `List the dead letters of a channel, the newest last; without one, the channels that can
have any, and how many by reason. Age is since the event was given up.`,
		Args:              between(0, 1),
		ValidArgsFunction: a.completeChannels(1),
		Example: `  router dead ls
  router dead ls trade_commands -n 20
  router dead ls trade_commands --reason timeout --newer 1h -o json | jq .error`,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			if len(args) == 1 {
				what.Channel = args[0]
			}
			return daemon.ListDead(c.Context(), a.options(), what)
		},
	}
	c.Flags().IntVarP(&what.N, "number", "n", 0, "only `N` of them, the newest (default: all)")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFixed(c, "output", "text", "json")
	a.addDeadFilters(c, &what.DeadOptions)
	return c
}

func (a *app) deadShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show CHANNEL ID",
		Short:             "Show all about one dead letter, with the message",
		Args:              between(2, 2),
		ValidArgsFunction: a.completeChannels(1),
		Example:           "  router dead show trade_commands 1763933245123-0",
		RunE: func(c *cobra.Command, args []string) error {
			return daemon.ShowDead(c.Context(), a.options(), args[0], args[1])
		},
	}
}

func (a *app) deadReplayCommand() *cobra.Command {
	var what daemon.ReplayOptions
	c := &cobra.Command{
		Use:   "replay CHANNEL [ID...]",
		Short: "Send dead letters to their channel again, for the route that gave up",
		Long: `Send dead letters to their channel again: those with an ID, those that the filters
leave, or all. Each is removed once it was sent.

On a stream only the route that gave up handles it, in its own group; a message that
reached no route goes to all routes of the group. One that is no event will be
rejected again, unless the channel reads it otherwise by now. What fails again becomes
a dead letter again, and after 3 replays it takes --again. Pub/Sub cannot address a
route, and takes --all-routes; there a letter stays if nobody listens.`,
		Args:              between(1, -1),
		ValidArgsFunction: a.completeChannels(1),
		Example: `  router dead replay trade_commands 1763933245123-0
  router dead replay trade_commands --route enter --newer 10m --dry-run
  router dead replay trade_commands --reason failed --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			what.Channel, what.IDs, what.In = args[0], args[1:], a.in
			return daemon.ReplayDead(c.Context(), a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Again, "again", false, "also those that were replayed 3 times already")
	c.Flags().BoolVar(&what.AllRoutes, "all-routes", false, "to all routes that take it: of its group, or of every subscriber")
	a.addDeadFilters(c, &what.DeadOptions)
	addDeadSafety(c, &what.DeadChange)
	return c
}

func (a *app) deadPurgeCommand() *cobra.Command {
	var what daemon.DeadChange
	c := &cobra.Command{
		Use:   "purge CHANNEL [ID...]",
		Short: "Remove dead letters for good",
		Long: `Remove dead letters for good: those with an ID, those that the filters leave, or all of
this channel.`,
		Args:              between(1, -1),
		ValidArgsFunction: a.completeChannels(1),
		Example: `  router dead purge trade_commands --older 168h
  router dead purge trade_commands --reason malformed --dry-run`,
		RunE: func(c *cobra.Command, args []string) error {
			what.Channel, what.IDs, what.In = args[0], args[1:], a.in
			return daemon.PurgeDead(c.Context(), a.options(), what)
		},
	}
	a.addDeadFilters(c, &what.DeadOptions)
	addDeadSafety(c, &what)
	return c
}

func (a *app) addDeadFilters(c *cobra.Command, what *daemon.DeadOptions) {
	c.Flags().StringSliceVar(&what.Services, "service", nil, "only those of these `SERVICES`")
	c.Flags().StringSliceVar(&what.Routes, "route", nil, "only those of these `ROUTES`")
	c.Flags().StringSliceVar(&what.Types, "type", nil, "only these `TYPES`, as in routes: tick, order.*, !heartbeat")
	c.Flags().StringSliceVar(&what.Reasons, "reason", nil, "only these `REASONS`: failed, timeout, malformed …")
	c.Flags().DurationVar(&what.Older, "older", 0, "only those given up longer ago than this `TIME`, such as 48h")
	c.Flags().DurationVar(&what.Newer, "newer", 0, "only those given up within this `TIME`, such as 10m")
	var reasons []string
	for _, r := range router.Reasons() {
		reasons = append(reasons, string(r))
	}
	completeFixed(c, "reason", reasons...)
	completeFlag(c, "route", a.completeRoutes)
	completeFlag(c, "type", a.completeTypes)
}

func addDeadSafety(c *cobra.Command, what *daemon.DeadChange) {
	c.Flags().BoolVar(&what.DryRun, "dry-run", false, "say what would happen, and do nothing")
	c.Flags().BoolVarP(&what.Yes, "yes", "y", false, "don't ask")
}
