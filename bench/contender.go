package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contender is who takes part in a case.
type contender struct {
	name    string // in the table
	runs    string // which contender it is to its process; empty: name
	stream  bool   // it reads a stream
	load    *load
	tallies int                         // that each see the whole load; 0: one
	routes  func(channel string) routes // of Signalbox
	blind   bool                        // it looks at nothing
	forward bool                        // what it handles is counted in the stream that it forwards to
	save    bool                        // what it handles is counted in the database
	http    bool                        // of Signalbox: with [http]
	page    bool                        // and somebody looks at the live page
}

// patience is how long anything may take that is under way.
const patience = 2 * time.Minute

// process is a contender at work.
type process struct {
	*contender
	b       *bench
	channel string
	cmd     *exec.Cmd
	lines   chan string // of its standard output; closed when it has ended
	began   time.Time
	took    time.Duration // until it was ready
	drained int           // drains so far
	address string        // where it serves HTTP; empty: nowhere
}

// start starts a contender on a channel that nobody else has used, and waits until it is
// ready.
func (b *bench) start(c *contender, env ...string) (*process, error) {
	return b.startOn(c, fmt.Sprint("bench.", time.Now().UnixNano()), env...)
}

// startOn starts a contender on a channel.
func (b *bench) startOn(c *contender, channel string, env ...string) (*process, error) {
	p := &process{contender: c, b: b, channel: channel, lines: make(chan string, 64)}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(self) //nolint:noctx // its owner ends it
	if c.name == python {
		p.cmd = exec.Command(b.python, "bench/loop.py") //nolint:noctx // likewise
	}
	dir := filepath.Join(b.dir, p.channel)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	runs := c.runs
	if runs == "" {
		runs = c.name
	}
	p.cmd.Env = append(os.Environ(), contenderEnv+"="+runs, redisEnv+"="+b.server.addr, channelEnv+"="+p.channel,
		countEnv+"="+strconv.Itoa(c.load.n), configEnv+"="+dir, postgresEnv+"="+b.postgres)
	p.cmd.Env = append(p.cmd.Env, env...)
	if c.http {
		if p.address, err = freeAddress(); err != nil {
			return nil, err
		}
		p.cmd.Env = append(p.cmd.Env, "SIGNALBOX_HTTP__LISTEN="+p.address)
	}
	if c.routes != nil {
		if err := c.routes(p.channel).write(dir); err != nil {
			return nil, err
		}
	}
	if err := p.run(); err != nil || !c.page {
		return p, err
	}
	if err := p.look(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// run starts the process.
func (p *process) run() error {
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	// What it logs, for Signalbox says there that it is ready, and for whoever wants to
	// know why it is not.
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go p.listen(out)
	ready := make(chan string, 1)
	go func() { ready <- p.follow(logs) }()
	select {
	case why := <-ready:
		if why != "" {
			p.stop()
			return fmt.Errorf("%s did not begin:\n%s", p.name, why)
		}
	case line, ok := <-p.lines:
		if line != "ready" {
			p.stop()
			why := line
			if !ok {
				why = <-ready
			}
			return fmt.Errorf("%s did not begin:\n%s", p.name, why)
		}
	case <-time.After(patience):
		p.stop()
		return fmt.Errorf("%s is not ready", p.name)
	}
	p.took = time.Since(p.began)
	return nil
}

func (p *process) listen(out io.Reader) {
	defer close(p.lines)
	for scan := bufio.NewScanner(out); scan.Scan(); {
		p.lines <- scan.Text()
	}
}

// follow reads the log until the end. It returns the log when that came before Signalbox
// was ready, and at once, nothing, when it is.
func (p *process) follow(logs io.Reader) string {
	var all strings.Builder
	scan := bufio.NewScanner(logs)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Text()
		if strings.Contains(line, "msg=ready") {
			go func() {
				for scan.Scan() {
					if text := scan.Text(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
						fmt.Fprintln(os.Stderr, text)
					}
				}
			}()
			return ""
		}
		all.WriteString(line + "\n")
	}
	return all.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// stop ends the contender, and removes what it read and wrote.
func (p *process) stop() {
	p.kill()
	p.b.server.client.Del(p.b.ctx, p.channel, out(p.channel))
}

// drain holds the contender up, sends the load, and returns how long it then takes.
func (p *process) drain() (time.Duration, error) {
	p.drained++
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	send := p.load.publish
	if p.stream {
		send = p.load.add
	}
	if err := send(p.b.ctx, p.b.server.client, p.channel); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return 0, err
	}
	if p.forward {
		return p.awaitForwarded(begin)
	}
	if p.save {
		return p.awaitSaved(begin)
	}
	var last time.Duration
	for range max(1, p.tallies) {
		at, err := p.awaitDone()
		if err != nil {
			return 0, err
		}
		last = max(last, at.Sub(begin))
	}
	time.Sleep(50 * time.Millisecond) // what it has still to acknowledge is not a part of the next drain
	return last, nil
}

// awaitDone returns when the contender has handled the load.
func (p *process) awaitDone() (time.Time, error) {
	select {
	case line, ok := <-p.lines:
		var n, sum uint64
		var at int64
		if _, err := fmt.Sscanf(line, "done %d %d %d", &n, &sum, &at); !ok || err != nil {
			return time.Time{}, fmt.Errorf("%s said %q; want done", p.name, line)
		}
		want := uint64(p.drained) * p.load.sum()
		if p.blind {
			want = 0
		}
		if n != uint64(p.drained*p.load.n) || sum != want {
			return time.Time{}, fmt.Errorf("%s handled %d messages with the sum %d; want %d and %d", p.name, n, sum, p.drained*p.load.n, want)
		}
		return time.Unix(0, at), nil
	case <-time.After(patience):
		return time.Time{}, fmt.Errorf("%s handled fewer than %d messages", p.name, p.load.n)
	case <-p.b.ctx.Done():
		return time.Time{}, p.b.ctx.Err()
	}
}

// awaitForwarded returns how long it took until the load was in the other stream, and
// empties that.
func (p *process) awaitForwarded(begin time.Time) (time.Duration, error) {
	ctx, to := p.b.ctx, p.b.server.client
	for {
		n, err := to.XLen(ctx, out(p.channel)).Result()
		took := time.Since(begin)
		switch {
		case err != nil:
			return 0, err
		case n > int64(p.load.n):
			return 0, fmt.Errorf("%s forwarded %d of %d messages", p.name, n, p.load.n)
		case n == int64(p.load.n):
			return took, p.forwardedRight()
		case took > patience:
			return 0, fmt.Errorf("%s forwarded %d of %d messages", p.name, n, p.load.n)
		}
		time.Sleep(time.Millisecond)
	}
}

// forwardedRight checks what was forwarded, in its order, and removes it.
func (p *process) forwardedRight() error {
	ctx, to := p.b.ctx, p.b.server.client
	entries, err := to.XRange(ctx, out(p.channel), "-", "+").Result()
	if err != nil {
		return err
	}
	for i, entry := range entries {
		if payload, _ := entry.Values["payload"].(string); payload != string(p.load.message(i)) {
			return fmt.Errorf("%s: message %d was forwarded as %.300q", p.name, i, payload)
		}
	}
	return to.XTrimMaxLen(ctx, out(p.channel), 0).Err()
}

// rate is messages per second in one round: a drain that does not count, and the median of
// those that do.
func (b *bench) rate(c *contender) (float64, error) {
	p, err := b.start(c)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	rates := make([]float64, 0, b.drains)
	for range b.drains + 1 {
		took, err := p.drain()
		if err != nil {
			return 0, err
		}
		rates = append(rates, float64(c.load.n)/took.Seconds())
	}
	return median(rates[1:]), nil
}

// rates runs rounds of all contenders in turns.
func (b *bench) rates(contenders ...*contender) (map[string][]float64, error) {
	all := map[string][]float64{}
	for round := range b.rounds {
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)] // nobody is always the first
			rate, err := b.rate(c)
			if err != nil {
				return nil, err
			}
			all[c.name] = append(all[c.name], rate)
		}
	}
	return all, nil
}
