package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
)

const completed = `[channels.commands]
transport = "stream"
types = ["start", "enter"]
description = "What the bots are told"
[channels.prices]
transport = "pubsub"
[[routes]]
channel = "commands"
type = "*"
handler = "log"
[[routes]]
name = "quotes"
channel = "prices"
type = ["tick", "order.*", "!order.test"]
when = "event.data.x == '${UNSET}'"
handler = "drop"
`

// complete is what the shell is offered after these words; the last one is being typed.
func complete(t *testing.T, config string, words ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	var out, errs strings.Builder
	a := &app{kinds: kinds, name: "router", program: "router", out: &out, err: &errs}
	if code := run(context.Background(), a, append([]string{"__complete", "-c", file}, words...)); code != 0 {
		t.Fatalf("%q: exit code %d: %s", words, code, errs.String())
	}
	return strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", " ")
}

// No files are offered where :4 stands, and :0 leaves all to the shell.
func TestComplete(t *testing.T) {
	t.Parallel()
	const channels = "commands\tWhat the bots are told prices :4"
	for words, want := range map[string]string{
		"publish ":                      channels,
		"publish commands ":             "enter start :4",
		"publish commands e":            "enter start :4", // the shell filters
		"publish prices ":               "order.test tick :4",
		"publish commands start ":       ":4",
		"publish --raw commands ":       ":4",
		"publish --id ":                 ":4",
		"explain ":                      channels,
		"explain commands ":             "enter start :4",
		"explain --last commands ":      ":4",
		"explain commands enter ":       ":4",
		"explain -o ":                   "text json :4",
		"graph ":                        ":4",
		"graph -o ":                     "tree table mermaid dot json :4",
		"tail ":                         channels,
		"tail commands ":                "prices :4",
		"tail --type ":                  "enter order.test start tick :4",
		"tail commands --type ":         "enter start :4",
		"tail -o ":                      "text json :4",
		"tail --where ":                 ":4",
		"tail --since ":                 ":4",
		"tail --stats ":                 channels,
		"latest ":                       channels,
		"latest prices ":                ":4",
		"dead ls ":                      channels,
		"dead ls --route ":              "log quotes :4",
		"dead ls prices --route ":       "quotes :4",
		"dead replay commands --route ": "log :4",
		"dead purge commands --type ":   "enter start :4",
		"dead ls --reason ":             "failed permanent timeout panic malformed unmatched crash_loop :4",
		"dead ls --service ":            ":4",
		"dead ls -o ":                   "text json :4",
		"dead show commands ":           ":4",
		"docs service.d":                "service.drain\thow long what is in hand may take to finish at the end :4",
		"docs dro":                      "drop\tIgnores events that are known, so that they don't count as unmatched. :4",
		"config -o ":                    "text json :4",
		"status ":                       ":4",
		"status -o ":                    "text json :4",
		"check -o ":                     "text json github :4",
		"generate constants --lang ":    "go python typescript :4",
		"generate schema --out ":        ":0",
		"run ":                          ":4",
		"run --redis ":                  ":4",
		"check ":                        ":4",
		"demo ":                         ":4",
		"version ":                      ":4",
		"init ":                         ":16",
		"check -c ":                     ":0",
		"explain nowhere ":              ":4",
		"tail nowhere --type ":          ":4",
	} {
		if got := complete(t, completed, strings.Split(words, " ")...); got != want {
			t.Errorf("%s\n got %s\nwant %s", words, got, want)
		}
	}
	for _, words := range []string{"publish ", "tail --type ", "dead ls --route "} {
		if got := complete(t, "[channels.", strings.Split(words, " ")...); got != ":4" {
			t.Errorf("%s with a broken file: %s", words, got)
		}
	}
}

// The scripts that shells load call the program by its name.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, has := range map[string]string{
		"bash": "complete -o default -F __start_router router", "zsh": "#compdef router",
		"fish": "complete -c router", "powershell": "Register-ArgumentCompleter -CommandName 'router'",
	} {
		var out, errs strings.Builder
		a := &app{kinds: router.NewRegistry(), name: "router", program: "router", out: &out, err: &errs}
		if code := run(context.Background(), a, []string{"completion", shell}); code != 0 || !strings.Contains(out.String(), has) {
			t.Errorf("completion %s: exit code %d, no %q; %s", shell, code, has, errs.String())
		}
	}
}
