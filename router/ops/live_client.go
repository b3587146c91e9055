package ops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
)

// What waits for a browser that is slow. More is dropped, the oldest first.
const (
	queueNotices = 64
	queueBytes   = 4 << 20
)

// notice is a server-sent event as it is written, made once for all browsers.
type notice struct {
	text   []byte
	events int // that it tells
}

// newNotice makes a notice; id may be empty.
func newNotice(kind, id string, body any) notice {
	data, err := json.Marshal(body)
	if err != nil { // not reached: what we tell is made of texts and numbers
		data = []byte("null")
	}
	var b bytes.Buffer
	b.Grow(len(data) + 64)
	fmt.Fprintf(&b, "event: %s\n", kind)
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	b.WriteString("data: ")
	b.Write(data)
	b.WriteString("\n\n")
	return notice{text: b.Bytes()}
}

// client is one browser. Of "config" and "counts" only the newest is worth sending.
type client struct {
	wake chan struct{} // has one when something waits

	mu     sync.Mutex
	config notice
	counts notice
	events []notice
	bytes  int    // of events
	missed uint64 // events that were dropped
}

func newClient() *client { return &client{wake: make(chan struct{}, 1)} }

func (c *client) putConfig(f notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config = f
	c.rouse()
}

func (c *client) putCounts(f notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = f
	c.rouse()
}

func (c *client) putEvents(f notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, f)
	c.bytes += len(f.text)
	for len(c.events) > queueNotices || c.bytes > queueBytes && len(c.events) > 1 {
		c.missed += uint64(c.events[0].events) //nolint:gosec // a count
		c.bytes -= len(c.events[0].text)
		c.events = c.events[1:]
	}
	c.rouse()
}

// rouse never waits.
func (c *client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take is all that waits, in the order in which it is to be told.
func (c *client) take() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	texts := make([][]byte, 0, len(c.events)+2)
	if c.config.text != nil {
		texts = append(texts, c.config.text)
	}
	for _, f := range c.events {
		texts = append(texts, f.text)
	}
	if c.counts.text != nil {
		texts = append(texts, withMissed(c.counts.text, c.missed))
	}
	c.config, c.counts, c.events, c.bytes = notice{}, notice{}, nil, 0
	return texts
}

// withMissed puts into a notice of counts, which is made for all, what is one browser's own.
func withMissed(counts []byte, missed uint64) []byte {
	if missed == 0 {
		return counts
	}
	body := bytes.TrimSuffix(counts, []byte("}\n\n"))
	with := make([]byte, 0, len(counts)+32)
	with = append(append(with, body...), `,"missed":`...)
	return append(strconv.AppendUint(with, missed, 10), "}\n\n"...)
}
