package routesfile

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signalbox/router"
)

const looked = `[channels.commands]
transport = "stream"
[channels.status]
transport = "pubsub"
[handlers.answer]
kind    = "publish"
channel = "status"
[handlers.rest]
kind = "log"
[[routes]]
channel = ["commands", "status"]
type    = "start"
handler = "log"

[[routes]]
name    = "two"
channel = "commands"
type    = "stop"
handler = ["log", "answer"]
when    = "${CONDITION}"
[[routes]]
name    = "two"
channel = "commands"
type    = "*"
handler = ["log", "rest"]
enabled = false
isolated = true
[[routes]]
channel = "commands"
type    = "*"
handler = "log"
enabled = false
`

// TestPlaces looks up where routes are written, and which there are that Config lacks.
func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"routes.toml": looked})
	file := filepath.Join(dir, "routes.toml")
	result, err := Load(Source{Paths: []string{file}, Check: true}, testKinds())
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[[2]string]string{
		{"commands", "log"}: ":10", {"status", "log"}: ":10", {"commands", "two.log"}: ":15", {"commands", "two.answer"}: ":15",
		{"status", "two.log"}: "", {"commands", "two.rest"}: "",
	} {
		want := ""
		if line != "" {
			want = file + line
		}
		if got := result.Written(name[0], name[1]).At; got != want {
			t.Errorf("%q is at %q, want %q", name, got, want)
		}
		if unsure := result.Written(name[0], name[1]).Unsure; unsure != (line == ":15") {
			t.Errorf("%q: unsure is %t", name, unsure)
		}
	}
	for route, want := range map[string]string{"two.log": "${CONDITION}", "log": ""} {
		if got := result.Written("commands", route).When; got != want {
			t.Errorf("the condition of %s is written %q, want %q", route, got, want)
		}
	}
	if len(result.Notes) != 1 || !slices.Equal(result.Notes[0].Skipped, []string{"routes", "2", "when"}) ||
		!strings.HasSuffix(result.Notes[0].Needed().Error(), ": route 2: when: variable CONDITION is not set; set it, or write ${CONDITION:-default}") {
		t.Errorf("notes are %+v", result.Notes)
	}
	var off []string
	for _, r := range result.Off {
		if !r.Isolated && r.Name != "log" {
			t.Errorf("%s is not isolated", r.Name)
		}
		off = append(off, r.Channel+"/"+r.Name+r.At[len(file):])
	}
	if want := []string{"commands/two.log:21", "commands/two.rest:21", "commands/log:28"}; !slices.Equal(off, want) {
		t.Errorf("off are %q, want %q", off, want)
	}
	if len(result.Idle) != 1 || result.Idle[0].Name != "rest" || result.Idle[0].Kind != "log" {
		t.Errorf("idle are %+v, want rest", result.Idle)
	}
	i := slices.IndexFunc(result.Config.Handlers, func(h router.HandlerSpec) bool { return h.Name == "answer" })
	if i < 0 || !slices.Equal(result.Config.Handlers[i].PublishesTo, []string{"status"}) {
		t.Errorf("answer publishes to %+v", result.Config.Handlers)
	}
	if r := (&Result{}); r.Written("a", "b") != (Written{}) {
		t.Error("an empty result knows routes")
	}
}
