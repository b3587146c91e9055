package brokertest

import (
	"context"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// beat is how often ticks are sent that have become due, at most.
const beat = 2 * time.Millisecond

// feed sends ticks to a session until it ends. A tick is known by its number, which the clock says:
// the market goes on while nobody listens.
func (b *Broker) feed(ctx context.Context, t *talk, symbols []string, life <-chan time.Time) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	next := b.due()
	var seq int64
	for {
		select {
		case message, ok := <-t.in:
			if !ok {
				return errLost
			}
			var err error
			if symbols, err = b.request(ctx, t, message, symbols); err != nil {
				return err
			}
		case <-ticker.C:
			o, upto := b.now(), b.due()
			ticks := b.ticks(o, symbols, next, upto, &seq)
			next = upto
			if err := b.publish(ctx, t, o, ticks); err != nil {
				return err
			}
		case bye := <-t.gone:
			return bye
		case <-life:
			return goodbye{websocket.StatusServiceRestart, "restart"}
		case <-ctx.Done():
			return errLost
		}
	}
}

// due is the number of the first tick that is still to come.
func (b *Broker) due() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first + int64(time.Since(b.began).Seconds()*float64(b.options.Rate))
}

// ticks are those of the subscribed symbols from one number to before another, as they are sent.
func (b *Broker) ticks(o Options, symbols []string, from, upto int64, seq *int64) []Tick {
	var ticks []Tick
	for i := from; i < upto; i++ {
		n := int(i % int64(o.Symbols))
		symbol := symbolOf(n)
		if o.Mute || !slices.Contains(symbols, "*") && !slices.Contains(symbols, symbol) {
			continue
		}
		*seq++
		tick := Tick{Type: "t", Sym: symbol, ID: i, Price: 100 + float64(i%1000)/100, Time: time.Now().UTC(), Seq: *seq}
		if o.PerSymbol {
			tick.Seq = i/int64(o.Symbols) + 1
		}
		if o.SkipEvery > 0 && *seq%int64(o.SkipEvery) == 0 {
			continue
		}
		ticks = append(ticks, tick)
		if o.RepeatEvery > 0 && *seq%int64(o.RepeatEvery) == 0 {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

func (b *Broker) publish(ctx context.Context, t *talk, o Options, ticks []Tick) error {
	if o.Batch == 0 {
		for _, tick := range ticks {
			if err := t.data(ctx, tick, 1); err != nil {
				return err
			}
		}
		return nil
	}
	for chunk := range slices.Chunk(ticks, o.Batch) {
		if err := t.data(ctx, chunk, len(chunk)); err != nil {
			return err
		}
	}
	return nil
}
