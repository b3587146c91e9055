package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signalbox/internal/promtest"
)

const (
	rulesFile     = "prometheus/signalbox.rules.yml"
	testsFile     = "prometheus/signalbox.test.yml"
	dashboardFile = "grafana/signalbox.json"
	metricsPage   = "../docs/metrics.md" // router/ops compares it with what a router tells
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRules(t *testing.T) {
	t.Parallel()
	if out, err := promtest.Tool(t, nil, "check", "rules", rulesFile); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	if out, err := promtest.Tool(t, nil, "test", "rules", testsFile); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

func TestScrapeConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"prometheus.yml", "signalbox.rules.yml"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(read(t, "prometheus/"+file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "signalbox.token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtest.Tool(t, nil, "check", "config", filepath.Join(dir, "prometheus.yml")); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}

// alert is one of the rules' file.
type alert struct{ name, severity, summary, description string }

func alerts(t *testing.T) []alert {
	t.Helper()
	var found []alert
	for _, rule := range strings.Split(read(t, rulesFile), "- alert: ")[1:] {
		name, _, _ := strings.Cut(rule, "\n")
		found = append(found, alert{name, keyOf(rule, "severity"), keyOf(rule, "summary"), keyOf(rule, "description")})
	}
	if len(found) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return found
}

// keyOf is what stands behind a key, on its line.
func keyOf(rule, key string) string {
	_, value, _ := strings.Cut(rule, key+": ")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// TestAlerts holds that each alert says what to do, is tried, and stands on the page, in
// this order.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var listed []string
	tests, page := read(t, testsFile), read(t, metricsPage)
	for _, match := range regexp.MustCompile("(?m)^\\| `(Signalbox\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(page, -1) {
		listed = append(listed, match[1]+" "+match[2])
	}
	var want []string
	for _, a := range alerts(t) {
		want = append(want, a.name+" "+a.severity)
		if !slices.Contains([]string{"critical", "warning", "info"}, a.severity) || a.summary == "" || a.description == "" {
			t.Errorf("%s lacks a severity, a summary or a description: %+v", a.name, a)
		}
		if !strings.Contains(tests, `{alertname="`+a.name+`"}`) {
			t.Errorf("%s is not tried in %s", a.name, testsFile)
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("%s lists the alerts\n  %s\nand there are\n  %s", metricsPage, strings.Join(listed, "\n  "), strings.Join(want, "\n  "))
	}
}

// panel is what a dashboard's panel must have.
type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr string }
}

type dashboard struct {
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
}

func load(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	d := load(t)
	if d.SchemaVersion < 39 {
		t.Errorf("schema version %d is older than Grafana 10.4", d.SchemaVersion)
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if want := []string{"datasource", "instance", "channel"}; !slices.Equal(variables, want) {
		t.Errorf("variables %q, want %q", variables, want)
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%q has the id %d of another panel", p.Title, p.ID)
		}
		ids[p.ID] = true
		if at := p.GridPos; at.X+at.W > 24 {
			t.Errorf("%q is wider than the page", p.Title)
		}
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies over %q", p.Title, other.Title)
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Title == "" || p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q, lacks a title, a description, the data source of the variable or a query", p.ID, p.Title)
		}
	}
	if want := []string{"Traffic", "Failures", "Latency", "Queues and streams", "Sources", "Process"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

// expressions are those of the dashboard, with values for its variables.
func expressions(t *testing.T) []string {
	t.Helper()
	values := strings.NewReplacer("$instance", ".*", "$channel", ".*", "$__rate_interval", "1m")
	var found []string
	for _, p := range load(t).Panels {
		for _, target := range p.Targets {
			found = append(found, values.Replace(target.Expr))
		}
	}
	return found
}

// TestDashboardQueries lets promtool read them, as those of rules.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	for i, expression := range expressions(t) {
		quoted, err := json.Marshal(expression) // JSON is YAML
		if err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("      - record: panel:%d\n        expr: %s\n", i, quoted)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtest.Tool(t, nil, "check", "rules", file); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

// TestNamesAreThere compares the metrics that alerts and dashboard ask for with those that
// the page lists.
func TestNamesAreThere(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (counter|gauge|histogram) \\|").FindAllStringSubmatch(read(t, metricsPage), -1) {
		there[match[1]] = true
		if match[2] == "histogram" {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				there[match[1]+part] = true
			}
		}
	}
	if len(there) == 0 {
		t.Fatalf("%s lists no metrics", metricsPage)
	}
	asked := map[string]string{rulesFile: read(t, rulesFile), testsFile: read(t, testsFile), dashboardFile: strings.Join(expressions(t), "\n")}
	for _, v := range load(t).Templating.List {
		asked[dashboardFile] += "\n" + v.Definition
	}
	for file, text := range asked {
		names := regexp.MustCompile(`\b(signalbox|process|go)_[a-z0-9_]+`).FindAllString(text, -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s asks for %s, which no router tells", file, name)
			}
		}
	}
}
