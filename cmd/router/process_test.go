package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

// process is a router that runs, and what it logged as JSON.
type process struct {
	tb  testing.TB
	cmd *exec.Cmd
	log string // file
}

// line is what the tests read of a line of the log.
type line struct {
	Msg, Handler, Channel, ID, Cause, Err      string
	TraceID                                    string `json:"trace_id"`
	Received, Handled, Failed, Unmatched, Lost int
	Rejected                                   int
}

func startRouter(tb testing.TB, redisURL string, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, log: filepath.Join(tb.TempDir(), "log")}
	file, err := os.Create(p.log)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	p.cmd = exec.Command("router", args...) //nolint:noctx // ended by SIGKILL in Cleanup
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+redisURL)
	p.cmd.Stderr = file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if tb.Failed() {
			tb.Logf("the last lines of the router's log:\n%s", p.tail(20))
		}
	})
	return p
}

// lines are the whole lines logged so far.
func (p *process) lines() []line {
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
		if json.Unmarshal(scan.Bytes(), &l) == nil { // the last may be half a line
			lines = append(lines, l)
		}
	}
	return lines
}

func (p *process) tail(n int) string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// await waits until the log has a line that fits.
func (p *process) await(what string, fits func(line) bool) {
	p.tb.Helper()
	eventually(p.tb, what, func() bool {
		return slices.ContainsFunc(p.lines(), fits)
	})
}

func (p *process) awaitReady() {
	p.tb.Helper()
	p.await("ready", func(l line) bool { return l.Msg == "ready" })
}

// stop ends the router by SIGTERM and returns its summary.
func (p *process) stop() line {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.tb.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.tb.Fatalf("after SIGTERM: %v", err)
	}
	lines := p.lines()
	last := lines[len(lines)-1]
	if last.Msg != "stopped" {
		p.tb.Fatalf("the last line is %+v, not the summary", last)
	}
	return last
}

// handled counts how often each handler logged each id, by channel/handler.
func handled(processes ...*process) map[string]map[string]int {
	counts := map[string]map[string]int{}
	for _, p := range processes {
		for _, l := range p.lines() {
			if l.Msg != "event" {
				continue
			}
			at := l.Channel + "/" + l.Handler
			if counts[at] == nil {
				counts[at] = map[string]int{}
			}
			counts[at][l.ID]++
		}
	}
	return counts
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}
