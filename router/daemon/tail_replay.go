package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router"
	"signalbox/router/internal/wording"
	"signalbox/router/transport"
)

// gaps says what cannot be shown of the time since then: what came on Pub/Sub, and what
// streams had to forget.
func (w *watch) gaps(ctx context.Context, channels []router.Channel) []string {
	var notes, now []string
	for _, ch := range channels {
		if ch.Transport != router.Stream {
			now = append(now, printable(ch.Name))
			continue
		}
		if note := w.forgotten(ctx, ch); note != "" {
			notes = append(notes, note)
		}
	}
	if len(now) > 0 {
		notes = append(notes, fmt.Sprintf("%s: from now on, as Pub/Sub keeps nothing", strings.Join(now, ", ")))
	}
	return notes
}

// forgotten says that a stream holds less than what was added since then, as far as Redis
// knows.
func (w *watch) forgotten(ctx context.Context, ch router.Channel) string {
	info, err := w.redis.XInfoStream(ctx, ch.Topic).Result()
	if err != nil { // it is not there, or the user may not ask
		return ""
	}
	first, _ := parseEntryID(info.FirstEntry.ID)
	begin, _ := parseEntryID(w.from)
	gone := info.EntriesAdded - info.Length // not known before Redis 7.0: less than 0
	if gone <= 0 || info.Length > 0 && !begin.before(first) {
		return ""
	}
	trimmed := wording.Several(gone, "entry was", "entries were") + " trimmed or deleted so far"
	if info.Length == 0 {
		return fmt.Sprintf("%s holds nothing any more: %s", printable(ch.Name), trimmed)
	}
	return fmt.Sprintf("%s holds nothing from before %s: %s", printable(ch.Name), shownTime(time.UnixMilli(first.ms)), trimmed)
}

// past is what a stream holds from one entry to another.
type past struct {
	stream string
	next   string // where the next page begins; empty: there is none
	until  string
	count  int // entries of the next page
	page   []transport.Entry
	id     entryID // of the first of the page
}

// fill reads a page when there is none.
func (p *past) fill(ctx context.Context, client *redis.Client) error {
	for len(p.page) == 0 && p.next != "" {
		page, err := transport.RangeEntries(ctx, client, p.stream, p.next, p.until, p.count)
		if err != nil {
			return fmt.Errorf("read %q: %w", p.stream, err)
		}
		p.next = ""
		if len(page) == p.count {
			p.next = "(" + page[len(page)-1].ID
		}
		size := 0
		for _, e := range page {
			size += len(e.Payload)
		}
		p.page, p.count = page, nextPage(p.count, size)
	}
	p.head()
	return nil
}

func (p *past) head() {
	if len(p.page) > 0 {
		p.id, _ = parseEntryID(p.page[0].ID)
	}
}

// replay shows what streams hold from w.from on, up to where follow begins: all of them
// in the order of their ids, of which few are in memory.
func (w *watch) replay(ctx context.Context) error {
	var pasts []*past
	for _, name := range w.streams {
		pasts = append(pasts, &past{stream: name, next: w.from, until: w.last[name], count: firstPage})
	}
	for ctx.Err() == nil {
		var oldest *past
		for _, p := range pasts {
			if err := p.fill(ctx, w.redis); err != nil {
				return err
			}
			if len(p.page) > 0 && (oldest == nil || p.id.before(oldest.id)) {
				oldest = p
			}
		}
		if oldest == nil {
			return nil
		}
		w.entry(oldest.page[0])
		oldest.page = oldest.page[1:]
		oldest.head()
	}
	return ctx.Err()
}
