//go:build failpoints

package chaos

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is what the rounds of a fault came to.
type row struct {
	fault             fault
	rounds, bad       int
	events            int
	lost, told        int
	duplicates        int
	recovery, longest time.Duration
	seed              uint64 // of the round with the worst recovery, or of the first bad one
}

// report collects the rows of a run.
type report struct {
	begin time.Time
	mu    sync.Mutex
	rows  []*row
}

// add takes in a round.
func (p *report) add(f fault, seed uint64, r *round, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var of *row
	for _, known := range p.rows {
		if known.fault.name == f.name {
			of = known
		}
	}
	if of == nil {
		of = &row{fault: f, seed: seed}
		p.rows = append(p.rows, of)
	}
	of.rounds++
	if r.producer != nil {
		of.events += r.producer.events()
	}
	if r.other != nil {
		of.events += r.other.events()
	}
	of.lost += r.lost
	of.told += r.told
	of.duplicates += r.duplicates
	of.longest = max(of.longest, took)
	if len(r.found) > 0 || r.Failed() {
		if of.bad == 0 {
			of.seed = seed
		}
		of.bad++
	}
	if r.recovery > of.recovery {
		of.recovery = r.recovery
		if of.bad == 0 {
			of.seed = seed
		}
	}
}

// markdown is the table, in the order of faults.
func (p *report) markdown(faults []fault) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	b.WriteString("| | fault | rounds | events | lost silently | lost and told | duplicates | worst recovery | its seed |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range faults {
		for _, of := range p.rows {
			if of.fault.name != f.name {
				continue
			}
			rounds := fmt.Sprint(of.rounds)
			if of.bad > 0 {
				rounds += fmt.Sprintf(" (**%d failed**)", of.bad)
			}
			recovery := "–"
			if of.recovery > 0 {
				recovery = of.recovery.Round(10 * time.Millisecond).String()
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %s | %d |\n",
				f.number, strings.ReplaceAll(f.name, "_", " "), rounds, of.events, of.lost, of.told, of.duplicates, recovery, of.seed)
		}
	}
	fmt.Fprintf(&b, "\nSeeds from %d on; %v in all.\n", *seed, time.Since(p.begin).Round(time.Second))
	return b.String()
}

// print shows the table, and writes it where it was asked for.
func (p *report) print(t *testing.T, faults []fault) {
	text := p.markdown(faults)
	if *table == "" {
		fmt.Print("\n" + text)
	} else if err := os.WriteFile(*table, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
}
