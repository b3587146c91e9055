//go:build unix

package handlers_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

// playsProgram is set for processes in which the test binary plays a program of exec.
const playsProgram = "SIGNALBOX_TEST_PROGRAM"

// toldEvent is an event as a program reads it.
type toldEvent struct {
	ID, Type, Source, Time, Key, Channel, Name string
	Data, Msg                                  json.RawMessage
}

// playProgram is what the test binary does as a program, and with which code it ends.
func playProgram(name string, args []string) int {
	if args == nil {
		args = []string{""}
	}
	play, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no program %q\n", name)
		return 2
	}
	return play(args)
}

// say writes a line at once.
func printLine(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func sayDone(id string) { printLine(`{"id":%q,"ok":true}`, id) }

// eachEvent reads events until stdin ends.
func eachEvent(do func(e toldEvent)) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var e toldEvent
		if err := json.Unmarshal(line, &e); err != nil {
			fmt.Fprintf(os.Stderr, "%q: %v\n", line, err)
		}
		do(e)
	}
}

// note appends a line to a file; of several processes, each line stays whole.
func noteDown(file, format string, args ...any) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer func() { _ = f.Close() }()
	fmt.Fprintf(f, format+"\n", args...)
}

// descendant starts a process of the group that ignores SIGTERM and keeps stdout.
func descendant(attr *syscall.SysProcAttr) int {
	child := exec.Command("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")
	child.Stdout, child.Stderr, child.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := child.Start(); err != nil {
		panic(err)
	}
	return child.Process.Pid
}

func forever() int {
	time.Sleep(time.Hour)
	return 0
}

func echo([]string) int {
	eachEvent(func(e toldEvent) { sayDone(e.ID) })
	return 0
}

