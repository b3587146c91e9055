package cli

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/config"
	"signalbox/router/daemon"
	"signalbox/router/internal/wording"
)

func (a *app) runCommand() *cobra.Command {
	var embedded, watch bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the routes until SIGINT or SIGTERM",
		Long: `Run the routes until SIGINT or SIGTERM.

Then what is in hand is finished, for 8 s at most ([service] drain); a second signal
ends the program at once, with exit code 1. A Redis that is away is waited for; one
that refuses us (password, TLS) is an error at once.

SIGHUP and router reload read the configuration again, and --watch does whenever it has
changed: what is wrong with it is logged, and the old one goes on. No event is lost or
handled twice on channels that stay. [redis], [service], [http] and [log] format need a
restart.`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		Example: `  router run                                  config/routes.toml, Redis as it says
  router run -c channels.toml -c bot.toml     several files are one configuration
  router run --watch                          reads them again when they change
  router run --embedded                       with a Redis inside, for development`,
		RunE: func(c *cobra.Command, _ []string) error {
			if embedded && a.redis != "" {
				return &daemon.UsageError{Err: errors.New("--embedded and --redis exclude each other")}
			}
			opts := a.options()
			opts.Embedded, opts.Watch = embedded, watch
			reload, stop := hangups()
			defer stop()
			opts.Reload = reload
			return daemon.Run(c.Context(), opts)
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "read the configuration again whenever its files have changed")
	c.Flags().BoolVar(&embedded, "embedded", false, "start a Redis in this process, on port 6380 if it is free, and use it (development only)")
	return c
}

// between is for commands that have from least to most arguments, -1: any number.
func between(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		verb := "takes"
		switch {
		case len(args) < least:
			verb = "needs"
		case most < 0 || len(args) <= most:
			return nil
		}
		_, arguments, _ := strings.Cut(c.Use, " ")
		name := strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
		return fmt.Errorf("%s %s %s; got %s", name, verb, arguments, wording.Count(len(args), "argument"))
	}
}

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See it work: the shipped routes on an embedded Redis with a simulated price feed",
		Long: `See it work: the shipped routes on an embedded Redis with a simulated price feed.

The Redis listens on 127.0.0.1:6380 and the live page on 127.0.0.1:8080, or on a free
port if that is taken; redis-cli, Python and other terminals may join, and the page may
publish. In every 16 seconds a command is sent twice, a message is no JSON, a command
fails once, and one comes too late, all on purpose. Nothing is kept.`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(a.paths) > 0 || a.redis != "" {
				return &daemon.UsageError{Err: errors.New("demo has its own routes and Redis; for yours: router run --embedded -c FILE, or router run --redis URL")}
			}
			return daemon.Demo(c.Context(), a.options(), daemon.DemoOptions{Routes: config.Routes, Command: a.program})
		},
	}
}

func (a *app) publishCommand() *cobra.Command {
	var what daemon.PublishOptions
	c := &cobra.Command{
		Use:   "publish CHANNEL TYPE [DATA|-]",
		Short: "Send an event to a declared channel and say who got it",
		Long: `Send an event to a declared channel and say who got it.

DATA is the event's data, JSON; "-" reads one event's data from each line of standard
input, up to the first line that is wrong. The rest (id, source, time) is filled in.
It has to be of a type that the channel declares, and to satisfy the schema of that type.
With --raw there is no TYPE, and the text is the whole message, sent unchecked.`,
		ValidArgsFunction: a.completeEvent,
		Example: `  router publish trade_commands stop '{"bot":"momentum-1"}'
  router publish price_data tick - --rate 10 < ticks.jsonl
  router publish price_data --raw 'not even JSON'`,
		Args: func(_ *cobra.Command, args []string) error {
			least, most, usage := 2, 3, "publish needs CHANNEL TYPE [DATA|-]"
			if what.Raw {
				least, most, usage = 2, 2, "publish --raw needs CHANNEL MESSAGE|-"
			}
			if len(args) < least || len(args) > most {
				return fmt.Errorf("%s; got %s", usage, wording.Count(len(args), "argument"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if what.Count < 1 {
				return &daemon.UsageError{Err: fmt.Errorf("--count %d: want a number from 1", what.Count)}
			}
			what.Channel = args[0]
			rest := args[1:]
			if !what.Raw {
				what.Type, rest = args[1], args[2:]
			}
			if len(rest) == 1 {
				what.Data = rest[0]
			}
			if what.Data == "-" {
				what.From = a.in
			}
			return daemon.Publish(c.Context(), a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.Raw, "raw", false, "send the text as the whole message, unchecked")
	c.Flags().StringVar(&what.ID, "id", "", "the event's `ID` (default: a new UUIDv7)")
	c.Flags().IntVar(&what.Count, "count", 1, "send it, or each line, `N` times")
	c.Flags().Float64Var(&what.Rate, "rate", 0, "send at most `N` messages a second (default: as fast as possible)")
	return c
}

func (a *app) latestCommand() *cobra.Command {
	var what daemon.LatestOptions
	var output string
	c := &cobra.Command{
		Use:   "latest CHANNEL [KEY...]",
		Short: "Show the newest event of each key, as handlers of the kind latest keep them",
		Long: `Show the newest event of each key, as handlers of the kind latest keep them.

CHANNEL is a declared channel, or any name in Redis; without KEY all keys are shown,
the oldest event first. A line has key, time, type and data. A key of which nothing is
kept is an error.`,
		ValidArgsFunction: a.completeChannels(1),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("latest needs CHANNEL [KEY...]; got no arguments")
			}
			return nil
		},
		Example: `  router latest price_data
  router latest price_data BTCUSDT -o json | jq .msg.data.price`,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			what.Channel, what.Keys = args[0], args[1:]
			return daemon.Latest(c.Context(), a.options(), what)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFixed(c, "output", "text", "json")
	return c
}

// isJSON reads the flag --output.
func isJSON(output string) (bool, error) {
	if output != "text" && output != "json" {
		return false, &daemon.UsageError{Err: fmt.Errorf("-o %s: want text or json", output)}
	}
	return output == "json", nil
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, a.versionLine())
			return err
		},
	}
}

func (a *app) versionLine() string {
	return fmt.Sprintf("%s %s %s%s", a.name, a.version, runtime.Version(), revision())
}

// revision is the commit that the binary was built from, if the build knew it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return " " + s.Value
		}
	}
	return ""
}
