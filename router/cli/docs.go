package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/internal/nearest"
	"signalbox/router/routesfile"
)

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs [KIND|TABLE|KEY]",
		Short: "Explain the configuration: a kind of handler or source, a table or a key",
		Long: `Explain the configuration: a kind of handler or source, a table or a key.

KEY is written with dots, or only its end: routes.retry.attempts, retry.attempts or
attempts, which explains all that end so. An option stands behind its kind: sql.table.
Without an argument, it lists the tables and the kinds.`,
		Example: `  router docs sql
  router docs channels
  router docs max_age`,
		Args:              between(0, 1),
		ValidArgsFunction: a.completeDocs,
		RunE: func(_ *cobra.Command, args []string) error {
			keys := routesfile.Keys(a.kinds)
			if len(args) == 0 {
				return a.listDocs(keys)
			}
			return a.explain(keys, args[0])
		},
	}
}

// completeDocs offers tables and kinds, and keys as soon as there is a letter of them.
func (a *app) completeDocs(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	keys := routesfile.Keys(a.kinds)
	var names []cobra.Completion
	taken := map[string]bool{}
	for _, kind := range kindsIn(keys) {
		if !taken[kind.Name] {
			names = append(names, cobra.CompletionWithDesc(kind.Name, kind.Doc))
		}
		taken[kind.Name] = true
	}
	for _, key := range keys {
		if !taken[key.Path] {
			names = append(names, cobra.CompletionWithDesc(key.Path, key.Doc))
		}
	}
	if begun != "" {
		for _, key := range routesfile.All(keys) {
			if strings.Contains(key.Path, ".") {
				names = append(names, cobra.CompletionWithDesc(key.Path, key.Doc))
			}
		}
	}
	names = slices.DeleteFunc(names, func(name cobra.Completion) bool { return !strings.HasPrefix(name, begun) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) listDocs(keys []routesfile.Key) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Tables of a configuration:")
	for _, key := range keys {
		fmt.Fprintf(w, "%s\t%s\n", key.Path, key.Doc)
	}
	for _, table := range keys {
		for i, kind := range kindsIn([]routesfile.Key{table}) {
			if i == 0 {
				fmt.Fprintf(w, "\nKinds of %s:\n", table.Path)
			}
			fmt.Fprintf(w, "%s\t%s\n", kind.Name, kind.Doc)
		}
	}
	fmt.Fprintf(w, "\n\"%s docs NAME\" explains one, or a key such as max_age.\n", a.name)
	return w.Flush()
}

// kindsIn are the kinds whose options tables have.
func kindsIn(tables []routesfile.Key) []routesfile.Key {
	var kinds []routesfile.Key
	for _, table := range tables {
		for _, key := range table.Keys {
			if isKind(key) {
				kinds = append(kinds, key)
			}
		}
	}
	return kinds
}

// isKind reports whether a key stands for a kind, and is no option of one.
func isKind(key routesfile.Key) bool {
	_, name, _ := strings.Cut(key.Path, ".")
	return key.Kind != "" && name == key.Kind
}

// explain explains all that is called name. Keys of different tables about which the same
// can be said are explained once.
func (a *app) explain(keys []routesfile.Key, name string) error {
	var parts []func() error
	found := routesfile.Find(keys, name)
	for _, key := range found {
		if isKind(key) {
			parts = append(parts, func() error { return a.explainKind(key) })
		}
	}
	var alike [][]routesfile.Key
	for _, key := range found {
		switch i := slices.IndexFunc(alike, func(group []routesfile.Key) bool { return same(group[0], key) }); {
		case !strings.Contains(key.Path, "."):
			parts = append(parts, func() error { return a.explainTable(key) })
		case isKind(key): // above
		case i >= 0:
			alike[i] = append(alike[i], key)
		default:
			alike = append(alike, []routesfile.Key{key})
		}
	}
	for _, group := range alike {
		parts = append(parts, func() error { return a.explainKey(group) })
	}
	if len(parts) == 0 {
		return a.unknownName(keys, name)
	}
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether the same can be said about two keys.
func same(a, b routesfile.Key) bool {
	return a.Name == b.Name && a.Kind == b.Kind && a.Doc == b.Doc && a.Allowed() == b.Allowed() && a.Default == b.Default
}

func (a *app) unknownName(keys []routesfile.Key, name string) error {
	var names, tables []string
	for _, key := range routesfile.All(keys) {
		names = append(names, key.Path, key.Name)
	}
	for _, key := range keys {
		tables = append(tables, key.Path)
	}
	if near, ok := nearest.Name(name, names); ok {
		return &daemon.UsageError{Err: fmt.Errorf("there is no kind, table or key %q; did you mean %q?", name, near)}
	}
	var kinds []string
	for _, kind := range kindsIn(keys) {
		kinds = append(kinds, kind.Name)
	}
	return &daemon.UsageError{Err: fmt.Errorf("there is no kind, table or key %q; tables: %s; kinds: %s",
		name, strings.Join(tables, ", "), strings.Join(slices.Compact(slices.Sorted(slices.Values(kinds))), ", "))}
}

func (a *app) explainKind(kind routesfile.Key) error {
	fmt.Fprintf(a.out, "%s: %s\n\n%s\nkind = %q\n", kind.Name, kind.Doc, strings.Replace(kind.Table, "NAME", "my_"+kind.Name, 1), kind.Name)
	if len(kind.Keys) == 0 {
		_, err := fmt.Fprintln(a.out, "\nno options")
		return err
	}
	return a.listKeys("option", kind.Keys)
}

func (a *app) explainTable(table routesfile.Key) error {
	fmt.Fprintf(a.out, "%s: %s\n", table.Table, table.Doc)
	keys := slices.DeleteFunc(slices.Clone(table.Keys), func(key routesfile.Key) bool { return key.Kind != "" })
	if err := a.listKeys("key", keys); err != nil || len(keys) == len(table.Keys) {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nAll other keys are options of its kind: \"%s docs KIND\" lists them.\n", a.name)
	return err
}

// listKeys writes a line for each key, and for those in it.
func (a *app) listKeys(what string, keys []routesfile.Key) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\tvalue\tdefault\tmeaning\n", what)
	for _, key := range routesfile.All(keys) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", key.Name, key.Allowed(), preset(key), key.Doc)
	}
	return w.Flush()
}

// preset says what holds without the key.
func preset(key routesfile.Key) string {
	if key.Required {
		return "required"
	}
	return cmp.Or(key.Default, "-")
}

// explainKey explains keys of different tables about which the same can be said.
func (a *app) explainKey(alike []routesfile.Key) error {
	key := alike[0]
	var paths, tables []string
	for _, one := range alike {
		paths, tables = append(paths, one.Path), append(tables, one.Table)
	}
	where := strings.Join(tables, ", ")
	if key.Kind != "" {
		where += fmt.Sprintf(" with kind = %q", key.Kind)
	}
	fmt.Fprintf(a.out, "%s\n", strings.Join(paths, ", "))
	if key.Doc != "" {
		fmt.Fprintf(a.out, "%s\n", key.Doc)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\ntable\t%s\nvalue\t%s\ndefault\t%s\n", where, key.Allowed(), preset(key))
	for _, not := range key.Not {
		fmt.Fprintf(w, "not for\t%s\n", not)
	}
	if line := key.Example(); line != "" {
		fmt.Fprintf(w, "example\t%s\n", line)
	}
	if err := w.Flush(); err != nil || len(key.Keys) == 0 {
		return err
	}
	return a.listKeys("key", key.Keys)
}
