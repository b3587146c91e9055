package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/router"
	"signalbox/router/routesfile"
)

var (
	jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")
	// enterRow is a row of the table of data and reasons.
	enterRow = regexp.MustCompile("(?m)^\\| `(\\{.*?\\})` \\| (?:`(.*)` )?\\|$")
	// mistakeLine is what check says of a schema.
	mistakeLine = regexp.MustCompile("(?m)^```\n(routes.toml:.*)\n```$")
)

// schemaSection is the page's section on schemas.
func schemaSection(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Schemas\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("docs/messages.md has no section Schemas")
	}
	return section
}

// writeDocumentedSchema writes the schema of the page as schemas/enter.json, the name
// that its examples have for it.
func writeDocumentedSchema(t *testing.T, dir string) string {
	t.Helper()
	schema := jsonBlock.FindStringSubmatch(schemaSection(t))
	if schema == nil {
		t.Fatal("the section Schemas shows none")
	}
	path := filepath.Join(dir, "schemas", "enter.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(schema[1]), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// The section on schemas says what the router says.
func TestDocumentedSchema(t *testing.T) {
	t.Parallel()
	dir, section := t.TempDir(), schemaSection(t)
	schema := writeDocumentedSchema(t, dir)
	routes := filepath.Join(dir, "routes.toml")
	text := documentedBlock(t, "messages.md", "## Schemas", "[channels.trade_commands]") + "[[routes]]\nchannel = \"*\"\ntype = \"*\"\nhandler = \"drop\"\n[handlers.drop]\n"
	if err := os.WriteFile(routes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := router.NewRegistry(router.Kind[struct{}]{Name: "drop", New: func(router.Env, struct{}) (router.Handler, error) { return nil, nil }})
	src := routesfile.Source{Paths: []string{routes}}
	loaded, err := routesfile.Load(src, kinds)
	if err != nil {
		t.Fatal(err)
	}
	rows := enterRow.FindAllStringSubmatch(section, -1)
	if len(rows) != 3 {
		t.Errorf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		_, err := router.Decode(loaded.Config.Channels[0], router.Message{Payload: fmt.Appendf(nil, `{"type":"enter","data":%s}`, row[1])})
		if m, bad := router.AsMalformed(err); bad != (row[2] != "") || bad && m.Detail != row[2] {
			t.Errorf("%s: %v, documented %s", row[1], err, row[2])
		}
	}

	right, err := os.ReadFile(schema)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(right), `["bot"]`, `"bot"`, 1)
	if err := os.WriteFile(schema, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = routesfile.Load(src, kinds)
	documented := mistakeLine.FindStringSubmatch(section)
	if err == nil || documented == nil || strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") != documented[1] {
		t.Errorf("%v, documented %q", err, documented)
	}
}
