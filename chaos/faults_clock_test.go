//go:build failpoints

package chaos

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"signalbox/internal/redistest"
)

// clockFaults set a clock wrong.
func clockFaults() []fault {
	return []fault{
		{number: "33", name: "clock_1h_behind", run: func(r *round) { r.clock(-time.Hour) }},
		{number: "33", name: "clock_1h_ahead", run: func(r *round) { r.clock(time.Hour) }},
		{number: "33", name: "redis_clock_set_back", run: clockSetBack},
	}
}

// aged is a route that handles each event once, and none that is old.
const aged = dedupe + "\nmax_age = \"1m\""

// clock: the clock of a router's machine is wrong. What is new by the clock of Redis is
// handled, once, and what is old by it is not.
func (r *round) clock(skew time.Duration) {
	ctx := context.Background()
	r.serve()
	p := r.router(config{route: aged}, "CHAOS_CLOCK="+skew.String())
	r.producer.add(ctx, make([]string, r.between(100, 500))...)
	old := r.producer.last(50)
	for i, message := range old { // as events that nobody has sent: they must not be handled
		id := bytes.Replace(message, []byte(`"id":"`), []byte(`"id":"old-`), 1)
		old[i] = fmt.Appendf(nil, `{"time":%q,%s`, time.Now().Add(-2*time.Minute).Format(time.RFC3339), id[1:])
	}
	if err := r.producer.addRaw(ctx, append(r.producer.last(50), old...)...); err != nil {
		r.Fatal(err)
	}
	r.settle()
	r.happened(p, "the clock of this machine and Redis' clock differ; ages are told by Redis'")
}

// clockSetBack: the clock of Redis is set back by an hour, under load.
func clockSetBack(r *round) {
	file, env := settableClock(r)
	r.serve(redistest.Env(env...))
	c := config{route: aged}
	p := r.router(c)
	r.router(c)
	stop := r.load(500)
	r.awaitHandled(r.between(100, 500))
	r.setClock(file, -time.Hour)
	eventually(r, "the router learns of it", func() bool {
		return p.logged("the clock of this machine and Redis' clock differ; ages are told by Redis'")
	})
	r.mend()
	stop()
	r.settle()
}

// setClock sets a settable clock. The file is mapped: it must not shrink meanwhile.
func (r *round) setClock(file string, ahead time.Duration) {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := binary.Write(f, binary.NativeEndian, int64(ahead/time.Second)); err != nil {
		r.Fatal(err)
	}
}

// settableClock makes what gives a program a clock of its own, ahead by the seconds in
// the file, and the variables that make it use that.
func settableClock(r *round) (file string, env []string) {
	file = filepath.Join(r.dir, "clock")
	lib := filepath.Join(r.dir, "clock.so")
	if err := os.WriteFile(file, make([]byte, 8), 0o600); err != nil {
		r.Fatal(err)
	}
	compile := exec.Command("cc", "-shared", "-fPIC", "-o", lib, "testdata/clock.c") //nolint:noctx // it ends by itself
	if out, err := compile.CombinedOutput(); err != nil {
		r.Fatalf("compile testdata/clock.c: %v\n%s", err, out)
	}
	return file, []string{"LD_PRELOAD=" + lib, "CHAOS_SERVER_CLOCK=" + file}
}
