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
	carrier *member // of a message around an array, when the channel is split at a path
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
	}
	members, count := memberTree(paths)
	d := &decoder{channel: ch, members: members}
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

// part is one of the messages that an array holds.
type part struct {
	Message
	value gjson.Result
}

// open checks a message. Where the channel is split and the message has the array,
// it returns the array's elements, each a message of its own.
func (d *decoder) open(in Message) (whole gjson.Result, parts []part, split bool, err error) {
	if err := d.check(in.Payload); err != nil {
		return gjson.Result{}, nil, false, err
	}
	if in.Twice != "" {
		return gjson.Result{}, nil, false, standsTwice(in.Payload, in.Twice, 0)
	}
	whole = gjson.Parse(text(in.Payload))
	array, id, err := d.array(in, whole)
	if err != nil || !array.IsArray() {
		return whole, nil, false, err
	}
	array.ForEach(func(_, element gjson.Result) bool {
		element.Index = 0
		p := part{Message: in, value: element}
		p.ID = id + "-" + strconv.Itoa(len(parts)+1)
		p.Payload = bytesOf(element.Raw)
		parts = append(parts, p)
		return true
	})
	return whole, parts, true, nil
}

// events decodes a whole message.
func (d *decoder) events(in Message) ([]Event, error) {
	whole, parts, split, err := d.open(in)
	if err != nil {
		return nil, err
	}
	if !split {
		parts = []part{{Message: in, value: whole}}
	}
	var (
		events []Event
		errs   []error
	)
	for _, p := range parts {
		var event Event
		if err := d.event(&event, p.Message, p.value); err != nil {
			errs = append(errs, err)
			continue
		}
		events = append(events, event)
	}
	return events, errors.Join(errs...)
}

// array is the array that the channel's messages are split at, or no array, and what
// the ids of its elements begin with: the id of the message around the array, else
// the stream entry's, else a new one.
func (d *decoder) array(in Message, whole gjson.Result) (array gjson.Result, id string, err error) {
	switch {
	case d.channel.Fields.Split == splitSelf:
		array = whole
	case d.carrier != nil && whole.IsObject():
		w := d.walkers.Get().(*walker)
		defer d.walkers.Put(w)
		w.walk(d.carrier, whole)
		if w.twice != nil {
			return array, "", standsTwice(in.Payload, w.twice.path, w.where)
		}
		array, id = w.slots[slotSplit], textOf(w.slots[slotID])
	}
	if id = or(id, in.ID); id == "" && array.IsArray() {
		id = newID()
	}
	return array, id, nil
}

// event fills ev from one message, which check has found to be valid JSON.
func (d *decoder) event(ev *Event, in Message, message gjson.Result) error {
	if !message.IsObject() {
		return malformed(in.Payload, CauseNotObject, message.Index, "the message is "+article(message)+", not a JSON object")
	}
	w := d.walkers.Get().(*walker)
	defer d.walkers.Put(w)
	w.walk(d.members, message)
	if w.twice != nil {
		return standsTwice(in.Payload, w.twice.path, w.where)
	}
	typ, err := d.typeOf(w, in.Payload)
	if err != nil {
		return err
	}
	ev.Type = typ
	ev.Channel = d.channel.Name
	ev.Name = in.Name
	ev.Msg = in.Payload
	if ev.ID = textOf(w.slots[slotID]); ev.ID == "" {
		ev.ID = in.ID
	}
	if ev.ID == "" {
		ev.ID = newID()
	}
	if ev.Time = timeOf(w.slots[slotTime]); ev.Time.IsZero() {
		ev.Time = in.Time
	}
	if source := w.slots[slotSource]; source.Type == gjson.String {
		ev.Source = source.Str
	}
	if ev.Key = textOf(w.slots[slotKey]); ev.Key == "" && d.channel.Fields.KeyFromName {
		ev.Key = in.Name
	}
	ev.seq = sequenceOf(w.slots[slotSeq])
	ev.Data = in.Payload
	if data := w.slots[slotData]; data.Exists() {
		ev.Data = bytesOf(data.Raw)
	}
	return nil
}

func standsTwice(payload []byte, field string, offset int) error {
	return malformed(payload, CauseTwice, offset, fmt.Sprintf("the field %q stands twice", field))
}

func (d *decoder) typeOf(w *walker, payload []byte) (string, error) {
	field := or(d.channel.Fields.Type, "type")
	switch typ := w.slots[slotType]; {
	case !typ.Exists():
		if d.channel.Fields.DefaultType != "" {
			return d.channel.Fields.DefaultType, nil
		}
		return "", malformed(payload, CauseNoType, 0, fmt.Sprintf("the message has no field %q that says its type", field))
	case typ.Type != gjson.String:
		return "", malformed(payload, CauseBadType, typ.Index, fmt.Sprintf("the field %q is %s, not a string", field, article(typ)))
	case typ.Str == "":
		return "", malformed(payload, CauseBadType, typ.Index, fmt.Sprintf("the field %q is empty", field))
	default:
		return typ.Str, nil
	}
}
