package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/internal/nearest"
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
// code: 0 clean, 1 failure, 2 wrong usage, 78 wrong configuration. Version is what
// `version` prints. The demo command adds a kind to kinds.
func Main(kinds *router.Registry, version string) int {
	redis.SetLogger(daemon.RedisLog{})
	ctx, stop := untilSignalled(context.Background())
	defer stop()
	a := &app{
		kinds: kinds, version: version, in: os.Stdin, out: os.Stdout, err: os.Stderr,
		name: strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), program: invocation(os.Args[0]),
	}
	return run(ctx, a, os.Args[1:])
}

// app is what all commands share.
type app struct {
	kinds    *router.Registry
	version  string
	name     string // of the program
	program  string // how the user calls it: its name, or more
	in       io.Reader
	out, err io.Writer

	paths          []string
	redis          string
	quiet, verbose bool

	began bool // the arguments were right and a command began
}

func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	if slices.Equal(args, []string{"--version"}) { // which people try before the command
		// Not cobra's own flag: its template makes the linker keep every method there is,
		// which is 10 MB.
		args = []string{"version"}
	}
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := a.exitCode(err)
	if _, printed := errors.AsType[*daemon.PrintedError](err); !printed {
		fmt.Fprintln(a.err, message(root.Name(), err))
	}
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
func message(name string, err error) string {
	if config, ok := errors.AsType[routesfile.Errors](err); ok {
		if len(config) == 1 {
			return config.Show()
		}
		return fmt.Sprintf("%s\n%d errors in the configuration", config.Show(), len(config))
	}
	text, suggestions, suggested := strings.Cut(err.Error(), "\n\nDid you mean this?\n") // cobra's
	if suggested {
		text += fmt.Sprintf("; did you mean %q?", strings.Fields(suggestions)[0])
	}
	return name + ": " + strings.Map(shown, text)
}

// shown replaces what a terminal would obey: a server's answer may be in an error.
func shown(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   a.name,
		Short: "Carries Redis messages of a channel and type to the handlers that routes.toml names",
		Long: `Carries Redis messages of a channel and type to the handlers that routes.toml names.

Without -c the configuration is $SIGNALBOX_CONFIG, config/routes.toml or routes.toml,
the first that exists. SIGNALBOX_REDIS__URL and the like override it, flags override
those. Exit codes: 0 clean, 1 failure, 2 wrong usage, 78 wrong configuration.`,
		Example: strings.ReplaceAll(`  router demo                    see it work, without any set-up
  router init                    write config/routes.toml to begin with
  router run --embedded          run it, with a Redis inside`, "router", a.name),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.quiet && a.verbose {
				return errors.New("-q and -v exclude each other")
			}
			a.began = true
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringArrayVarP(&a.paths, "config", "c", nil, "configuration `FILE` or folder of *.toml; may be given several times")
	flags.StringVar(&a.redis, "redis", "", "`URL` of Redis: redis://, rediss:// or unix:// (default: as configured)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "log only warnings and errors")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	root.SetFlagErrorFunc(withFlagSuggestion)
	a.addGroups(root)
	completeNoFiles(root)
	return root
}

func (a *app) addGroups(root *cobra.Command) {
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"run", "Run:", []*cobra.Command{a.runCommand(), a.demoCommand(), a.initCommand()}},
		{"before", "Before that:", []*cobra.Command{a.checkCommand(), a.testCommand(), a.explainCommand(), a.graphCommand(), a.configCommand()}},
		{"live", "While it runs:", []*cobra.Command{a.publishCommand(), a.tailCommand(), a.latestCommand(), a.statusCommand(), a.deadCommand(), a.healthCommand(), a.reloadCommand()}},
		{"make", "For other programs:", []*cobra.Command{a.generateCommand()}},
		{"know", "To know:", []*cobra.Command{a.docsCommand(), a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.id
			c.Example = strings.ReplaceAll(c.Example, "  router ", "  "+a.name+" ")
		}
		root.AddCommand(group.commands...)
	}
	root.AddCommand(alias("validate", a.checkCommand()), alias("lint", a.checkCommand()))
	root.SetHelpCommandGroupID("know")
	root.SetCompletionCommandGroupID("know")
}

// withFlagSuggestion names the flag that a mistyped one was probably meant to be, and
// shows what a time looks like.
func withFlagSuggestion(c *cobra.Command, err error) error {
	if strings.Contains(err.Error(), "flag: time: ") {
		return fmt.Errorf("%w; want a time such as 90s, 10m or 48h", err)
	}
	typed, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near, ok := nearest.Name(typed, names); ok {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// noArguments is for commands that have only flags.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := ""
		if filepath.Ext(args[0]) == ".toml" {
			hint = fmt.Sprintf("; write %s -c %s", c.CommandPath(), args[0])
		}
		return fmt.Errorf("%s takes no arguments; got %q%s", c.Name(), args[0], hint)
	}
	return nil
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
