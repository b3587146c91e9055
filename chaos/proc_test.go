//go:build failpoints

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proc is a router process.
type proc struct {
	tb      testing.TB
	name    string
	log     string // file
	effects string // file
	config  string // file
	cmd     *exec.Cmd
	exited  chan struct{} // closed when it has ended
	written written

	ended  time.Time // guarded by exited
	err    error     // how it ended; guarded by exited
	paused bool      // it was stopped by SIGSTOP for a while
}

// start runs the test binary as a router on the configuration file.
func start(tb testing.TB, dir, name, config string, env ...string) *proc {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	p := &proc{
		tb: tb, name: name, config: config, exited: make(chan struct{}),
		log: filepath.Join(dir, name+".log"), effects: filepath.Join(dir, name+".effects"),
	}
	log, err := os.Create(p.log)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(self, "run", "-c", config) //nolint:noctx // ended by its owner, the round
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", effectsEnv+"="+p.effects)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.ended = time.Now()
		close(p.exited)
	}()
	return p
}

// command runs another command of the program, on the same configuration.
func (p *proc) command(args ...string) {
	p.tb.Helper()
	cmd := exec.Command(p.cmd.Path, append(args, "-c", p.config)...) //nolint:noctx // it ends by itself
	cmd.Env = p.cmd.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.tb.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (p *proc) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// kill ends the process as a crash would.
func (p *proc) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// limitMemory kills the process once it has more than so many bytes in memory, as a
// container's limit does.
func (p *proc) limitMemory(bytes int64) {
	file := fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid)
	go func() {
		for ; p.running(); time.Sleep(10 * time.Millisecond) {
			var all, resident int64 // pages
			text, _ := os.ReadFile(file)
			_, _ = fmt.Sscan(string(text), &all, &resident)
			if resident*int64(os.Getpagesize()) > bytes {
				p.signal(syscall.SIGKILL)
			}
		}
	}()
}

// terminate asks the process to end and waits for it.
func (p *proc) terminate() {
	p.signal(syscall.SIGTERM)
	<-p.exited
}

func (p *proc) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// line is what the suite reads of a line of the log.
type line struct {
	Time time.Time `json:"time"`
	Msg  string    `json:"msg"`

	Events     int           `json:"events"`
	Blind      time.Duration `json:"blind"`
	LongestGap time.Duration `json:"longest_gap"`
	summary
}

// summary is the last line of a run.
type summary struct {
	Received, Handled, Failed, Unmatched, Rejected, Lost int
	Retried, Skipped, Filtered, Abandoned, Unfinished    int
	Withdrawn                                            int
	Duplicates                                           int
	Missing                                              int
	CrashLoop                                            int `json:"crash_loop"`
	DeadLetters                                          int `json:"dead_letters"`
}

// lines are the whole lines logged so far with the message, or all.
func (p *proc) lines(msg string) []line {
	file, err := os.Open(p.log)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var lines []line
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var l line
		if json.Unmarshal(scan.Bytes(), &l) == nil && (msg == "" || l.Msg == msg) { // the last may be half a line
			lines = append(lines, l)
		}
	}
	return lines
}

// count is how often the message was logged.
func (p *proc) count(msg string) int {
	text, _ := os.ReadFile(p.log)
	return bytes.Count(text, fmt.Appendf(nil, `"msg":%q`, msg))
}

// logged reports whether the message was logged.
func (p *proc) logged(msg string) bool {
	text, err := os.ReadFile(p.log)
	return err == nil && bytes.Contains(text, fmt.Appendf(nil, `"msg":%q`, msg))
}

func (p *proc) awaitReady() {
	p.tb.Helper()
	eventually(p.tb, p.name+" is ready", func() bool {
		if !p.running() {
			p.tb.Fatalf("%s ended: %v\n%s", p.name, p.err, p.tail(20))
		}
		return p.logged("ready")
	})
}

// summary is the last line of a process that ended cleanly.
func (p *proc) summary() (summary, bool) {
	stopped := p.lines("stopped")
	if len(stopped) == 0 {
		return summary{}, false
	}
	return stopped[0].summary, true
}

func (p *proc) tail(n int) string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, text := range lines {
		lines[i] = text[:min(len(text), 400)] // without most of the stacks
	}
	return strings.Join(lines, "\n")
}

// raced reports whether the race detector complained.
func (p *proc) raced() bool {
	text, _ := os.ReadFile(p.log)
	return bytes.Contains(text, []byte("WARNING: DATA RACE"))
}

// patience is how long a round waits for what must happen, whatever the machine does.
const patience = 60 * time.Second

// eventually polls: what it waits for happens in other processes.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	if !within(patience, ok) {
		tb.Fatalf("%s: not within %v", what, patience)
	}
}

// within polls for a while and reports whether it came true.
func within(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
