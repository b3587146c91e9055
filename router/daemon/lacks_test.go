package daemon

import (
	"strings"
	"testing"

	"signalbox/router/routesfile"
)

func TestLacks(t *testing.T) {
	t.Parallel()
	const routes = `
[service]
name = "${SERVICE}"
[redis]
url = "${REDIS}"
password = "${PW}"
[channels.a]
transport = "stream"
name = "${NAME_A}"
types = ["x", "${TYPE_A}"]
[channels.b]
transport = "stream"
name = "${NAME_B}"
[[routes]]
channel = "a"
type = "${TYPE}"
handler = "drop"
`
	source := explainOptions(t, routes, nil, nil).Source
	source.Check = true
	loaded, err := routesfile.Load(source, explainKinds())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		channels []string
		more     []string
		set      map[string]string
		want     []string
	}{
		{"a channel", []string{"a"}, nil, nil, []string{"REDIS", "PW", "NAME_A", "TYPE_A"}},
		{"another", []string{"b"}, nil, nil, []string{"REDIS", "PW", "NAME_B"}},
		{"none", nil, []string{"service.name"}, nil, []string{"SERVICE", "REDIS", "PW"}},
		{"with --redis", nil, nil, map[string]string{"redis.url": "redis://h"}, []string{"PW"}},
	} {
		source.Set = c.set
		err := lacks(source, loaded.Notes, c.channels, c.more...)
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d errors, want %d:\n%v", c.name, len(lines), len(c.want), err)
			continue
		}
		for i, line := range lines {
			if !strings.HasSuffix(line, "variable "+c.want[i]+" is not set; set it, or write ${"+c.want[i]+":-default}") || strings.Contains(line, "skipped") {
				t.Errorf("%s: %s, want %s", c.name, line, c.want[i])
			}
		}
	}
	if err := lacksChannels(loaded.Notes, nil); err != nil {
		t.Error(err)
	}
}
