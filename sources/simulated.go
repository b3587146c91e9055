package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"signalbox/router"
)

// SimulatedOptions are the options of the kind simulated. All have a default.
type SimulatedOptions struct {
	Symbols map[string]float64 `toml:"symbols" doc:"names, and the price that each begins with"`
	Every   time.Duration      `toml:"every" min:"1ms" max:"24h" doc:"pause between two ticks; the symbols take turns"`
	Step    float64            `toml:"step" doc:"how far a price moves at most from one tick to the next, as a part of it"`
	Seed    uint64             `toml:"seed" otherwise:"other prices in each session" doc:"a number, for the same prices each time"`
	Lasts   time.Duration      `toml:"lasts" otherwise:"for ever" doc:"after this time a session fails, to show what that looks like"`
}

// Validate reports all that is wrong with the options.
func (o SimulatedOptions) Validate() error {
	var errs []error
	if len(o.Symbols) == 0 {
		errs = append(errs, errors.New("symbols: there is none; write symbols = { BTCUSDT = 97000.0 }"))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Symbols)) {
		if price := o.Symbols[name]; !(price > 0 && price < 1e15) { // or NaN
			errs = append(errs, fmt.Errorf("symbols: %s begins at %v, which is no price; write a number above 0", name, price))
		}
	}
	if o.Every <= 0 {
		errs = append(errs, fmt.Errorf(`every: %s is no pause; write every = "250ms"`, o.Every))
	}
	if !(o.Step >= 0 && o.Step < 1) {
		errs = append(errs, fmt.Errorf("step: %v is not from 0 to less than 1", o.Step))
	}
	if o.Lasts < 0 {
		errs = append(errs, fmt.Errorf("lasts: %s is negative; leave it out for sessions that last for ever", o.Lasts))
	}
	return errors.Join(errs...)
}

// Simulated is the kind of a feed that needs no broker: prices that wander. It is for demos
// and for trying out routes.
//
// Its messages are {"type": "tick", "id": …, "time": …, "data": {"symbol": …, "price": …}}.
func Simulated() router.SourceKind[SimulatedOptions] {
	return router.SourceKind[SimulatedOptions]{
		Name:     "simulated",
		Doc:      "Invents prices that wander, to try things out without a broker.",
		Defaults: SimulatedOptions{Symbols: map[string]float64{"BTCUSDT": 97_430, "ETHUSDT": 3_120}, Every: 250 * time.Millisecond, Step: 0.0001},
		New: func(_ router.SourceEnv, options SimulatedOptions) (router.Source, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			return newWalk(options), nil
		},
	}
}

// walk is a session of random walks.
type walk struct {
	options SimulatedOptions
	random  *rand.Rand
	symbols []string
	prices  map[string]float64
}

func newWalk(options SimulatedOptions) *walk {
	seed := options.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	return &walk{
		options: options, random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // prices, not secrets
		symbols: slices.Sorted(maps.Keys(options.Symbols)), prices: maps.Clone(options.Symbols),
	}
}

// Run implements [router.Source].
func (w *walk) Run(ctx context.Context, to router.Sink) error {
	began := time.Now()
	to.Opened("a simulation")
	tick := time.NewTicker(w.options.Every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			if lasts := w.options.Lasts; lasts > 0 && now.Sub(began) >= lasts {
				return fmt.Errorf("the session is over after %s, as lasts says", lasts)
			}
			to.Emit(w.tick(n, began, now))
		}
	}
}

func (w *walk) tick(n int, began, now time.Time) []byte {
	symbol := w.symbols[(n-1)%len(w.symbols)]
	w.prices[symbol] *= 1 + (2*w.random.Float64()-1)*w.options.Step
	message := simulatedTick{Type: "tick", ID: strconv.FormatInt(began.UnixMilli(), 36) + "-" + strconv.Itoa(n), Time: now.UTC()}
	message.Data.Symbol, message.Data.Price = symbol, json.Number(strconv.FormatFloat(w.prices[symbol], 'f', 2, 64))
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // texts, a time and a number
	}
	return text
}

type simulatedTick struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Data struct {
		Symbol string      `json:"symbol"`
		Price  json.Number `json:"price"`
	} `json:"data"`
}
