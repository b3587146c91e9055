package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"signalbox/config"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

func (a *app) runCommand() *cobra.Command {
	var embedded bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the routes until SIGINT or SIGTERM",
		Args:  cobra.NoArgs,
		Example: `  router run                                  config/routes.toml, Redis as it says
  router run -c channels.toml -c bot.toml     several files are one configuration
  router run --embedded                       with a Redis inside, for development`,
		RunE: func(c *cobra.Command, _ []string) error {
			if embedded && a.redis != "" {
				return &daemon.UsageError{Err: errors.New("--embedded and --redis exclude each other")}
			}
			opts := a.options()
			opts.Embedded = embedded
			return daemon.Run(c.Context(), opts)
		},
	}
	c.Flags().BoolVar(&embedded, "embedded", false, "start a Redis in this process and use it (development only)")
	return c
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, without Redis, and with no variable set",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			source := a.options().Source
			source.Check = true
			result, err := routesfile.Load(source, a.kinds)
			if err != nil {
				return err
			}
			for _, note := range result.Notes {
				fmt.Fprintln(a.err, note)
			}
			cfg := result.Config
			for _, file := range result.Files {
				fmt.Fprintln(a.out, file)
			}
			_, err = fmt.Fprintf(a.out, "ok: %s, %s, %s\n", count(len(cfg.Channels), "channel"),
				count(len(cfg.Handlers), "handler"), count(len(cfg.Routes), "route"))
			return err
		},
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See it work: the shipped routes on an embedded Redis with a simulated price feed",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return daemon.Demo(c.Context(), a.options()) },
	}
}

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write routes to begin with (default config/routes.toml)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := filepath.Join("config", "routes.toml")
			if len(args) == 1 {
				file = args[0]
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
				return fmt.Errorf("make the folder: %w", err)
			}
			// O_EXCL: never over a file that somebody wrote.
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the user names the file, and it holds no secret
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already; name another file: router init FILE", file)
			} else if err != nil {
				return fmt.Errorf("write the routes: %w", err)
			}
			if _, err := f.Write(config.Routes); err != nil {
				return errors.Join(fmt.Errorf("write the routes: %w", err), f.Close())
			}
			if err := f.Close(); err != nil {
				return fmt.Errorf("write the routes: %w", err)
			}
			_, err = fmt.Fprintf(a.out, "wrote %s\nnext: router check, then router run --embedded\n", file)
			return err
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
input. The rest (id, source, time) is filled in. With --raw there is no TYPE, and the
text is the whole message, sent unchecked.`,
		Example: `  router publish trade_commands stop '{"bot":"momentum-1"}'
  router publish price_data tick - --rate 10 < ticks.jsonl
  router publish price_data --raw 'not even JSON'`,
		Args: func(_ *cobra.Command, args []string) error {
			least, most, usage := 2, 3, "publish needs CHANNEL TYPE [DATA|-]"
			if what.Raw {
				least, most, usage = 2, 2, "publish --raw needs CHANNEL MESSAGE|-"
			}
			if len(args) < least || len(args) > most {
				return errors.New(usage)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
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
	c.Flags().StringVar(&what.ID, "id", "", "the event's id (default: a new UUIDv7)")
	c.Flags().IntVar(&what.Count, "count", 1, "send it `N` times")
	c.Flags().Float64Var(&what.Rate, "rate", 0, "send at most `N` a second (default: as fast as possible)")
	return c
}

func (a *app) tailCommand() *cobra.Command {
	var what daemon.TailOptions
	var output string
	c := &cobra.Command{
		Use:   "tail [CHANNEL...]",
		Short: "Show what travels on channels, taking it from nobody",
		Long: `Show what travels on channels, taking it from nobody.

CHANNEL is a declared channel or any Redis name; without one, all declared channels
are shown. Streams are shown from now on.`,
		Example: `  router tail price_data --type tick -n 10
  router tail -o json | jq .msg`,
		RunE: func(c *cobra.Command, args []string) error {
			switch output {
			case "text":
			case "json":
				what.JSON = true
			default:
				return &daemon.UsageError{Err: fmt.Errorf("-o %s: want text or json", output)}
			}
			what.Channels = args
			return daemon.Tail(c.Context(), a.options(), what)
		},
	}
	c.Flags().StringSliceVar(&what.Types, "type", nil, "show only these `TYPES`, as in routes: tick, order.*, !heartbeat")
	c.Flags().IntVarP(&what.N, "number", "n", 0, "stop after `N` messages")
	c.Flags().DurationVar(&what.For, "for", 0, "stop after this `TIME`, such as 10s")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.out, "router %s %s%s\n", a.version, runtime.Version(), revision())
			return err
		},
	}
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
