//go:build unix

package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

func TestExecOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("bot.sh", 0o700)
	write("plain.sh", 0o600)
	lines := handlers.ExecOptions{Command: []string{"sh"}, Mode: "lines", Processes: 1}
	with := func(change func(*handlers.ExecOptions)) handlers.ExecOptions {
		o := lines
		change(&o)
		return o
	}
	command := func(words ...string) handlers.ExecOptions {
		return with(func(o *handlers.ExecOptions) { o.Command = words })
	}
	for name, test := range map[string]struct {
		options handlers.ExecOptions
		want    string // at the beginning; empty: no error
	}{
		"in PATH":            {lines, ""},
		"in the folder":      {command("./bot.sh"), ""},
		"absolute":           {command("/bin/sh"), ""},
		"missing":            {command(), `command is missing; name the program and its arguments, as in command = ["python3", "bot.py"]`},
		"empty":              {command(""), `command is missing`},
		"not in PATH":        {command("pyhton3", "bot.py"), `command: program "pyhton3": executable file not found in $PATH; install it, or write its path`},
		"an option":          {command("--help"), `command: program "--help": executable file not found`},
		"a command line":     {command("sh -c true"), `command: program "sh -c true": executable file not found in $PATH; the program and each argument are texts of their own: ["sh", …]`},
		"no folder's":        {command("bot.sh"), `command: program "bot.sh": executable file not found`},
		"no file":            {command("./none.sh"), `command: program "./none.sh": stat ` + dir + `/none.sh: no such file or directory; it must be a file that may be executed (chmod +x)`},
		"not executable":     {command("./plain.sh"), `command: program "./plain.sh": permission denied`},
		"a folder":           {command("/"), `command: program "/": is a directory`},
		"NUL":                {command("sh", "a\x00b"), `command: argument 1 has a NUL byte`},
		"mode":               {with(func(o *handlers.ExecOptions) { o.Mode = "line" }), `mode: "line" is not one of lines, once`},
		"no process":         {with(func(o *handlers.ExecOptions) { o.Processes = 0 }), `processes: 0 is none`},
		"processes and once": {with(func(o *handlers.ExecOptions) { o.Mode, o.Processes = "once", 2 }), `processes: 2 is for mode = "lines"`},
		"once":               {with(func(o *handlers.ExecOptions) { o.Mode = "once" }), ""},
		"env name":           {with(func(o *handlers.ExecOptions) { o.Env = map[string]string{"A=B": canaryKey} }), `env: "A=B" is no name of a variable`},
		"env value":          {with(func(o *handlers.ExecOptions) { o.Env = map[string]string{"A": canaryKey + "\x00"} }), `env: the value of A has a NUL byte`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := test.options
			options.Locate(dir)
			err := options.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			case err != nil && strings.Contains(err.Error(), canaryKey):
				t.Errorf("a secret is told: %v", err)
			}
			if test.want == "" {
				return
			}
			if _, err := handlers.Exec().New(router.Env{}, options); err == nil {
				t.Error("New takes what Validate refuses")
			}
		})
	}
}

func TestExecReportsAllMistakes(t *testing.T) {
	t.Parallel()
	options := handlers.ExecOptions{Mode: "x", Env: map[string]string{"": "", "=": ""}}
	err := options.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v", err)
	}
}

// What a program is given: nothing of the router's environment but three variables, the
// folder of the file, and its arguments as they are, whatever events look like.
func TestExecGivesAProgramLittle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := testProgram(t, "tell", "--all", "a b", "$(touch made)", "")
	options.Locate(dir)
	h := newExec(t, options)
	for _, id := range []string{"--help", "-rf /", "; touch made", "$(touch made)", "\n{}\n"} {
		if err := h.Handle(t.Context(), execEvent(id, "x")); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	h.close()
	var got struct {
		Args, Env []string
		Dir       string
	}
	h.log.line(t, "program output", &got)
	if want := []string{"--all", "a b", "$(touch made)", ""}; !slices.Equal(got.Args, want) {
		t.Errorf("arguments %q, want %q", got.Args, want)
	}
	if resolved, _ := filepath.EvalSymlinks(dir); got.Dir != dir && got.Dir != resolved {
		t.Errorf("runs in %s, want %s", got.Dir, dir)
	}
	var names []string
	for _, variable := range got.Env {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	want := []string{"PYTHONUNBUFFERED"}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if _, ok := os.LookupEnv(name); ok {
			want = append(want, name)
		}
	}
	if want = append(want, "GORACE", "SIGNALBOX_TEST_PROGRAM"); !slices.Equal(names, want) {
		t.Errorf("variables %q, want %q", names, want)
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "*")); made != nil {
		t.Errorf("made %q", made)
	}
}

// The exact line that docs/handlers.md shows.
func TestExecEventLine(t *testing.T) {
	t.Parallel()
	full := router.Event{
		ID: "c-3", Type: "enter", Source: "/signalbox/router", Key: "momentum-1", Channel: "trade_commands", Name: "trade_commands",
		Time: time.Date(2026, 11, 22, 2, 59, 48, 502770872, time.FixedZone("", 3600)),
		Data: json.RawMessage(`{"bot":"momentum-1"}`), Msg: json.RawMessage(`{"type": "enter"}`),
	}
	const line = `{"id":"c-3","type":"enter","source":"/signalbox/router","time":"2026-11-22T01:59:48.502770872Z","key":"momentum-1",` +
		`"channel":"trade_commands","name":"trade_commands","data":{"bot":"momentum-1"}`
	change := func(change func(*router.Event)) router.Event {
		e := full
		change(&e)
		return e
	}
	for name, test := range map[string]struct {
		event   router.Event
		withMsg bool
		want    string
	}{
		"as documented":  {full, false, line + "}\n"},
		"with msg":       {full, true, line + `,"msg":{"type": "enter"}}` + "\n"},
		"pretty-printed": {change(func(e *router.Event) { e.Data = json.RawMessage("{\r\n  \"bot\": \"momentum-1\"\r\n}\n") }), false, line + "}\n"},
		"empty":          {router.Event{}, true, `{"id":"","type":"","source":"","time":"","key":"","channel":"","name":"","data":null,"msg":null}` + "\n"},
		"escaped":        {router.Event{ID: "a\n\"\xff\u2028"}, false, `{"id":"a\n\"` + "\uFFFD\u2028" + `","type":"","source":"","time":"","key":"","channel":"","name":"","data":null}` + "\n"},
	} {
		got, err := handlers.EventLine(&test.event, test.withMsg)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %s %v\nwant %s", name, got, err, test.want)
		}
	}
	if _, err := handlers.EventLine(&router.Event{Data: json.RawMessage("{\n")}, false); err == nil {
		t.Error("broken JSON over two lines is handed over")
	}
}

func ExampleExec() {
	handler, err := handlers.Exec().New(router.Env{Log: slog.New(slog.DiscardHandler)}, handlers.ExecOptions{
		Command: []string{"sh", "-c", `while read -r event; do echo '{"error":"the market is closed","unavailable":true}'; done`},
		Mode:    "lines", Processes: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = handler.Handle(context.Background(), &router.Event{ID: "c-3", Type: "enter"})
	_, away := router.IsUnavailable(err)
	fmt.Println(err, away)
	fmt.Println(handler.(io.Closer).Close())
	// Output:
	// the market is closed true
	// <nil>
}
