package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"signalbox/router"
)

// filer is a handler of kind file.
type filer struct {
	set  *fileSet
	line func(*bytes.Buffer, *router.Event) error
	stop context.CancelFunc
	own  sync.WaitGroup
}

// newFiler makes a handler of options that are valid. It touches no file yet, but for
// those that it finds to be compressed.
func newFiler(log *slog.Logger, options FileOptions) *filer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &filer{set: newFileSet(log, options), line: appendMessage}
	if options.Line == lineEvent {
		h.line = appendEvent
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.own.Go(func() { h.set.keep(ctx) })
	if options.Gzip {
		h.own.Go(func() { h.set.compress(ctx) })
	}
	return h
}

// Close writes all to the disk, as fsync says, and ends. A file that is just being
// compressed stays as it is, and is compressed after the next start.
func (h *filer) Close() error {
	h.stop()
	h.own.Wait()
	return h.set.close()
}

// Handle appends one event.
func (h *filer) Handle(ctx context.Context, event *router.Event) error {
	if verdicts := h.HandleBatch(ctx, []*router.Event{event}); verdicts != nil {
		return verdicts[0]
	}
	return nil
}

// forFile is the events of a batch that go to one file.
type forFile struct {
	name   string
	lines  bytes.Buffer
	ends   []int
	places []int // of the lines' events in the batch
}

// HandleBatch appends events in order, with one write for each file.
func (h *filer) HandleBatch(ctx context.Context, events []*router.Event) []error {
	var verdicts []error
	verdict := func(place int, err error) {
		if verdicts == nil {
			verdicts = make([]error, len(events))
		}
		verdicts[place] = err
	}
	for _, f := range h.sort(events, verdict) {
		done, err := h.append(ctx, f)
		for _, place := range f.places[done:] {
			verdict(place, err)
		}
	}
	return verdicts
}

// sort makes the lines of a batch, file by file. An event without one gets its verdict.
func (h *filer) sort(events []*router.Event, verdict func(int, error)) []*forFile {
	var (
		all    []*forFile
		byName map[string]*forFile // when there is more than one
		last   *forFile
	)
	for i, event := range events {
		name := h.set.path.of(event)
		if last == nil || last.name != name {
			if last = byName[name]; last == nil {
				last = &forFile{name: name}
				all = append(all, last)
				if byName == nil {
					byName = map[string]*forFile{}
				}
				byName[name] = last
			}
		}
		before := last.lines.Len()
		if err := h.line(&last.lines, event); err != nil {
			last.lines.Truncate(before)
			verdict(i, router.Permanent(fmt.Errorf("the message is not JSON: %s: %w", oneLine(string(event.Msg)), err)))
			continue
		}
		last.ends = append(last.ends, last.lines.Len())
		last.places = append(last.places, i)
	}
	return all
}

// append appends to one file. It returns how many events are done, and the verdict on the
// others.
func (h *filer) append(ctx context.Context, f *forFile) (done int, verdict error) {
	if len(f.ends) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, h.set.failed(f.name, err)
	}
	file, err := h.set.acquire(f.name)
	if err != nil {
		return 0, h.set.failed(f.name, err)
	}
	defer h.set.release(file)
	done, err = file.append(ctx, &chunk{text: f.lines.Bytes(), ends: f.ends})
	return done, h.set.failed(f.name, err)
}

// appendMessage makes a line of the message as it came. There is no white space between
// its tokens any more, so no end of a line either.
func appendMessage(line *bytes.Buffer, event *router.Event) error {
	if err := json.Compact(line, event.Msg); err != nil {
		return err
	}
	return line.WriteByte('\n')
}

// fileLine is a line of all fields of an event.
type fileLine struct {
	Channel string          `json:"channel"`
	Name    string          `json:"name"`
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Source  string          `json:"source,omitempty"`
	Time    time.Time       `json:"time"`
	Key     string          `json:"key,omitempty"`
	Msg     json.RawMessage `json:"msg"`
}

func appendEvent(line *bytes.Buffer, e *router.Event) error {
	lines := json.NewEncoder(line)
	lines.SetEscapeHTML(false) // < stays as the message has it
	return lines.Encode(fileLine{e.Channel, e.Name, e.ID, e.Type, e.Source, e.Time.UTC(), e.Key, e.Msg})
}
