package cli

import (
	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/generate"
)

func (a *app) generatePythonCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "python",
		Short: "Write bot.py: functions for events in Python, with the channels as constants",
		Long: `Write bot.py: a Python module that hands events to functions, with the channels and
their types as constants. A bot needs an import, its functions, and bot.run().

The bot gets its events from the router, as the program of a handler of the kind exec, or
from Redis itself; it finds out by its stdin. The file is yours to commit, and has no
dependency but redis-py, which it needs to publish and to read from Redis.`,
		Example: `  router generate python --out bot.py
  router generate python -c channels.toml --out bots/momentum/bot.py`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			loaded, err := daemon.Declared(a.options())
			if err != nil {
				return err
			}
			return generate.Write(a.out, out, generate.PythonBot(loaded.Config, loaded.Files))
		},
	}
	addOut(c, &out)
	return c
}
