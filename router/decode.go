package router

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"
)

const (
	defaultMaxBytes = 1 << 20
	splitSelf       = "." // Fields.Split: the message itself is the array
)

// decoder turns the raw messages of one channel into events.
type decoder struct {
	channel Channel
	members *member
	carrier *member // of a message around an array; nothing unless the channel is split at a path
	walkers sync.Pool
}

func newDecoder(ch Channel) *decoder {
	f := &ch.Fields
	if f.MaxBytes == 0 {
		f.MaxBytes = defaultMaxBytes
	}
	paths := [slotCount]string{
		slotType:   or(f.Type, "type"),
		slotID:     or(f.ID, "id"),
		slotTime:   or(f.Time, "time"),
		slotSource: "source",
		slotKey:    f.Key,
		slotData:   "data",
		slotSeq:    f.Seq,

		slotTraceParent: traceParentField,
		slotTraceState:  traceStateField,
	}
	members, count := memberTree(paths)
	d := &decoder{channel: ch, members: members, carrier: &member{}}
	if f.Split != "" && f.Split != splitSelf {
		var more int
		d.carrier, more = memberTree([slotCount]string{slotID: or(f.ID, "id"), slotSplit: f.Split})
		count = max(count, more)
	}
	d.walkers.New = func() any { return newWalker(count) }
	return d
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// split returns the elements of the array that a message holds, each a message of its
// own. It reports false where the channel is not split, or the message has no array.
func (d *decoder) split(in Message) (parts []Message, split bool, err error) {
	if d.channel.Fields.Split == "" {
		return nil, false, nil
	}
	array, id, err := d.array(in)
	if err != nil || array == "" {
		return nil, false, err
	}
	gjson.Parse(array).ForEach(func(_, element gjson.Result) bool {
		part := in
		part.ID = id + "-" + strconv.Itoa(len(parts)+1)
		part.Payload = bytesOf(element.Raw)
		parts = append(parts, part)
		return true
	})
	return parts, true, nil
}

// events decodes a whole message.
func (d *decoder) events(in Message) ([]Event, error) {
	parts, split, err := d.split(in)
	if err != nil {
		return nil, err
	}
	if !split {
		parts = []Message{in}
	}
	var (
		events []Event
		errs   []error
	)
	for _, p := range parts {
		var event Event
		if err := d.event(&event, p); err != nil {
			errs = append(errs, err)
			continue
		}
		events = append(events, event)
	}
	return events, errors.Join(errs...)
}

// array is the array that the channel's messages are split at, or nothing, and what
// the ids of its elements begin with: the id of the message around the array, else
// the stream entry's, else a new one.
func (d *decoder) array(in Message) (elements, id string, err error) {
	w := d.walkers.Get().(*walker)
	defer d.walkers.Put(w)
	if err := d.read(w, d.carrier, in); err != nil {
		return "", "", err
	}
	at := w.whole
	if d.channel.Fields.Split != splitSelf {
		at = w.slots[slotSplit]
	}
	if at.kind != array {
		return "", "", nil
	}
	if id = or(w.slots[slotID].text(), in.ID); id == "" {
		id = newID()
	}
	return at.raw, id, nil
}

// read scans a message for the members of a tree.
func (d *decoder) read(w *walker, root *member, in Message) error {
	switch {
	case len(in.Payload) > d.channel.Fields.MaxBytes || !w.scan(root, text(in.Payload)):
		return d.refusal(in.Payload)
	case in.Twice != "":
		return standsTwice(in.Payload, in.Twice, 0)
	case w.twice != nil:
		return standsTwice(in.Payload, w.twice.path, w.where)
	default:
		return nil
	}
}

// event fills ev from one message.
func (d *decoder) event(ev *Event, in Message) error {
	w := d.walkers.Get().(*walker)
	defer d.walkers.Put(w)
	if err := d.read(w, d.members, in); err != nil {
		return err
	}
	if w.whole.kind != object {
		return malformed(in.Payload, CauseNotObject, w.whole.at, "the message is "+article(w.whole.kind)+", not a JSON object")
	}
	typ, err := d.typeOf(w, in.Payload)
	if err != nil {
		return err
	}
	if len(d.channel.Schemas) > 0 { // here, since most channels have none
		if err := d.satisfies(typ, in.Payload); err != nil {
			return err
		}
	}
	ev.Type = typ
	ev.Channel = d.channel.Name
	ev.Name = in.Name
	ev.Msg = in.Payload
	if ev.ID = w.slots[slotID].text(); ev.ID == "" {
		ev.ID = in.ID
	}
	if ev.ID == "" {
		ev.ID = newID()
	}
	if ev.Time = timeOf(&w.slots[slotTime]); ev.Time.IsZero() {
		ev.Time = in.Time
	}
	if source := &w.slots[slotSource]; source.kind == quoted {
		ev.Source = source.text()
	}
	if ev.Key = w.slots[slotKey].text(); ev.Key == "" && d.channel.Fields.KeyFromName {
		ev.Key = in.Name
	}
	ev.TraceParent, ev.TraceState = "", ""
	if parent := &w.slots[slotTraceParent]; parent.kind == quoted {
		ev.TraceParent, ev.TraceState = traceContext(parent.text(), w.slots[slotTraceState].text())
	}
	ev.seq = sequenceOf(&w.slots[slotSeq])
	ev.Data = in.Payload
	if data := &w.slots[slotData]; data.kind != missing {
		ev.Data = bytesOf(data.raw)
	}
	return nil
}

func standsTwice(payload []byte, field string, offset int) error {
	return malformed(payload, CauseTwice, offset, fmt.Sprintf("the field %q stands twice", field))
}

func (d *decoder) typeOf(w *walker, payload []byte) (string, error) {
	field := or(d.channel.Fields.Type, "type")
	switch typ := &w.slots[slotType]; {
	case typ.kind == missing:
		if d.channel.Fields.DefaultType != "" {
			return d.channel.Fields.DefaultType, nil
		}
		return "", malformed(payload, CauseNoType, 0, fmt.Sprintf("the message has no field %q that says its type", field))
	case typ.kind != quoted:
		return "", malformed(payload, CauseBadType, typ.at, fmt.Sprintf("the field %q is %s, not a string", field, article(typ.kind)))
	case typ.raw == `""`:
		return "", malformed(payload, CauseBadType, typ.at, fmt.Sprintf("the field %q is empty", field))
	default:
		return typ.text(), nil
	}
}