var programs = map[string]func(args []string) int{
	// echo answers every event.
	"echo": echo,
	// fast is echo for measuring: the least that a program can do.
	"fast": func([]string) int {
		in, out := bufio.NewReaderSize(os.Stdin, 1<<16), bufio.NewWriter(os.Stdout)
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return 0
			}
			_, rest, _ := bytes.Cut(line, []byte(`{"id":`))
			id, _, _ := bytes.Cut(rest, []byte(`,"type"`))
			_, _ = out.WriteString(`{"id":`)
			_, _ = out.Write(id)
			_, _ = out.WriteString(",\"ok\":true}\n")
			if in.Buffered() == 0 {
				_ = out.Flush()
			}
		}
	},
	// note writes key and id of each event to a file, with its own process id.
	"note": func(args []string) int {
		eachEvent(func(e toldEvent) {
			noteDown(args[0], "%d %s %s", os.Getpid(), e.Key, e.ID)
			sayDone(e.ID)
		})
		return 0
	},
	// tell shows what it was given.
	"tell": func(args []string) int {
		dir, _ := os.Getwd()
		about, _ := json.Marshal(map[string]any{"args": args, "env": os.Environ(), "dir": dir})
		printLine("%s", about)
		eachEvent(func(e toldEvent) { sayDone(e.ID) })
		return 0
	},
	// answer writes the data of each event, if that is a text, as a line.
	"answer": func([]string) int {
		eachEvent(func(e toldEvent) {
			var line string
			_ = json.Unmarshal(e.Data, &line)
			printLine("%s", line)
		})
		return 0
	},
	// stuck takes events of type "stuck" and never answers; when it is to end, it says late
	// that they are done, without and with an id.
	"stuck": func(args []string) int {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		noteDown(args[0], "started %d", os.Getpid())
		eachEvent(func(e toldEvent) {
			if e.Type != "stuck" {
				sayDone(e.ID)
				return
			}
			<-terminated
			printLine(`{"ok":true}`)
			sayDone(e.ID)
			forever()
		})
		return 0
	},
	// die ends with the code that is its argument as soon as it reads an event of type
	// "poison". Others it answers when it has several in hand, or after a while.
	"die": func(args []string) int {
		noteDown(args[0], "started")
		var hand []string
		events, ended := make(chan toldEvent), make(chan struct{})
		go func() {
			eachEvent(func(e toldEvent) { events <- e })
			close(ended)
		}()
		for {
			select {
			case e := <-events:
				if e.Type == "poison" {
					noteDown(args[0], "died with %d others", len(hand))
					fmt.Fprintln(os.Stderr, "poison:", e.ID)
					os.Exit(3)
				}
				if slices.Contains(hand, e.ID) {
					noteDown(args[0], "has %s twice", e.ID)
				}
				hand = append(hand, e.ID)
			case <-time.After(20 * time.Millisecond):
				if len(hand) > 1 {
					noteDown(args[0], "together %d", len(hand))
				}
				for _, id := range hand {
					noteDown(args[0], "did %s", id)
					sayDone(id)
				}
				hand = nil
			case <-ended:
				return 0
			}
		}
	},
	// broken dies before it reads anything, until there is a file.
	"broken": func(args []string) int {
		noteDown(args[0], "started")
		if _, err := os.Stat(args[1]); err != nil {
			fmt.Fprint(os.Stderr, "Traceback (most recent call last):\n  File \"bot.py\", line 3\nModuleNotFoundError: No module named 'redis'\n")
			return 1
		}
		eachEvent(func(e toldEvent) { sayDone(e.ID) })
		return 0
	},
	// flood writes so many bytes without a line break before it answers.
	"flood": func(args []string) int {
		size, _ := strconv.Atoi(args[0])
		eachEvent(func(e toldEvent) {
			flood(size, "")
			printLine("")
			sayDone(e.ID)
		})
		return 0
	},
	// talk writes so many lines before it answers.
	"talk": func(args []string) int {
		lines, _ := strconv.Atoi(args[0])
		eachEvent(func(e toldEvent) {
			out := bufio.NewWriter(os.Stdout)
			for i := range lines {
				fmt.Fprintf(out, "line %d\n", i)
			}
			_ = out.Flush()
			sayDone(e.ID)
		})
		return 0
	},
	// stubborn ignores SIGTERM, and has a descendant that does; without a second argument it
	// ignores the end of its stdin, too.
	"stubborn": func(args []string) int {
		signal.Ignore(syscall.SIGTERM)
		noteDown(args[0], "%d %d", os.Getpid(), descendant(nil))
		eachEvent(func(e toldEvent) {
			if e.Type != "stuck" {
				sayDone(e.ID)
			}
		})
		if len(args) > 1 {
			return 0
		}
		return forever()
	},
	// shut closes its stdin after one event, and stays, the first time that it runs.
	"shut": func(args []string) int {
		if _, err := os.Stat(args[0]); err == nil {
			noteDown(args[0], "started")
			return echo(nil)
		}
		noteDown(args[0], "started")
		var e toldEvent
		line, _ := bufio.NewReaderSize(os.Stdin, 16).ReadBytes('\n')
		_ = json.Unmarshal(line, &e)
		_ = os.Stdin.Close()
		sayDone(e.ID)
		return forever()
	},
	// canary tells its secret in every way it can, and dies.
	"canary": func([]string) int {
		secret := os.Getenv("API_KEY")
		all := fmt.Sprintf("says %s, %s and %s", secret, os.Getenv("REDIS_URL"), urlCanary)
		fmt.Fprintln(os.Stderr, "stderr", all)
		printLine("stdout %s", all)
		eachEvent(func(e toldEvent) {
			if e.Type == "die" {
				panic("dies with " + secret)
			}
			printLine(`{"id":%q,"error":"wrong key %s"}`, e.ID, secret)
		})
		return 0
	},
	// router has a handler of exec, whose program is stubborn.
	"router": func(args []string) int {
		self, _ := os.Executable()
		if _, err := handlers.Exec().New(router.Env{Log: slog.Default()}, handlers.ExecOptions{
			Command: []string{self, "stubborn", args[0]}, Mode: "lines", Processes: 1, Env: map[string]string{playsProgram: "1"},
		}); err != nil {
			panic(err)
		}
		return forever()
	},
	// exit is for mode once: it ends with the code that is the data of the event.
	"exit": func([]string) int {
		code := 0
		eachEvent(func(e toldEvent) { _ = json.Unmarshal(e.Data, &code) })
		fmt.Fprintf(os.Stderr, "first\nsecond\n\x1b[31mends with %d %s\n", code, strings.Repeat("x", 2000))
		return code
	},
	// leave is for mode once: it leaves a descendant behind, in its group or in another.
	"leave": func(args []string) int {
		_, _ = io.Copy(io.Discard, os.Stdin)
		var attr *syscall.SysProcAttr
		if args[0] == "session" {
			attr = &syscall.SysProcAttr{Setsid: true}
		}
		noteDown(args[1], "%d %d", os.Getpid(), descendant(attr))
		return 0
	},
	// deaf is for mode once: it reads nothing and ends well.
	"deaf": func([]string) int { return 0 },
	// hang is for mode once: it ignores SIGTERM, and has a descendant that does.
	"hang": func(args []string) int {
		signal.Ignore(syscall.SIGTERM)
		noteDown(args[0], "%d %d", os.Getpid(), descendant(nil))
		return forever()
	},
	// huge is for mode once: it writes so many bytes, in lines.
	"huge": func(args []string) int {
		size, _ := strconv.Atoi(args[0])
		flood(size, "\n")
		return 0
	},
}

func flood(size int, lineEnd string) {
	block := []byte(strings.Repeat("x", 64<<10-len(lineEnd)) + lineEnd)
	for size > 0 {
		n, err := os.Stdout.Write(block[:min(size, len(block))])
		if err != nil {
			os.Exit(1)
		}
		size -= n
	}
}

func kill(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
