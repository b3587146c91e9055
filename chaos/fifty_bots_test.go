//go:build failpoints

package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/brokertest"
	"signalbox/internal/redistest"
)

// fan is how many bots hear a source, and what happens meanwhile.
type fan struct {
	goBots, pythonBots int
	rate               int // ticks a second
	rounds             int // each has a kill, a freeze and a cut of the holder; plus one kill
	between            time.Duration
}

// TestFiftyBots is the reason for sources: one connection to the broker, and as many bots as
// there are. Nothing disturbs Redis and the bots, so each must see everything.
func TestFiftyBots(t *testing.T) {
	of := fan{goBots: 4, pythonBots: 1, rate: 1000, rounds: 1, between: time.Second}
	if *large && !raced {
		of = fan{goBots: 44, pythonBots: 6, rate: 5000, rounds: 3, between: 10 * time.Second}
	}
	of.run(t)
}

func (f fan) run(t *testing.T) {
	r := newRelay(t, *seed, brokertest.Both, "")
	r.broker.Change(func(o *brokertest.Options) { o.Rate, o.Symbols, o.Batch = f.rate, 20, 50 })
	r.reader.symbols = 20
	var bots []*listener
	for i := range f.goBots + f.pythonBots {
		bots = append(bots, listen(t, i < f.goBots, r.server))
	}
	r.beginAll()
	r.flows(time.Now())
	for range f.rounds {
		for _, fault := range []func(*seat){r.crash, r.freeze, r.cut} {
			fault(r.holder())
			time.Sleep(f.between)
		}
	}
	r.crash(r.holder())
	r.flows(time.Now())
	for _, s := range r.routers {
		s.proc.terminate()
	}
	time.Sleep(time.Second) // what was published is on its way
	f.compare(t, r, bots)
}

// compare holds what the bots saw against each other, and against what they should have seen.
func (f fan) compare(t *testing.T, r *relay, bots []*listener) {
	r.judge()
	var first sightings
	total := 0
	for i, b := range bots {
		saw := b.end()
		if saw.Wrongs > 0 {
			t.Errorf("%s: %d complaints: %s", b.name, saw.Wrongs, strings.Join(saw.Wrong, "; "))
		}
		if i == 0 {
			first = saw
			for _, n := range saw.Seen {
				total += n
			}
			continue
		}
		if !maps.Equal(saw.Seen, first.Seen) || saw.Connections != first.Connections || saw.Gaps != first.Gaps {
			t.Errorf("%s saw something else than %s", b.name, bots[0].name)
		}
	}
	epochs := map[string]bool{}
	for of := range first.Seen {
		epoch, _, _ := strings.Cut(of, "/")
		epochs[epoch] = true
	}
	slices.Sort(r.took)
	var connected time.Duration
	for _, one := range r.broker.Sessions() {
		connected += one.End.Sub(one.Begin)
	}
	t.Logf("the broker sent %d ticks in %d sessions that lasted %s, %.0f a second, at most %d at once", r.broker.Sent(),
		len(r.broker.Sessions()), connected.Round(time.Second), float64(r.broker.Sent())/connected.Seconds(), r.broker.MaxConcurrent())
	t.Logf("each of %d bots saw %d events, of %d epochs, with %d connections and %d gaps", len(bots), total, len(epochs), first.Connections, first.Gaps)
	t.Logf("from a fault until ticks flowed: %s in half of %d cases, at most %s",
		r.took[len(r.took)/2].Round(time.Millisecond), len(r.took), r.took[len(r.took)-1].Round(time.Millisecond))
	if want := 3*f.rounds + 2; len(epochs) < want || first.Connections < want {
		t.Errorf("%d epochs and %d connections, want %d or more: the faults did not happen", len(epochs), first.Connections, want)
	}
}

// listener is a bot's process.
type listener struct {
	tb   testing.TB
	name string
	cmd  *exec.Cmd
	out  *bufio.Reader
}

// listen starts a bot and returns when it hears.
func listen(tb testing.TB, inGo bool, server *redistest.Server) *listener {
	tb.Helper()
	_, port, _ := strings.Cut(server.Addr(), ":")
	b := &listener{tb: tb, name: "bot.go"}
	if inGo {
		self, err := os.Executable()
		if err != nil {
			tb.Fatal(err)
		}
		b.cmd = exec.Command(self) //nolint:noctx // ended by end
		b.cmd.Env = append(os.Environ(), feedBotEnv+"="+server.Addr(), "GOMAXPROCS=1")
	} else {
		b.name = "bot.py"
		b.cmd = exec.Command(redistest.Python(tb), "testdata/feed_bot.py", port, feedTopic) //nolint:noctx // likewise
	}
	b.cmd.Stderr = tb.Output()
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	b.name += " " + strconv.Itoa(b.cmd.Process.Pid)
	tb.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	})
	b.out = bufio.NewReader(out)
	if line, err := b.out.ReadString('\n'); line != "ready\n" {
		tb.Fatalf("%s said %q: %v", b.name, line, err)
	}
	return b
}

// end stops the bot and returns what it saw.
func (b *listener) end() (saw sightings) {
	b.tb.Helper()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	text, err := io.ReadAll(b.out)
	if err == nil {
		err = json.Unmarshal(text, &saw)
	}
	if err != nil {
		b.tb.Fatal(fmt.Errorf("%s said %q: %w", b.name, text, err))
	}
	return saw
}
