//go:build failpoints

package chaos

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"
)

// data is what an event carries.
type data struct {
	N   int    `json:"n"`
	Do  string `json:"do,omitempty"`
	Pad string `json:"pad,omitempty"`
	Sum uint32 `json:"sum"`
}

func (d data) sum(id string) uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%s %d %s %s", id, d.N, d.Do, d.Pad))
}

// effect is one run of a handler on one event.
type effect struct {
	by         *proc
	begin, end time.Time // end is zero when it did not come to that
	intact     bool      // the checksum was right
	ok         bool
}

// use is what a process uses when nothing is going on.
type use struct{ goroutines, files, heap int }

// journalOf reads what a process wrote down: effects by event, in order.
func journalOf(tb testing.TB, p *proc) (map[string][]*effect, []use) {
	file, err := os.Open(p.effects)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	effects := map[string][]*effect{}
	var uses []use
	for scan := bufio.NewScanner(file); scan.Scan(); {
		line := scan.Text()
		word, _, _ := strings.Cut(line, " ")
		var id string
		var at int64
		switch word {
		case "begin":
			e := &effect{by: p}
			if _, err := fmt.Sscanf(line, "begin %s %d %t", &id, &at, &e.intact); err != nil {
				tb.Fatalf("%s: %q: %v", p.effects, line, err)
			}
			e.begin = time.Unix(0, at)
			effects[id] = append(effects[id], e)
		case "end":
			var verdict string
			if _, err := fmt.Sscanf(line, "end %s %d %s", &id, &at, &verdict); err != nil {
				tb.Fatalf("%s: %q: %v", p.effects, line, err)
			}
			for _, e := range effects[id] {
				if e.end.IsZero() {
					e.end, e.ok = time.Unix(0, at), verdict == "ok"
					break
				}
			}
		case "use":
			var u use
			if _, err := fmt.Sscanf(line, "use %d %d %d", &u.goroutines, &u.files, &u.heap); err == nil {
				uses = append(uses, u)
			}
		}
	}
	return effects, uses
}
