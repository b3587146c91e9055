package generate_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/internal/npmtest"
	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/generate"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

var update = flag.Bool("update", false, "write what is generated to testdata")

// configurations are what the golden files are made from.
var configurations = map[string]string{"shipped": "../../config/routes.toml", "nasty": "testdata/nasty.toml"}

func load(t *testing.T, file string) router.Config {
	t.Helper()
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	sources.Register(kinds)
	loaded, err := routesfile.Load(routesfile.Source{Paths: []string{file}, Check: true}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func TestGolden(t *testing.T) {
	for name, file := range configurations {
		cfg, files := load(t, file), []string{"config/" + name + ".toml"}
		source, err := generate.Go(cfg, files, "channels")
		if err != nil {
			t.Fatal(err)
		}
		described, err := generate.AsyncAPI(cfg, files, generate.Server{Host: "127.0.0.1:6379"})
		if err != nil {
			t.Fatal(err)
		}
		for golden, got := range map[string][]byte{
			"asyncapi.json": described,
			"channels.go":   source,
			"channels.py":   generate.Python(cfg, files),
			"channels.ts":   generate.TypeScript(cfg, files),
			"bot.py":        generate.PythonBot(cfg, files),
		} {
			path := filepath.Join("testdata", name, golden)
			if *update {
				if err := generate.Write(nil, path, got); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s differs from what is generated (%v); look at it with -update and git diff:\n%s", path, err, got)
			}
		}
	}
}

func TestGoCompiles(t *testing.T) {
	for name := range configurations {
		dir := t.TempDir()
		copyFile(t, filepath.Join("testdata", name, "channels.go"), filepath.Join(dir, "channels.go"))
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module channels\n\ngo 1.21\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "go", "vet", ".")
		if out := run(t, dir, "gofmt", "-l", "."); out != "" {
			t.Errorf("%s: not as gofmt writes it", name)
		}
	}
}

// inspectPython prints the constants of a module as JSON, and fails if it is no Python 3.9.
const inspectPython = `
import ast, importlib, json, sys
ast.parse(open(sys.argv[1] + ".py", encoding="utf-8").read(), feature_version=(3, 9))
module = importlib.import_module(sys.argv[1])
print(json.dumps({
    name: {key: value for key, value in vars(group).items() if key.isupper()}
    for name, group in vars(module).items() if name.isupper()
}))
`

func TestPythonCompiles(t *testing.T) {
	python := python(t)
	for name, file := range configurations {
		for _, module := range []string{"channels", "bot"} {
			dir := filepath.Join("testdata", name)
			out := run(t, dir, python, "-B", "-c", inspectPython, module)
			checkConstants(t, load(t, file), name+"/"+module+".py", out)
		}
	}
}

// useScript is what a program may write; what it may not is marked, and an error if it
// compiles.
const useScript = `
import { CHANNELS, TRADE_COMMANDS, TRANSPORTS } from "./shipped.js";
const publish = (channel: CHANNELS, type: TRADE_COMMANDS): string => channel + type + TRANSPORTS.PRICE_DATA;
publish(CHANNELS.TRADE_COMMANDS, TRADE_COMMANDS.ENTER);
publish("trade_commands", "enter");
// @ts-expect-error: no such type
publish(CHANNELS.TRADE_COMMANDS, "entr");
// @ts-expect-error: no such channel
CHANNELS.TRADE;
`

func TestTypeScriptCompiles(t *testing.T) {
	compiler := filepath.Join(npmtest.Modules(t), "typescript", "bin", "tsc")
	dir := t.TempDir()
	sources := []string{"use.ts"}
	if err := os.WriteFile(filepath.Join(dir, "use.ts"), []byte(useScript), 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range configurations {
		copyFile(t, filepath.Join("testdata", name, "channels.ts"), filepath.Join(dir, name+".ts"))
		sources = append(sources, name+".ts")
	}
	run(t, dir, "node", append([]string{compiler, "--strict", "--skipLibCheck", "--module", "commonjs", "--target", "es2020"}, sources...)...)
	for name, file := range configurations {
		checkConstants(t, load(t, file), name+"/channels.ts", run(t, dir, "node", "-p", `JSON.stringify(require("./`+name+`.js"))`))
	}
}

func python(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("no python3")
	} else if err != nil {
		t.Skip("no python3")
	}
	return python
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stderr = dir, &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, out, errs.String())
	}
	return string(out)
}

func TestBotWithoutRedis(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, "testdata/nasty/bot.py", filepath.Join(dir, "bot.py"))
	copyFile(t, "testdata/checks.py", filepath.Join(dir, "checks.py"))
	run(t, dir, redistest.Python(t), "-B", "checks.py")
}
