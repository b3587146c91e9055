package routesfile

import (
	"strings"
	"testing"
)

func TestEffectiveSources(t *testing.T) {
	t.Parallel()
	lines, _ := effective(t, `
[channels.a]
transport = "pubsub"
key_field = "data.S"
[sources.one]
kind    = "feed"
channel = "a"
url     = ["wss://${HOST}/v2/iex", "wss://b.example/?token=hunter2", "wss://c.example/ws/quiet-Hunter"]
auth    = { token = "${TOKEN}", message = { action = "auth", pin = 12345 } }
ping    = { op = "ping", api_key = "hunter2" }
lease   = "${LEASE:-false}"
seq     = { path = "n", per = "key" }
connect_budget = { connects = 5 }
stale_after = { any = "30s" }
conflict = "evicts"
[sources.clock]
channel = "a"
raw     = true
seq     = "n"
stale_after = "5s"
hours   = "Mon-Fri 09:30-16:00 America/New_York"
enabled = false
takeover_delay = "3s"
connect_budget = { per = "1m" }
[sources.unknown]
kind    = "${KIND}"
channel = "a"
token   = "hunter2"
url     = "wss://a.example"
`, Source{Check: true, Environ: []string{"TOKEN=hunter2", "SIGNALBOX_SOURCES__ONE__TIMEOUT=7s", "HOST=a.example"}})
	var sources []string
	within := false
	for _, line := range lines {
		if strings.HasPrefix(line, "[") {
			within = strings.HasPrefix(line, "[sources.")
		}
		if within {
			sources = append(sources, line)
		}
	}
	compare(t, "testdata/effective_sources.txt", strings.Join(sources, "\n")+"\n")
}

// Below an option that its kind calls a secret, nothing is shown, and nothing of it is in
// the errors of a load.
func TestNoSecretOfASourceIsTold(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{
		`{ token = "hunter2" }`,
		`{ message = { action = "hunter2", list = ["hunter2", { a = "hunter2" }] } }`,
		`{ message = { action = "${SECRET}" } }`,
		`{ token = "${file:secret}" }`,
		`{ token = "x ${SECRET}" }`,
		`{ token = "x ${file:secret}" }`,
		`"${SECRET}"`,
		`["${file:secret}"]`,
		`{ tokens = "${SECRET}", message = "${SECRET}" }`,
	} {
		text := "[channels.a]\ntransport = \"pubsub\"\n[sources.one]\nkind = \"feed\"\nchannel = \"a\"\nurl = [\"wss://a.example\"]\nauth = " + auth + "\n"
		dir := writeFiles(t, map[string]string{"routes.toml": text, "secret": "hunter2-of-file\n"})
		all, err := LoadEffective(Source{Paths: []string{dir}, Environ: []string{"SECRET=hunter2"}}, testKinds())
		said := ""
		if err != nil {
			said = err.(Errors).Show() //nolint:errorlint,forcetypeassert // of Load
		}
		for _, table := range all.Tables {
			for _, v := range table.Values {
				said += v.Key + " = " + v.Text + v.Reference + "\n"
			}
		}
		if strings.Contains(said, "hunter2") || said == "" {
			t.Errorf("with auth = %s it says %s", auth, said)
		}
	}
}
