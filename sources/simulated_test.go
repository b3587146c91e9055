package sources

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// heard is a sink that remembers.
type heard struct {
	mu       sync.Mutex
	opened   []string
	messages []string
}

func (h *heard) Opened(at string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = append(h.opened, at)
}

func (h *heard) Emit(message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, string(message))
}

func (*heard) Alive()        {}
func (*heard) Trouble(error) {}

func simulate(t *testing.T, options SimulatedOptions, lasting time.Duration) (*heard, error) {
	t.Helper()
	source, err := Simulated().New(router.SourceEnv{}, options)
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	return h, source.Run(ctx, h)
}

func TestSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := Simulated().Defaults
		options.Seed = 7
		h, _ := simulate(t, options, 2100*time.Millisecond)
		if len(h.opened) != 1 || len(h.messages) != 8 {
			t.Fatalf("opened %v, %d messages", h.opened, len(h.messages))
		}
		seen := map[string]int{}
		for _, text := range h.messages {
			event, err := router.Decode(router.Channel{Name: "c", Fields: router.Fields{Key: "data.symbol"}}, router.Message{Payload: []byte(text)})
			if err != nil || event[0].Type != "tick" || event[0].Time.IsZero() {
				t.Fatalf("%s: %v", text, err)
			}
			var data struct{ Price float64 }
			if err := json.Unmarshal(event[0].Data, &data); err != nil {
				t.Fatal(err)
			}
			if begins := options.Symbols[event[0].Key]; math.Abs(data.Price/begins-1) > 0.001 {
				t.Errorf("%s is at %v, and began at %v", event[0].Key, data.Price, begins)
			}
			seen[event[0].Key]++
		}
		if seen["BTCUSDT"] != 4 || seen["ETHUSDT"] != 4 {
			t.Errorf("symbols do not take turns: %v", seen)
		}
		again, _ := simulate(t, options, 2100*time.Millisecond)
		price := func(text string) string { return text[strings.Index(text, `"price"`):] }
		if price(again.messages[7]) != price(h.messages[7]) {
			t.Errorf("the same seed: %s, then %s", h.messages[7], again.messages[7])
		}
	})
}

func TestSimulatedLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := Simulated().Defaults
		options.Lasts = time.Second
		h, err := simulate(t, options, time.Minute)
		if err == nil || err.Error() != "the session is over after 1s, as lasts says" || len(h.messages) != 3 {
			t.Errorf("%d messages, %v", len(h.messages), err)
		}
	})
}

func TestSimulatedOptions(t *testing.T) {
	t.Parallel()
	bad := SimulatedOptions{Symbols: map[string]float64{"A": math.NaN(), "B": -1}, Step: 1, Lasts: -1}
	_, err := Simulated().New(router.SourceEnv{}, bad)
	want := `symbols: A begins at NaN, which is no price; write a number above 0
symbols: B begins at -1, which is no price; write a number above 0
every: 0s is no pause; write every = "250ms"
step: 1 is not from 0 to less than 1
lasts: -1ns is negative; leave it out for sessions that last for ever`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := (SimulatedOptions{Every: 1}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "symbols: there is none") {
		t.Error(err)
	}
}

// Each option has its row on the page.
func TestSimulatedPage(t *testing.T) {
	page, err := os.ReadFile("../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## simulated\n")
	if !found {
		t.Fatal("docs/sources.md has no section simulated")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for field := range reflect.TypeFor[SimulatedOptions]().Fields() {
		if name := field.Tag.Get("toml"); !strings.Contains(section, "\n| `"+name+"` |") {
			t.Errorf("docs/sources.md has no row for option %s", name)
		}
	}
}
