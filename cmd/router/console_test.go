package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(\\$ cat \\S+\\.toml\n.*?)^```$")

// What the pages say that a command prints on a file that they show is what it prints:
// such a block begins with `$ cat FILE.toml`. With UPDATE_SCRIPTS=1 it is written anew.
func TestDocumentedConsole(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		fresh := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
			found++
			body := strings.TrimSuffix(strings.TrimPrefix(block, "```console\n"), "```")
			return "```console\n" + played(t, body) + "```"
		})
		switch {
		case fresh == string(text):
		case os.Getenv("UPDATE_SCRIPTS") != "":
			if err := os.WriteFile(page, []byte(fresh), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is stale; UPDATE_SCRIPTS=1 go test ./cmd/router -run %s writes it; it should be\n%s", page, t.Name(), fresh)
		}
	}
	if found < 3 {
		t.Errorf("%d blocks: is the pattern right?", found)
	}
}

// played is a block with what its commands really print, in a folder of their own. "$ cat"
// writes the file that the lines below it show, "$ router" runs the router.
func played(t *testing.T, block string) string {
	t.Helper()
	dir := t.TempDir()
	var out strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(block, "$ "), "\n$ ") {
		command, below, _ := strings.Cut(part, "\n")
		words := strings.Fields(command)
		out.WriteString("$ " + command + "\n")
		switch words[0] {
		case "cat":
			content := strings.TrimRight(below, "\n") + "\n"
			if err := os.WriteFile(filepath.Join(dir, words[1]), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			out.WriteString(content + "\n")
		case "router":
			out.WriteString(routerPrints(t, dir, words[1:]) + "\n")
		default:
			t.Fatalf("a block of the pages has the command %q", command)
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func routerPrints(t *testing.T, dir string, args []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "router", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	printed, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return strings.TrimRight(string(printed), "\n")
}
