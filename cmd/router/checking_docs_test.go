package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/config"
)

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	mermaidBlock = regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```$")
)

// TestCheckingPage runs the commands of docs/checking.md, in one folder with the shipped
// routes, and compares what they print. What `cat` shows is a file for those after it.
func TestCheckingPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/checking.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config", "routes.toml"), config.Routes, 0o600); err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range consoleBlock.FindAllSubmatch(page, -1) {
		for command := range strings.SplitSeq("\n"+string(block[1]), "\n$ ") {
			line, want, _ := strings.Cut(command, "\n")
			if strings.TrimSpace(line) == "" {
				continue
			}
			commands++
			if file, isFile := strings.CutPrefix(line, "cat "); isFile {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(want), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if got, ok := shell(t, dir, line); ok && strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("$ %s\n%s\nand the page has\n%s", line, got, want)
			}
		}
	}
	if commands < 8 {
		t.Errorf("%d commands in the page: is the pattern right?", commands)
	}
	drawn := mermaidBlock.FindSubmatch(page)
	if got, _ := shell(t, dir, "router graph -o mermaid"); drawn == nil || got != string(drawn[1]) {
		t.Errorf("the diagram of the page is not what the command prints:\n%s", got)
	}
}

// shell is what a command prints; not ok when it needs a program that is not here.
func shell(t *testing.T, dir, command string) (printed string, ok bool) {
	t.Helper()
	if strings.Contains(command, "| jq ") {
		if _, err := exec.LookPath("jq"); err != nil {
			t.Logf("skipped without jq: %s", command)
			return "", false
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "SIGNALBOX_CONFIG=", "REDIS_URL=")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(fmt.Errorf("%s: %w", command, err))
	}
	return string(out), true
}
