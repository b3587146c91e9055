package ops

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestMetricsPage compares docs/metrics.md with what there is, or writes its table with
// -update.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	const (
		page  = "../../docs/metrics.md"
		begin = "<!-- written by go test ./router/ops -update -->\n"
		end   = "<!-- end -->\n"
	)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	golden(t, page, before+begin+table(newCollector(filled()).all)+end+after)

	// The others are not ours: those that are named must be there.
	families := scrape(t, handler(t, filled()), plain)
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:go|process|promhttp)_\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(after, -1) {
		name, kind := row[1], row[2]
		if strings.HasPrefix(name, "process_") && runtime.GOOS != "linux" {
			continue
		}
		if family := families[name]; !strings.EqualFold(family.GetType().String(), kind) || family == nil {
			t.Errorf("%s lists the %s %s, there is %v", page, kind, name, family)
		}
	}
}

// table is the page's.
func table(all meters) string {
	var out strings.Builder
	out.WriteString("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range all {
		var labels []string
		for _, label := range m.labels {
			labels = append(labels, "`"+label+"`")
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(labels, " "), m.help)
	}
	out.WriteString("\n")
	return out.String()
}
