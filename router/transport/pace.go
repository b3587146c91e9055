package transport

import (
	"errors"
	"net"
	"time"
)

// slackMost is how late a reply may come on the slowest link. The link may also be dead,
// and is given up that much later.
const slackMost = 30 * time.Second

// pace is how much a reader asks for at once, and how long it waits for it. A reply that
// does not come whole in time is lost, and the next try would not do better: on a slow
// link it asks for less, and when that is one entry, it waits longer.
type pace struct {
	most  int           // entries
	slack time.Duration // how much later than BLOCK a reply may come
}

func newPace() pace { return pace{readMost, readSlack} }

// failed slows down when err is that a reply did not come in time.
func (p *pace) failed(err error) {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case !ok || !timeout.Timeout():
	case p.most > 1:
		p.most = max(1, p.most/4)
	default:
		p.slack = min(2*p.slack, slackMost)
	}
}

// worked speeds up again, step by step, when there was something to read.
func (p *pace) worked(entries int) {
	if entries > 0 {
		p.most = min(2*p.most, readMost)
		p.slack = max(p.slack/2, readSlack)
	}
}
