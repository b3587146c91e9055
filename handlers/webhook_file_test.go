package handlers_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
)

const ordersChannel = "[channels.orders]\ntransport = \"stream\"\n"

// loadWebhook loads a file that has these texts and a route.
func loadWebhook(t *testing.T, text string) (*routesfile.Result, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "routes.toml")
	if !strings.Contains(text, "[[routes]]") {
		text += "\n[[routes]]\nchannel = \"orders\"\ntype = \"*\"\nhandler = \"hook\"\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mail"), []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return routesfile.Load(routesfile.Source{Paths: []string{path}, Environ: []string{
		"SLACK_URL=https://hooks.slack.com/services/T0/B0/x", "TELEGRAM_TOKEN=4711:AAHdqTcv", "MAIL=" + filepath.Join(dir, "mail"), "EMPTY=",
	}}, router.NewRegistry(handlers.Webhook()))
}

// What the reference shows can be loaded, and handlers be made of it.
func TestWebhookDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/handlers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## webhook\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples, want 2", len(blocks))
	}
	for _, block := range blocks {
		text := strings.ReplaceAll(block[1], "${file:/run/secrets/mail}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		if !strings.Contains(text, "[[routes]]") {
			text += "\n[[routes]]\nchannel = \"orders\"\ntype = \"*\"\nhandler = [\"telegram\", \"desk\"]\n"
		}
		result, err := loadWebhook(t, ordersChannel+text)
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		for _, spec := range result.Config.Handlers {
			handler, err := spec.New(router.Env{Service: "router"})
			if err != nil {
				t.Errorf("%s: %v", spec.Name, err)
				continue
			}
			if err := handler.(interface{ Close() error }).Close(); err != nil {
				t.Error(err)
			}
		}
		for _, route := range result.Config.Routes {
			if route.Policy.Workers != 4 {
				t.Errorf("route to %s has %d workers, want 4", route.Handler, route.Policy.Workers)
			}
		}
	}
}

func TestWebhookInAFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`url = "http://mailer:8000/send"`:                                                   "",
		"url = \"https://x\"\nsecret = \"${file:mail}\"\nold_secret = \"${EMPTY}\"":         "",
		"url = \"https://x\"\nheaders = { X-A = \"b\" }\nconnections = 2\ntimeout = \"1m\"": "",
		"url = \"https://x\"\nbody = { a = [1, { b = \"{data.c}\" }], day = 2026-11-21 }":   "",
		`urll = "https://x"`:                                    `unknown option "urll"; did you mean "url"?`,
		"url = \"https://x\"\nsecret = [\"a\", \"b\"]":          "secret: want a text, have a list",
		"url = \"https://x\"\nconnections = 0":                  "connections: 0 is too low; write 1 or more",
		"url = \"https://x\"\nconnections = 1001":               "connections: 1001 is too high; write 1000 or less",
		"url = \"https://x\"\ntimeout = \"1ms\"":                `timeout: "1ms" is too low; write 10ms or more`,
		"url = \"https://x\"\nheaders = { X-A = 1 }":            "want a text",
		"url = \"https://x\"\nbody = \"{data}\"":                "body: want a table",
		"url = \"https://x\"\nbody = { a = [{ b = \"{c}\" }] }": `body.a.0.b: "c": an event has no field "c"`,
		"url = \"https://x\"\nbody = {}":                        "body: the table is empty",
		"url = \"https://x\"\nca_file = \"none.pem\"":           "routes.toml:7:11: handler \"hook\": ca_file: open /",
		"body = { a = 1 }":                                      "url is missing",
	} {
		_, err := loadWebhook(t, ordersChannel+"\n[handlers.hook]\nkind = \"webhook\"\n"+text)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if errs, ok := errors.AsType[routesfile.Errors](err); !ok || len(errs) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}
