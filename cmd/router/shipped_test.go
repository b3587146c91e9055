package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/config"
	"signalbox/router/routesfile"
)

// The broker that the shipped routes show in comments can take the place of the simulated one.
func TestShippedBrokerInComments(t *testing.T) {
	t.Parallel()
	kinds := builtin()
	text := string(config.Routes)
	simulated, comments := strings.Index(text, "\n[sources.broker]\n"), strings.Index(text, "\n# [sources.broker]\n")
	if simulated < 0 || comments < simulated {
		t.Fatalf("sources.broker is at %d, in comments at %d", simulated, comments)
	}
	broker := regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(text[comments:], "")
	file := filepath.Join(t.TempDir(), "routes.toml")
	write(t, file, text[:simulated]+broker)
	loaded, err := routesfile.Load(routesfile.Source{Paths: []string{file}, Check: true}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range loaded.Notes {
		if !strings.Contains(note.String(), "/run/secrets/") {
			t.Error(note)
		}
	}
	if sources := loaded.Config.Sources; len(sources) != 1 || sources[0].Kind != "websocket" || !sources[0].Lease {
		t.Errorf("the sources are %+v", sources)
	}
}
