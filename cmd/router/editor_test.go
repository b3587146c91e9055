package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/config"
	"signalbox/internal/npmtest"
	"signalbox/router/daemon"
	"signalbox/router/routesfile"
)

// taplo checks files as an editor does that is made of it.
func taplo(t *testing.T, files ...string) (said string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(npmtest.Modules(t), ".bin", "taplo"), append([]string{"lint", "--no-auto-config"}, files...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// shippedTOML lists the configurations that users get.
func shippedTOML(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "testdata" || path == filepath.Join(root, "router/daemon/start") || path != root && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case filepath.Ext(name) == ".toml":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What init writes, too, which stands elsewhere until then.
func TestEditorsAcceptWhatInitWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out strings.Builder
	opts := daemon.Options{Kinds: builtin(), Stdout: &out}
	if err := daemon.Init(opts, daemon.InitOptions{Folder: dir, Minimal: true}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "config", "*.toml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	if said, ok := taplo(t, files...); !ok {
		t.Error(said)
	}
}

// Every configuration that is shipped names a schema that is there, and by which nothing is
// wrong with it.
func TestEditorsAcceptShippedFiles(t *testing.T) {
	t.Parallel()
	files := shippedTOML(t)
	if len(files) < 3 || !slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, "config/routes.toml") }) {
		t.Fatalf("found only %q", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		schema, named := strings.CutPrefix(first, "#:schema ")
		if !named {
			t.Errorf("%s names no schema: its first line is %q", file, first)
		} else if _, err := os.Stat(filepath.Join(filepath.Dir(file), schema)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if said, ok := taplo(t, files...); !ok {
		t.Error(said)
	}
}

// schemaIn writes the schema of the built-in kinds to a folder, as init does.
func schemaIn(t *testing.T, dir string) {
	t.Helper()
	schema, err := routesfile.Schema(builtin())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "routes.schema.json"), string(schema))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEditorsMarkMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	schemaIn(t, dir)
	mistakes := []struct{ name, right, wrong, said string }{
		{"key", `max_age = "5s"`, `max_ag = "5s"`, `'max_ag' was unexpected`},
		{"option", `every  = "1s"`, `evry   = "1s"`, `'evry' was unexpected`},
		{"enum", `transport   = "stream"`, `transport   = "strem"`, `"strem" does not match "^(pubsub|stream)$`},
		{"table", `[channels.bot_status]`, `[chanels.bot_status]`, `'chanels' was unexpected`},
		{"type", `create = true`, `create = 1`, `1 is not of types "boolean", "string"`},
		{"kind", `kind   = "sql"`, `kind   = "sqll"`, `"sqll" does not match`},
		{"required", `dsn    =`, `# dsn    =`, `"dsn" is a required property`},
	}
	var files []string
	for _, mistake := range mistakes {
		text := strings.Replace(string(config.Routes), mistake.right, mistake.wrong, 1)
		if text == string(config.Routes) {
			t.Fatalf("the shipped routes have no %s", mistake.right)
		}
		file := filepath.Join(dir, mistake.name+".toml")
		write(t, file, text)
		files = append(files, file)
	}
	said, _ := taplo(t, files...)
	for i, mistake := range mistakes {
		if !strings.Contains(said, mistake.said) || !strings.Contains(said, `invalid file error=schema validation failed path="`+files[i]) {
			t.Errorf("%s: want %s, have\n%s", mistake.name, mistake.said, said)
		}
	}
}

// While somebody types, an editor offers the keys of the table, the options of kinds and
// the values of a key, and explains what is there.
func TestEditorsCompleteAndExplain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	schemaIn(t, dir)
	const text = `#:schema ./routes.schema.json
[channels.orders]
transport = "stream"
ma

[handlers.save]
kind = "sql"
ta

[handlers.log]
ev
`
	file := filepath.Join(dir, "routes.toml")
	write(t, file, text)
	questions := []struct {
		Method    string `json:"method"`
		Line      int    `json:"line"` // from 0
		Character int    `json:"character"`
		want      string
	}{
		{"completion", 3, 2, "max_len"},
		{"completion", 2, 13, `"pubsub"`},
		{"completion", 6, 9, `"webhook"`},
		{"completion", 7, 2, "table"},
		{"completion", 10, 2, "every"},
		{"hover", 2, 3, "kept until every group"},
		{"hover", 6, 2, "what it is an instance of"},
	}
	asked, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/editor.mjs", npmtest.Modules(t), file)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asked), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	var answers []any
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(questions) {
		t.Fatalf("%v: %s", err, out)
	}
	for i, q := range questions {
		if got := fmt.Sprint(answers[i]); !strings.Contains(got, q.want) {
			t.Errorf("%s at %d:%d: %s, want %s", q.Method, q.Line, q.Character, got, q.want)
		}
	}
}
