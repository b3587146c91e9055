package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

func (a *app) configCommand() *cobra.Command {
	var what daemon.ConfigOptions
	var output string
	c := &cobra.Command{
		Use:   "config [KEY...]",
		Short: "Show the configuration that is in force, and where each value comes from",
		Long: `Show the configuration that is in force, and where each value comes from: a file, a
variable, a flag, or nowhere, which is the default. It needs no Redis.

Shown is what is written, and of each route what it really does: lists of channels and
handlers are taken apart, and what it inherits is filled in. --all shows the defaults of
everything else, too. KEY is a table or a key such as redis, channels.price_data or
routes.price_data.log, with its defaults.

No secret is shown, so that the output may be passed on: passwords in addresses, values
from ${file:…} and from variables such as API_KEY, options that are secrets or are called
like one. What may be a secret is hidden, too.`,
		ValidArgsFunction: a.completeKeys,
		Example: `  router config
  router config redis channels.price_data
  router config --all -o json | jq 'select(.default | not)'`,
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if what.JSON, err = isJSON(output); err != nil {
				return err
			}
			what.Keys = args
			return daemon.ShowConfig(a.options(), what)
		},
	}
	c.Flags().BoolVar(&what.All, "all", false, "the defaults, too")
	c.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json (a line each)")
	completeFixed(c, "output", "text", "json")
	return c
}

// completeKeys completes tables and keys. A configuration with mistakes completes nothing.
func (a *app) completeKeys(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	source := a.options().Source
	source.Check = true
	effective, err := routesfile.LoadEffective(source, a.kinds)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, table := range effective.Tables {
		names = append(names, table.Path[0], strings.Join(table.Path, "."))
		for _, v := range table.Values {
			names = append(names, table.Name(v))
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
