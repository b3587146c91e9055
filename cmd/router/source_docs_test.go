package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The first example of sources.md publishes what sources.md and messages.md show, after the time that the page says.
func TestDocumentedSource(t *testing.T) {
	t.Parallel()
	began := time.Now()
	d := runDocumented(t, documentedBlock(t, "sources.md", "## A first one", "[channels.price_data]"))
	sub := d.redis.Subscribe(t.Context(), "price_data")
	t.Cleanup(func() { _ = sub.Close() })
	messages := sub.Channel()

	type shape struct{ page, is string }
	var shown []shape
	example := regexp.MustCompile(`(?m)^\{"id":"[^"]*","type":"tick","source":"/signalbox/sources/.*$`)
	for _, page := range []string{"sources.md", "messages.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		found := example.FindAllString(string(text), -1)
		if len(found) != 1 {
			t.Fatalf("docs/%s shows %d messages of a source", page, len(found))
		}
		shown = append(shown, shape{page, shapeOf(found[0])})
	}
	var types []string
	for len(types) < 2 {
		select {
		case message := <-messages:
			typ := regexp.MustCompile(`"type":"([^"]*)"`).FindStringSubmatch(message.Payload)[1]
			if types = append(types, typ); typ != "tick" {
				continue
			}
			for _, s := range shown {
				if got := shapeOf(message.Payload); got != s.is {
					t.Errorf("docs/%s shows\n%s\nand it is\n%s", s.page, s.is, got)
				}
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing is published")
		}
	}
	if got := strings.Join(types, " "); got != "signalbox.connected tick" {
		t.Errorf("published %s", got)
	}
	if took := time.Since(began); took < 6*time.Second {
		t.Errorf("the very first holder has waited for %s, less than lease_for", took)
	}
	eventually(t, "the route is told", func() bool {
		return strings.Contains(strings.Join(d.words(), "\n"), `log signalbox.connected {"source":"prices","service":"router","epoch":`)
	})
}

// shapeOf is a message without what differs from one to the next.
func shapeOf(message string) string {
	message = regexp.MustCompile(`"(id|time|symbol)":"[^"]*"`).ReplaceAllString(message, `"$1":"…"`)
	message = regexp.MustCompile(`"(price|epoch|seq)":[0-9.]+`).ReplaceAllString(message, `"$1":…`)
	return regexp.MustCompile(`/sources/[^"]*`).ReplaceAllString(message, "/sources/…")
}
