package brokertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// meter counts what a client sends.
type meter struct {
	mu   sync.Mutex
	most int // in a second; 0: any number
	came []time.Time
}

// add reports whether one more is still allowed.
func (m *meter) add() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.came = append(slices.DeleteFunc(m.came, func(at time.Time) bool { return now.Sub(at) > time.Second }), now)
	return m.most == 0 || len(m.came) <= m.most
}

// tooMany is how a connection ends that has sent too much.
func tooMany() goodbye { return goodbye{websocket.StatusPolicyViolation, "Too many requests"} }

// desk serves one connection of a fake.
type desk struct {
	rules Rules
	busy  bool // the client has done what it had to do in time
	late  goodbye

	hear  func(context.Context, []byte) error
	trade func(context.Context) error // nil: never
	beat  func(context.Context) error
	warn  func(context.Context) error

	begun, heard, traded, beaten time.Time
	warned                       bool
}

// serve does so until the connection ends. within is what the client has until it is busy.
func (d *desk) serve(ctx context.Context, t *talk, within time.Duration) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	d.begun = time.Now()
	d.heard, d.traded, d.beaten = d.begun, d.begun, d.begun
	for {
		var err error
		select {
		case message, ok := <-t.in:
			if !ok {
				return errLost
			}
			d.heard = time.Now()
			if !t.meter.add() {
				return tooMany()
			}
			err = d.hear(ctx, message)
		case now := <-ticker.C:
			if !d.busy && within > 0 && now.Sub(d.begun) > within {
				return d.late
			}
			err = d.tick(ctx, now)
		case bye := <-t.gone:
			return bye
		case <-ctx.Done():
			return errLost
		}
		if err != nil {
			return err
		}
	}
}

// tick does what is due.
func (d *desk) tick(ctx context.Context, now time.Time) error {
	age, r := now.Sub(d.begun), d.rules
	switch {
	case r.Life > 0 && age > r.Life:
		return goodbye{websocket.StatusGoingAway, "the connection is too old"}
	case r.Idle > 0 && now.Sub(d.heard) > r.Idle:
		return goodbye{websocket.StatusGoingAway, "the connection is idle"}
	case d.warn != nil && !d.warned && r.Life > 0 && r.Notice > 0 && age > r.Life-r.Notice:
		d.warned = true
		return d.warn(ctx)
	case d.trade != nil && now.Sub(d.traded) >= r.Trades:
		d.traded = now
		return d.trade(ctx)
	case d.beat != nil && r.Heartbeat > 0 && now.Sub(d.beaten) >= r.Heartbeat:
		d.beaten = now
		return d.beat(ctx)
	}
	return nil
}
