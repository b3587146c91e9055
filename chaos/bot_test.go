//go:build failpoints

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
	"signalbox/sources"
)

const (
	effectsEnv = "CHAOS_EFFECTS"         // makes the test binary a router; the file for its effects
	killEnv    = "CHAOS_KILL_IN_HANDLER" // the effect that kills the process
)

// bot is the program that is broken: the router with one more kind.
func bot(effects string) int {
	file, err := os.OpenFile(effects, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	j := &journal{file: file}
	j.killAt, _ = strconv.ParseInt(os.Getenv(killEnv), 10, 64)
	go j.answer()
	kinds := router.NewRegistry(j.kind())
	handlers.Register(kinds)
	sources.Register(kinds)
	return cli.Main(kinds, "chaos")
}

// journal writes a line at the beginning and the end of each effect. One write is one
// line, also when the process is killed meanwhile.
type journal struct {
	file   *os.File
	begun  atomic.Int64
	killAt int64

	tries sync.Map // how often an event that is to fail has failed
}

// answer writes down what the process uses, whenever it is asked by SIGUSR1.
func (j *journal) answer() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	for range asked {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		files, _ := os.ReadDir("/proc/self/fd")
		fmt.Fprintf(j.file, "use %d %d %d\n", runtime.NumGoroutine(), len(files), memory.HeapAlloc)
	}
}

// effectOptions are the options of the kind effect.
type effectOptions struct {
	Sleep time.Duration `toml:"sleep" doc:"how long each effect takes"`
	Away  string        `toml:"away" doc:"while this file exists, the target is away"`
	Tame  string        `toml:"tame" doc:"once this file exists, events do no harm any more"`
}

func (j *journal) kind() router.Kind[effectOptions] {
	return router.Kind[effectOptions]{
		Name: "effect",
		Doc:  "Writes down what it does.",
		New: func(_ router.Env, o effectOptions) (router.Handler, error) {
			return router.HandlerFunc(func(ctx context.Context, event *router.Event) error {
				return j.handle(ctx, event, o)
			}), nil
		},
	}
}

func (j *journal) handle(ctx context.Context, event *router.Event, o effectOptions) error {
	var d data
	if err := json.Unmarshal(event.Data, &d); err != nil {
		return router.Permanent(fmt.Errorf("data: %w", err))
	}
	if exists(o.Away) {
		return router.Unavailable(errors.New("the target is away"), 0)
	}
	id := event.ID
	fmt.Fprintf(j.file, "begin %s %d %t\n", id, time.Now().UnixNano(), d.Sum == d.sum(event.ID))
	if j.begun.Add(1) == j.killAt {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
	verdict := "failed" // also by a panic, or when the goroutine ends
	defer func() { fmt.Fprintf(j.file, "end %s %d %s\n", id, time.Now().UnixNano(), verdict) }()
	err := j.act(ctx, id, d.Do, o)
	if err == nil {
		verdict = "ok"
	}
	return err
}

func exists(file string) bool {
	if file == "" {
		return false
	}
	_, err := os.Stat(file)
	return err == nil
}

// act does what the event asks for.
func (j *journal) act(ctx context.Context, id, do string, o effectOptions) error {
	if err := pause(ctx, o.Sleep); err != nil {
		return err
	}
	verb, argument, _ := strings.Cut(do, ":")
	if exists(o.Tame) {
		return nil
	}
	switch verb {
	case "":
	case "sleep":
		d, err := time.ParseDuration(argument)
		if err != nil {
			return router.Permanent(err)
		}
		return pause(ctx, d)
	case "panic":
		panic("as asked for")
	case "exit":
		runtime.Goexit()
	case "hang": // whatever ctx says
		for !exists(o.Tame) {
			time.Sleep(20 * time.Millisecond)
		}
		return errors.New("tamed")
	case "permanent":
		return router.Permanent(errors.New("as asked for"))
	case "eat": // 200 MB/s, whatever ctx says
		for {
			if _, err := syscall.Mmap(-1, 0, 2<<20, syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE); err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	case "fail": // so many times
		times, _ := strconv.Atoi(argument)
		n, _ := j.tries.LoadOrStore(id, new(atomic.Int64))
		if n.(*atomic.Int64).Add(1) <= int64(times) { //nolint:forcetypeassert // stored a line above
			return errors.New("as asked for")
		}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	default:
		return router.Permanent(fmt.Errorf("do what? %q", do))
	}
	return nil
}

// pause sleeps, or ends early with ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
