//go:build failpoints

package chaos

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
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

// written is what a process wrote down so far: read bit by bit, since rounds look often.
type written struct {
	offset  int64
	effects map[string][]*effect // by event, in order
	uses    []use
	done    map[byte]int // events that were handled, by the first letter of their ids
}

// read reads what was written since the last time.
func (p *proc) read() *written {
	w := &p.written
	if w.effects == nil {
		w.effects, w.done = map[string][]*effect{}, map[byte]int{}
	}
	file, err := os.Open(p.effects)
	if os.IsNotExist(err) {
		return w
	}
	if err != nil {
		p.tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(file, w.offset, 1<<30))
	if err != nil {
		p.tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		w.offset += int64(len(line))
		if err := w.add(p, strings.Fields(line)); err != nil {
			p.tb.Fatalf("%s: %q: %v", p.effects, line, err)
		}
	}
	return w
}

// add takes in a line.
func (w *written) add(p *proc, words []string) error {
	if len(words) != 4 {
		return errors.New("want four words")
	}
	if words[0] == "use" {
		var u use
		_, err := fmt.Sscan(strings.Join(words[1:], " "), &u.goroutines, &u.files, &u.heap)
		w.uses = append(w.uses, u)
		return err
	}
	id := words[1]
	ns, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return err
	}
	at := time.Unix(0, ns)
	if words[0] == "begin" {
		w.effects[id] = append(w.effects[id], &effect{by: p, begin: at, intact: words[3] == "true"})
		return nil
	}
	of := w.effects[id]
	i := slices.IndexFunc(of, func(e *effect) bool { return e.end.IsZero() })
	if i < 0 {
		return errors.New("it ends and did not begin")
	}
	if words[3] == "ok" && !handled(of) {
		w.done[id[0]]++
	}
	of[i].end, of[i].ok = at, words[3] == "ok"
	return nil
}
