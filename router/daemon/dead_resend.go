package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router"
	"signalbox/router/internal/batch"
	"signalbox/router/internal/wording"
	"signalbox/router/transport"
)

// run replays, and says how it went.
func (r *replay) run(ctx context.Context) error {
	send := r.add
	if r.channel.Transport != router.Stream {
		send = r.publish
	}
	done, err := r.eachPage(ctx, r.total, r.skip, send)
	if err != nil {
		return halfway(err, done, r.total, "replayed")
	}
	if done > 0 || len(r.deaf) == 0 {
		fmt.Fprintf(r.opts.Stdout, "%s of %s replayed%s\n", wording.Count(done, "dead letter"), r.channel.Name, r.receivers())
	}
	if len(r.deaf) == 0 {
		return nil
	}
	kept := 0
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.deaf)) {
		kept += r.deaf[name]
		names = append(names, strconv.Quote(name))
	}
	return fmt.Errorf("%s kept: nobody listens on %s, and Pub/Sub keeps nothing", wording.Count(kept, "dead letter"), strings.Join(names, ", "))
}

// add adds letters to the stream, and removes those that certainly are there.
func (r *replay) add(ctx context.Context, page []letter) (int, error) {
	msgs := make([]*message.Message, len(page))
	for i := range page {
		l := &page[i]
		to := r.target(l)
		id := cmp.Or(l.event, l.fields["entry"])
		msgs[i] = message.NewMessageWithContext(ctx, id, message.Payload(l.fields["payload"]))
		msgs[i].Metadata = transport.ReplayFields(batch.Replay{
			Group: to.group, Route: to.route, Count: l.number("replays") + 1, ID: id, Time: l.sent(),
		})
	}
	_, err := r.redis.StreamPublisher(r.channel.MaxLen).Send(ctx, r.channel.Topic, msgs...)
	return r.sent(ctx, sentOf(page, err), err)
}

// sentOf are the letters that were sent, when err is why others were not.
func sentOf(letters []letter, err error) []letter {
	var each batch.Errors
	switch {
	case err == nil:
		return letters
	case !errors.As(err, &each):
		return nil
	}
	var sent []letter
	for i, l := range letters {
		if each[i] == nil {
			sent = append(sent, l)
		}
	}
	return sent
}

// sent removes letters that were sent; err is why others were not.
func (r *replay) sent(ctx context.Context, letters []letter, err error) (int, error) {
	if removing := r.remove(ctx, letters); removing != nil {
		return len(letters), fmt.Errorf("%w: those were replayed and would be again", removing)
	}
	return len(letters), err
}

// publish sends letters to who listens now, and removes those that somebody got.
func (r *replay) publish(ctx context.Context, page []letter) (done int, err error) {
	for len(page) > 0 && err == nil {
		name, n := r.target(&page[0]).name, 1
		for n < len(page) && r.target(&page[n]).name == name {
			n++
		}
		var sent int
		sent, err = r.publishTo(ctx, name, page[:n])
		done += sent
		page = page[n:]
	}
	return done, err
}

func (r *replay) publishTo(ctx context.Context, name string, letters []letter) (int, error) {
	msgs := make([]*message.Message, len(letters))
	for i, l := range letters {
		msgs[i] = message.NewMessageWithContext(ctx, l.event, message.Payload(l.fields["payload"]))
	}
	receivers, err := r.redis.PubSubPublisher().Send(ctx, name, msgs...)
	var got []letter
	for i, l := range letters {
		switch n := receivers[i]; {
		case n > 0:
			got = append(got, l)
			if r.max == 0 || n < r.min {
				r.min = n
			}
			r.max = max(r.max, n)
		case err == nil:
			if r.deaf == nil {
				r.deaf = map[string]int{}
			}
			r.deaf[name]++
		}
	}
	return r.sent(ctx, got, err)
}

// receivers says how many subscribers got each letter.
func (r *replay) receivers() string {
	switch {
	case r.max == 0:
		return ""
	case r.max == 1:
		return "; 1 subscriber got each"
	case r.min == r.max:
		return fmt.Sprintf("; %d subscribers got each", r.max)
	default:
		return fmt.Sprintf("; %d to %d subscribers got each", r.min, r.max)
	}
}
