package handlers

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"signalbox/router"
)

// The modes of the kind exec.
const (
	modeLines = "lines"
	modeOnce  = "once"
)

// ExecOptions are the options of the kind exec. Where relative paths start is told by
// Locate; without it, that is the current folder.
type ExecOptions struct {
	Command   []string          `toml:"command" required:"true" doc:"the program and its arguments, as a list; no shell reads it"`
	Mode      string            `toml:"mode" enum:"lines,once" doc:"lines: one program that stays, and answers each line with an event by one such as {\"id\":\"…\",\"ok\":true}; once: a program for each event, its exit code is the verdict"`
	Env       map[string]string `toml:"env" secret:"true" doc:"variables of the program; beside them it has only PATH, HOME, LANG and PYTHONUNBUFFERED=1"`
	Processes int               `toml:"processes" min:"1" max:"64" doc:"in mode lines, how many of the program run; events of one key go to the same"`
	Msg       bool              `toml:"msg" doc:"hand over the whole message, too, as msg"`

	dir string
}

func defaultExecOptions() ExecOptions { return ExecOptions{Mode: modeLines, Processes: 1} }

// Locate says in which folder relative paths start, and the program runs.
func (o *ExecOptions) Locate(dir string) { o.dir = dir }

// Validate reports all that is wrong with the options; a program that is not there, too.
func (o *ExecOptions) Validate() error {
	_, programErr := o.program()
	var modeErr, processesErr error
	switch {
	case o.Mode != modeLines && o.Mode != modeOnce:
		modeErr = fmt.Errorf("mode: %q is not one of lines, once", o.Mode)
	case o.Processes < 1:
		processesErr = fmt.Errorf("processes: %d is none; 1 is the least", o.Processes)
	case o.Mode == modeOnce && o.Processes > 1:
		processesErr = fmt.Errorf(`processes: %d is for mode = "lines"; with "once" the workers of the route say how many run at a time`, o.Processes)
	}
	return errors.Join(programErr, o.checkArguments(), modeErr, o.checkEnv(), processesErr)
}

// execProgram is where the program is: looked up in PATH, unless its name has a slash.
func (o *ExecOptions) program() (string, error) {
	if len(o.Command) == 0 || o.Command[0] == "" {
		return "", errors.New(`command is missing; name the program and its arguments, as in command = ["python3", "bot.py"]`)
	}
	name := o.Command[0]
	at, remedy := name, "install it, or write its path"
	if strings.ContainsRune(name, '/') || filepath.Base(name) != name {
		remedy = "it must be a file that may be executed (chmod +x)"
		if !filepath.IsAbs(at) {
			at = filepath.Join(o.dir, at)
		}
		var err error
		if at, err = filepath.Abs(at); err != nil {
			return "", fmt.Errorf("command: %q: %w", name, err)
		}
	}
	found, err := exec.LookPath(at)
	if cause := (*exec.Error)(nil); errors.As(err, &cause) {
		err = cause.Err // it names the program once more
	}
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		if words := strings.Fields(name); len(words) > 1 && len(o.Command) == 1 && at == name { // written as for a shell
			remedy = fmt.Sprintf("the program and each argument are texts of their own: [%q, …]", words[0])
		}
		return "", fmt.Errorf("command: program %q: %w; %s", name, err, remedy)
	}
	return found, nil
}

func (o *ExecOptions) checkArguments() error {
	for i, argument := range o.Command {
		if strings.ContainsRune(argument, 0) {
			return fmt.Errorf("command: argument %d has a NUL byte, which no program can be given", i)
		}
	}
	return nil
}

// checkEnv never tells a value: it may be a secret.
func (o *ExecOptions) checkEnv() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			errs = append(errs, fmt.Errorf("env: %q is no name of a variable", name))
		case strings.ContainsRune(o.Env[name], 0):
			errs = append(errs, fmt.Errorf("env: the value of %s has a NUL byte, which no variable can hold", name))
		}
	}
	return errors.Join(errs...)
}

// environment is all that the program gets to know of the router's own, and env, which
// comes last and so wins.
func (o *ExecOptions) environment() []string {
	vars := []string{"PYTHONUNBUFFERED=1"}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			vars = append(vars, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		vars = append(vars, name+"="+o.Env[name])
	}
	return vars
}

// Exec is the kind that hands events to a program in any language: as lines of JSON to
// one that stays and answers each with a verdict, or each event to a process of its own.
//
// What a program answers is its verdict. A program that is not there, or has died and is
// started again, is [router.Unavailable]; a program that dies of an event has failed it.
func Exec() router.Kind[ExecOptions] {
	return router.Kind[ExecOptions]{
		Name:     "exec",
		Doc:      "Hands events to a program in any language, and takes its verdicts.",
		Target:   true,
		Defaults: defaultExecOptions(),
		New: func(env router.Env, options ExecOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			path, err := options.program()
			if err != nil {
				return nil, err
			}
			p := &execProgram{
				path: path, args: options.Command, dir: options.dir, env: options.environment(),
				secrets: newSecrets(options.Env), withMsg: options.Msg,
			}
			_, p.traced = options.Env[strings.ToUpper(traceParent)]
			p.output = &execOutput{log: env.Log, secrets: p.secrets}
			if options.Mode == modeOnce {
				return &execOnce{program: p}, nil
			}
			return newPool(p, options.Processes), nil
		},
	}
}

// execProgram is what to run, and how.
type execProgram struct {
	path    string
	args    []string // the first one is the name that was configured
	dir     string
	env     []string
	secrets execSecrets
	output  *execOutput
	withMsg bool
	traced  bool // env has a trace context
}

// name is how errors call the program. Its arguments may hold secrets.
func (p *execProgram) name() string { return p.args[0] }
