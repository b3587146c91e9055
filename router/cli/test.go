package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/internal/wording"
	"signalbox/router/scenario"
)

// noTests is what to do when there are none.
const noTests = `there are no tests; write one into your file, or into NAME_test.toml beside NAME.toml:

[[tests]]
name    = "what must be so"
send    = [{ channel = "…", message = { type = "…", data = {} } }]
handled = [{ handler = "…" }]`

func (a *app) testCommand() *cobra.Command {
	var only, output string
	var every bool
	c := &cobra.Command{
		Use:   "test",
		Short: "Run the tests of the configuration, in memory, without Redis",
		Long: `Run the tests of the configuration, in memory, without Redis.

[[tests]] stand in the files of the configuration, and in NAME_test.toml beside each
NAME.toml. Each sends messages through the real router and says what must have become
of them. Handlers only accept what they get, or answer as the test says: no database,
program, network or secret is touched. The time is the test's own, and so are the
variables: nothing waits, and nothing of this machine's environment counts.

What became of each message is shown for tests that fail; with -v for all.

Exit codes: 0 all is as it must be, 1 a test failed or there is none, 78 wrong
configuration.`,
		Example: `  router test
  router test -c channels.toml -c bot.toml --run 'old enter'
  router test --every-route                   for CI: also fails when no test exercises a route`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := isJSON(output)
			if err != nil {
				return err
			}
			opts := scenario.Options{Paths: a.pathsOr(os.Getenv("SIGNALBOX_CONFIG")), Kinds: a.kinds}
			if a.redis != "" {
				return &daemon.UsageError{Err: errors.New("test needs no Redis; leave out --redis")}
			}
			if only != "" && every {
				return &daemon.UsageError{Err: errors.New("--run and --every-route exclude each other: only all tests say which routes none exercises")}
			}
			if only != "" {
				if opts.Only, err = regexp.Compile(only); err != nil {
					return &daemon.UsageError{Err: fmt.Errorf("--run: %w", err)}
				}
			}
			return a.test(c.Context(), opts, asJSON, every)
		},
	}
	c.Flags().StringVar(&only, "run", "", "only the tests whose names match this `REGEX`")
	c.Flags().BoolVar(&every, "every-route", false, "fail when a route is exercised by no test")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line for each test, and one for all)")
	completeFixed(c, "output", "text", "json")
	return c
}

// pathsOr are the files that flags name, else the one that the environment does.
func (a *app) pathsOr(named string) []string {
	if len(a.paths) == 0 && named != "" {
		return []string{named}
	}
	return a.paths
}

func (a *app) test(ctx context.Context, opts scenario.Options, asJSON, every bool) error {
	report, err := scenario.Run(ctx, opts)
	switch {
	case errors.Is(err, scenario.ErrNoTests):
		return errors.New(noTests)
	case err != nil:
		return err
	case asJSON:
		err = report.WriteJSON(a.out)
	default:
		err = report.WriteText(a.out, a.verbose)
	}
	var wrong []string
	if failed := report.Failed(); failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %s failed", failed, wording.Count(len(report.Tests), "test")))
	}
	if missing := len(report.Unexercised()); every && missing > 0 {
		wrong = append(wrong, fmt.Sprintf("no test exercises %d of %s", missing, wording.Count(len(report.Routes), "route")))
	}
	if err == nil && len(wrong) > 0 {
		return errors.New(strings.Join(wrong, ", and "))
	}
	return err
}
