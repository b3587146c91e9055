package daemon

import (
	"cmp"
	"math"
	"strings"
	"sync"
	"time"

	"signalbox/router/internal/order"
)

const (
	// maxRates is how many types are counted each by itself, and longType how many bytes
	// one of these has at most: messages of strangers must not fill the memory.
	maxRates = 1_000
	longType = 256
)

// rates counts what travels, by channel and type.
type rates struct {
	now func() time.Time // by Redis' clock

	mu     sync.Mutex
	rows   map[rateKey]*traffic
	begin  time.Time
	first  map[string]time.Time // of what was kept of a channel
	ticked time.Time            // when the last second ended; zero: the first is not over
	kept   bool                 // what comes was kept: it says nothing of the last second
}

// rateKind is what a row counts, in the order of rows.
type rateKind int

const (
	oneType rateKind = iota
	otherTypes
	rejected
)

type rateKey struct {
	channel string
	kind    rateKind
	typ     string
}

type traffic struct {
	total, bytes             int64
	before, bytesBefore      int64 // the second that is not over
	perSecond, bytesOfSecond float64
	last                     time.Time
}

func newRates(now func() time.Time, kept bool) *rates {
	return &rates{now: now, rows: map[rateKey]*traffic{}, begin: now(), first: map[string]time.Time{}, kept: kept}
}

// live ends what was kept.
func (r *rates) live() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = false
}

// saw notes when a message was sent, whatever it is.
func (r *rates) saw(channel string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.first[channel]; r.kept && (!ok || at.Before(first)) {
		r.first[channel] = at
	}
}

// add counts an event, or a message that is none.
func (r *rates) add(channel string, kind rateKind, typ string, bytes int, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.row(rateKey{channel, kind, typ})
	row.total++
	row.bytes += int64(bytes)
	if r.kept {
		row.before++
		row.bytesBefore += int64(bytes)
	} else {
		at = r.now()
	}
	if at.After(row.last) {
		row.last = at
	}
}

func (r *rates) row(key rateKey) *traffic {
	if row := r.rows[key]; row != nil {
		return row
	}
	if key.kind == oneType && (len(r.rows) >= maxRates || len(key.typ) > longType) {
		return r.row(rateKey{key.channel, otherTypes, ""})
	}
	key.typ = strings.Clone(key.typ) // and not the message that it stands in
	row := &traffic{}
	r.rows[key] = row
	return row
}

// tick ends a second.
func (r *rates) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.measure()
	r.ticked = r.now()
	for _, row := range r.rows {
		row.before, row.bytesBefore = row.total, row.bytes
	}
}

// measure says how much came a second since the last one ended.
func (r *rates) measure() {
	took := r.now().Sub(r.begin)
	if !r.ticked.IsZero() {
		took = r.now().Sub(r.ticked)
	}
	for _, row := range r.rows {
		row.perSecond = over(row.total-row.before, took)
		row.bytesOfSecond = over(row.bytes-row.bytesBefore, took)
	}
}

// over is so many a second.
func over(n int64, d time.Duration) float64 {
	if n == 0 || d <= 0 {
		return 0
	}
	return math.Round(float64(n)/d.Seconds()*10_000) / 10_000
}

// rateRow is a row as `tail --stats -o json` prints it.
type rateRow struct {
	Channel        string  `json:"channel"`
	Type           string  `json:"type,omitempty"`
	Rejected       bool    `json:"rejected,omitempty"`
	OtherTypes     bool    `json:"other_types,omitempty"`
	PerSecond      float64 `json:"per_second"`
	Average        float64 `json:"average"`
	Total          int64   `json:"total"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	Bytes          int64   `json:"bytes"`
	Age            float64 `json:"age_seconds"`

	kind rateKind
}

// ratesShown is what `tail --stats -o json` prints.
type ratesShown struct {
	Time       string    `json:"time"`
	Seconds    float64   `json:"seconds"` // since it began to watch
	Rows       []rateRow `json:"rows"`
	PassedOver int64     `json:"passed_over,omitempty"` // by --where, for lack of an answer
}

// shown is what was counted so far. Before the first second has gone, it stands for that.
func (r *rates) shown() ratesShown {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.ticked.IsZero() {
		r.measure()
	}
	s := ratesShown{Time: now.UTC().Format(time.RFC3339Nano), Seconds: thousandths(now.Sub(r.begin)), Rows: []rateRow{}}
	for key, row := range r.rows {
		begin := r.begin
		if first, ok := r.first[key.channel]; ok {
			begin = first
		}
		s.Rows = append(s.Rows, rateRow{
			Channel: key.channel, Type: key.typ, Rejected: key.kind == rejected, OtherTypes: key.kind == otherTypes, kind: key.kind,
			PerSecond: row.perSecond, Average: over(row.total, now.Sub(begin)), Total: row.total,
			BytesPerSecond: row.bytesOfSecond, Bytes: row.bytes, Age: thousandths(now.Sub(row.last)),
		})
	}
	sortRates(s.Rows)
	return s
}

func thousandths(d time.Duration) float64 { return max(0, d.Round(time.Millisecond).Seconds()) }

func sortRates(rows []rateRow) {
	order.Stable(rows, func(a, b *rateRow) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.kind, b.kind), cmp.Compare(a.Type, b.Type))
	})
}
