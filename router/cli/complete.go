package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"signalbox/router/routesfile"
)

// completeChannels completes the names of the declared channels, for the first most
// arguments; -1: for all. A configuration with mistakes completes nothing.
func (a *app) completeChannels(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		source := a.options().Source
		source.Check = true
		loaded, err := routesfile.Load(source, a.kinds)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, ch := range loaded.Config.Channels {
			if !slices.Contains(args, ch.Name) {
				names = append(names, cobra.CompletionWithDesc(ch.Name, ch.Description))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
