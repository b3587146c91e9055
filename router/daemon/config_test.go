package daemon

import (
	"strings"
	"testing"

	"signalbox/router/routesfile"
)

// On a terminal defaults stand back. Nothing that a file holds may command the terminal.
func TestConfigPage(t *testing.T) {
	var out strings.Builder
	page := configPage{out: &out, dim: true}
	page.table(routesfile.EffectiveTable{Path: []string{"redis"}, Where: "a\x1b.toml:1:2"}, []routesfile.EffectiveValue{
		{Key: "url", Text: `"x"`, Where: "a.toml:2:3"},
		{Key: "db", Text: "0", Where: "default", Default: true},
		{Key: "long", Text: `"` + strings.Repeat("y", 80) + `"`, Where: "a.toml:3:3"},
	})
	page.table(routesfile.EffectiveTable{Path: []string{"log"}}, []routesfile.EffectiveValue{
		{Key: "workers", Text: "4", Where: "default", From: `kind "sql"`, Default: true},
	})
	page.places("off", []string{"a.toml:9:3"})
	want := `[redis]     # a\x1b.toml:1:2
url  = "x"  # a.toml:2:3
` + faint + `db   = 0    # default` + normal + `
long = "` + strings.Repeat("y", 80) + `"  # a.toml:3:3

[log]
` + faint + `workers = 4  # kind "sql"` + normal + `

# off: the route a.toml:9:3
`
	if out.String() != want || page.err != nil {
		t.Errorf("got\n%s\nwant\n%s, %v", out.String(), want, page.err)
	}
}
