package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signalbox/config"
)

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	playable     = regexp.MustCompile(`^\$ (cat|REDIS_URL=\S+ router config) `)
	mermaidBlock = regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```$")
)

// What the pages say that commands print is what they print: all of docs/checking.md, and of
// other pages the blocks that begin with a file, `$ cat NAME.toml`, or show what is in force,
// `$ REDIS_URL=… router config`. The commands run in one
// folder for a page, with the shipped routes; what `cat` shows is a file for those after it.
// With UPDATE_SCRIPTS=1 the blocks are written anew.
func TestDocumentedConsole(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		s := newStage(t)
		all := filepath.Base(page) == "checking.md"
		fresh := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
			body := strings.TrimSuffix(strings.TrimPrefix(block, "```console\n"), "```")
			if !all && !playable.MatchString(body) {
				return block
			}
			played++
			return "```console\n" + s.play(body) + "```"
		})
		fresh = mermaidBlock.ReplaceAllStringFunc(fresh, func(block string) string {
			if !all {
				return block
			}
			return "```mermaid\n" + s.shell("router graph -o mermaid") + "```"
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
	if played < 8 {
		t.Errorf("%d blocks: is the pattern right?", played)
	}
}

// stage is the folder where the commands of a page run.
type stage struct {
	t   *testing.T
	dir string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t, t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("config/routes.toml", string(config.Routes))
	return s
}

func (s *stage) write(file, text string) {
	if err := os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// play is a block with what its commands really print.
func (s *stage) play(block string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.TrimPrefix(block, "$ "), "\n$ ") {
		command, below, _ := strings.Cut(part, "\n")
		below = strings.TrimRight(below, "\n") + "\n"
		if file, shown := strings.CutPrefix(command, "cat "); shown {
			s.write(file, below)
			parts = append(parts, "$ "+command+"\n"+below)
			continue
		}
		if _, err := exec.LookPath("jq"); err == nil || !strings.Contains(command, "| jq ") {
			below = strings.TrimRight(s.shell(command), "\n") + "\n"
		}
		parts = append(parts, "$ "+command+"\n"+strings.TrimPrefix(below, "\n"))
	}
	return strings.Join(parts, "\n")
}

func (s *stage) shell(command string) string {
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", command)
	cmd.Dir = s.dir
	// Not set to nothing: that is another case, which the pages would show as this one.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"SIGNALBOX_CONFIG", "REDIS_URL", "DATABASE_URL"}, name)
	})
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		s.t.Fatal(fmt.Errorf("%s: %w", command, err))
	}
	return string(out)
}
