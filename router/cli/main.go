package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

// Exit codes. 78 is EX_CONFIG of sysexits.h.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78
)

// Main runs the program with the arguments it was started with, and returns its exit
// code: 0 clean, 1 failure, 2 wrong usage, 78 wrong configuration.
func Main(kinds *router.Registry, version string) int {
	ctx, stop := untilSignalled(context.Background())
	defer stop()
	return run(ctx, &app{kinds: kinds, version: version, in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:])
}

// app is what all commands share.
type app struct {
	kinds    *router.Registry
	version  string
	in       io.Reader
	out, err io.Writer

	paths          []string
	redis          string
	quiet, verbose bool

	began bool // the arguments were right and a command began
}

func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := a.exitCode(err)
	fmt.Fprintln(a.err, message(err))
	if code == exitUsage && !a.began {
		fmt.Fprintf(a.err, "run \"%s --help\" to see what there is\n", command.CommandPath())
	}
	return code
}

func (a *app) exitCode(err error) int {
	var config routesfile.Errors
	var usage *daemon.UsageError
	switch {
	case errors.As(err, &config):
		return exitConfig
	case errors.As(err, &usage), !a.began:
		return exitUsage
	default:
		return exitFailed
	}
}

// message is an error for a person. Configuration errors stand one on a line, with
// nothing before the place, so that editors and terminals can jump there.
func message(err error) string {
	if config, ok := errors.AsType[routesfile.Errors](err); ok {
		if len(config) == 1 {
			return config.Error() + "\n1 error in the configuration"
		}
		return fmt.Sprintf("%s\n%d errors in the configuration", config.Error(), len(config))
	}
	return "router: " + err.Error()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "router",
		Short: "Carries Redis messages of a channel and type to the handlers that routes.toml names",
		Long: `Carries Redis messages of a channel and type to the handlers that routes.toml names.

Without -c the configuration is $SIGNALBOX_CONFIG, config/routes.toml or routes.toml,
the first that exists. SIGNALBOX_REDIS__URL and the like override it, flags override
those.`,
		Example: `  router demo                    see it work, without any set-up
  router init                    write config/routes.toml to begin with
  router run --embedded          run it, with a Redis inside`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { a.began = true },
	}
	flags := root.PersistentFlags()
	flags.StringArrayVarP(&a.paths, "config", "c", nil, "configuration `FILE` or folder; may be given several times")
	flags.StringVar(&a.redis, "redis", "", "`URL` of Redis: redis://, rediss:// or unix://")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "log only warnings and errors")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	root.MarkFlagsMutuallyExclusive("quiet", "verbose")
	root.AddCommand(a.runCommand(), a.checkCommand(), a.demoCommand(), a.initCommand(),
		a.publishCommand(), a.tailCommand(), a.docsCommand(), a.versionCommand())
	return root
}

func (a *app) options() daemon.Options {
	o := daemon.Options{
		Source: routesfile.Source{Paths: a.paths, Environ: os.Environ()},
		Kinds:  a.kinds, Version: a.version, Stdout: a.out, Stderr: a.err,
	}
	if a.redis != "" {
		o.Source.Set = map[string]string{"redis.url": a.redis}
	}
	switch {
	case a.verbose:
		o.Verbosity = 1
	case a.quiet:
		o.Verbosity = -1
	}
	return o
}
