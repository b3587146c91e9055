package cli

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"signalbox/router"
	"signalbox/router/daemon"
	"signalbox/router/internal/nearest"
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
	options := reflect.ValueOf(kind.Options()).Elem()
	if options.Kind() != reflect.Struct || options.NumField() == 0 {
		_, err := fmt.Fprintln(a.out, "\nno options")
		return err
	}
	fmt.Fprintln(a.out)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "option\ttype\tdefault\tmeaning")
	for i := range options.NumField() {
		field := options.Type().Field(i)
		name := field.Tag.Get("toml")
		if name == "" || name == "-" {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, typeName(field.Type), defaultText(field, options.Field(i)), field.Tag.Get("doc"))
	}
	return w.Flush()
}

// typeName is an option's type as the user of a TOML file knows it.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "table"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	default:
		return "number"
	}
}

func defaultText(field reflect.StructField, v reflect.Value) string {
	switch {
	case field.Tag.Get("required") == "true":
		return "required"
	case v.IsZero() && (v.Kind() == reflect.String || typeName(v.Type()) == "table" || v.Kind() == reflect.Slice):
		return "-"
	case v.Kind() == reflect.Slice:
		words := make([]string, v.Len())
		for i := range words {
			words[i] = fmt.Sprint(v.Index(i))
		}
		return strings.Join(words, ", ")
	default:
		return fmt.Sprint(v.Interface())
	}
}
