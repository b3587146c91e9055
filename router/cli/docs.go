package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/internal/nearest"
	"signalbox/router/routesfile"
)

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "docs [KIND]",
		Short:             "Explain the handlers there are, or one of them and its options",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(a.kinds.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listKinds()
			}
			kind, ok := a.kinds.Kind(args[0])
			if !ok {
				return a.unknownKind(args[0])
			}
			return a.explainKind(kind)
		},
	}
}

func (a *app) unknownKind(name string) error {
	if near, ok := nearest.Name(name, a.kinds.Names()); ok {
		return &daemon.UsageError{Err: fmt.Errorf("there is no kind %q; did you mean %q?", name, near)}
	}
	return &daemon.UsageError{Err: fmt.Errorf("there is no kind %q; kinds: %s", name, strings.Join(a.kinds.Names(), ", "))}
}

func (a *app) listKinds() error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, name := range a.kinds.Names() {
		kind, _ := a.kinds.Kind(name)
		fmt.Fprintf(w, "%s\t%s\n", name, kind.Doc)
	}
	return w.Flush()
}

func (a *app) explainKind(kind router.KindInfo) error {
	fmt.Fprintf(a.out, "%s: %s\n\n[handlers.my_%s]\nkind = %q\n", kind.Name, kind.Doc, kind.Name, kind.Name)
	options := routesfile.OptionsOf(kind)
	if len(options) == 0 {
		_, err := fmt.Fprintln(a.out, "\nno options")
		return err
	}
	fmt.Fprintln(a.out)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "option\ttype\tdefault\tmeaning")
	for _, o := range options {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Name, o.Type, o.Default, o.Doc)
	}
	return w.Flush()
}
