package scenario

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"signalbox/router/internal/wording"
)

// WriteText writes the report for a person: each failure at its place, with what comes
// nearest to it, and what happened in that test; a line for each file; the routes that no
// test exercises; and "ok", when it is. Verbose tells of the tests that passed, too.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	out := &strings.Builder{}
	for i := range r.Tests {
		r.Tests[i].write(out, verbose)
	}
	r.writeFiles(out)
	if missing := r.Unexercised(); len(missing) > 0 {
		fmt.Fprintf(out, "no test exercises %d of %s:\n", len(missing), wording.Count(len(r.Routes), "route"))
		for _, route := range missing {
			fmt.Fprintf(out, "  %s: channel %q, route %q\n", route.At, route.Channel, route.Name)
		}
	}
	if r.Failed() == 0 {
		fmt.Fprintf(out, "ok: %s, ", wording.Count(len(r.Tests), "test"))
		if len(r.Routes) > 0 && len(r.Unexercised()) == 0 {
			fmt.Fprintf(out, "every route (%d) exercised, ", len(r.Routes))
		}
		fmt.Fprintf(out, "%.2f s\n", r.Took.Seconds())
	}
	_, err := io.WriteString(w, strings.Map(shown, out.String()))
	return err
}

// shown replaces what a terminal would obey: messages may have anything in them.
func shown(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// writeFiles says, in the order of the files, how many tests each has.
func (r *Report) writeFiles(out *strings.Builder) {
	for i := 0; i < len(r.Tests); {
		file, n, failed := r.Tests[i].At.File, 0, 0
		for ; i < len(r.Tests) && r.Tests[i].At.File == file; i++ {
			n++
			if !r.Tests[i].OK() {
				failed++
			}
		}
		fmt.Fprintf(out, "%s: %s", file, wording.Count(n, "test"))
		if failed > 0 {
			fmt.Fprintf(out, ", %d failed", failed)
		}
		out.WriteByte('\n')
	}
}

func (r *Result) write(out *strings.Builder, verbose bool) {
	if r.OK() && !verbose {
		return
	}
	if r.OK() {
		fmt.Fprintf(out, "%s: %q: ok\n", r.At, r.Name)
	}
	for _, err := range r.Errors {
		fmt.Fprintf(out, "%s: %q: cannot run: %s\n", r.At, r.Name, err)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(out, "%s: %q: %s\n  want %s\n", f.At, r.Name, f.Problem, f.Want)
		switch {
		case f.Near != "":
			fmt.Fprintf(out, "  near %s\n", f.Near)
		case len(f.Differs) == 0:
			fmt.Fprint(out, "  near nothing: nothing happened at all\n")
		}
		for _, line := range f.Differs {
			fmt.Fprintf(out, "       %s\n", line)
		}
	}
	if len(r.Sent)+len(r.Then) > 0 {
		fmt.Fprint(out, "  what happened:\n")
	}
	for i, s := range r.Sent {
		s.write(out, fmt.Sprintf("%d", i+1))
	}
	for _, s := range r.Then {
		s.write(out, "+")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "  note: %s\n", note)
	}
}

func (s *Sent) write(out *strings.Builder, mark string) {
	fmt.Fprintf(out, "  %3s %s", mark, s.Channel)
	for _, word := range []string{s.Type, s.ID, s.Text} {
		if word != "" {
			fmt.Fprintf(out, " %s", word)
		}
	}
	out.WriteByte('\n')
	for _, line := range s.Became {
		fmt.Fprintf(out, "        %s\n", line)
	}
}
