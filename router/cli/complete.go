package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// The shell completes what the configuration declares. A configuration with mistakes
// completes nothing: nobody wants its errors in the middle of a line.

// declared is the configuration as far as it can be read; nil when it has mistakes.
func (a *app) declared() *router.Config {
	source := a.options().Source
	source.Check = true
	loaded, err := routesfile.Load(source, a.kinds)
	if err != nil {
		return nil
	}
	return &loaded.Config
}

// completeChannels completes up to so many channels as arguments, or any number of
// them when most is negative.
func (a *app) completeChannels(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.channelNames(args), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeEvent completes a channel and then a type of it, where one is wanted.
func (a *app) completeEvent(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	raw, _ := c.Flags().GetBool("raw")
	last, _ := c.Flags().GetBool("last")
	if len(args) == 1 && !raw && !last {
		return a.completeTypes(c, args, typed)
	}
	return a.completeChannels(1)(c, args, typed)
}

// channelNames are the declared channels but for those that are there already.
func (a *app) channelNames(there []string) []cobra.Completion {
	config := a.declared()
	if config == nil {
		return nil
	}
	var names []cobra.Completion
	for _, ch := range config.Channels {
		if !slices.Contains(there, ch.Name) {
			names = append(names, cobra.CompletionWithDesc(ch.Name, ch.Description))
		}
	}
	return names
}

// completeTypes completes the types of the channels that are the arguments so far, or of
// all channels when there are none.
func (a *app) completeTypes(_ *cobra.Command, channels []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	config := a.declared()
	if config == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var types []cobra.Completion
	for _, ch := range config.Channels {
		if len(channels) == 0 || slices.Contains(channels, ch.Name) {
			types = append(types, typesOf(config, ch)...)
		}
	}
	return distinct(types), cobra.ShellCompDirectiveNoFileComp
}

// typesOf are the types of a channel or, where it doesn't declare any, those that its
// routes name.
func typesOf(config *router.Config, ch router.Channel) []string {
	if len(ch.Types) > 0 {
		return ch.Types
	}
	var types []string
	for _, r := range config.Routes {
		if r.Channel != ch.Name {
			continue
		}
		for _, pattern := range r.Types {
			if typ := strings.TrimPrefix(pattern, "!"); !strings.HasSuffix(typ, "*") {
				types = append(types, typ)
			}
		}
	}
	return types
}

// completeRoutes completes the routes of the channel that is the first argument, or all.
func (a *app) completeRoutes(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	config := a.declared()
	if config == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, r := range config.Routes {
		if len(args) == 0 || r.Channel == args[0] {
			names = append(names, r.Name)
		}
	}
	return distinct(names), cobra.ShellCompDirectiveNoFileComp
}

func distinct(names []cobra.Completion) []cobra.Completion {
	slices.Sort(names)
	return slices.Compact(names)
}

// completeFlag makes the shell complete the values of a flag, which c must have.
func completeFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag has another name, or two completions
	}
}

// completeFixed is completeFlag for a choice.
func completeFixed(c *cobra.Command, flag string, choices ...string) {
	completeFlag(c, flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// completeNoFiles keeps the shell from offering files as values of flags that are none:
// only those whose help says FILE.
func completeNoFiles(c *cobra.Command) {
	for _, inner := range c.Commands() {
		completeNoFiles(inner)
	}
	visit := func(f *pflag.Flag) {
		what, _ := pflag.UnquoteUsage(f)
		if _, done := c.GetFlagCompletionFunc(f.Name); !done && !strings.Contains(what, "FILE") {
			completeFlag(c, f.Name, cobra.NoFileCompletions)
		}
	}
	c.LocalFlags().VisitAll(visit)
}
