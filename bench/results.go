package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// result is one line of the table. Rounds are the values of the rounds, and Value is their
// median.
type result struct {
	Case   string    `json:"case"`
	Value  float64   `json:"value"`
	Target string    `json:"target"` // such as "≥ 2.5"; empty: it is merely reported
	Gate   bool      `json:"gate"`
	Met    bool      `json:"met"`
	Why    string    `json:"why"`
	Unit   string    `json:"unit"`
	Rounds []float64 `json:"rounds"`
}

// Units.
const (
	times  = "×"
	perSec = "msg/s"
)

// atLeast is a ratio with a target.
func atLeast(target float64, name string, rounds []float64) result {
	value := median(rounds)
	return result{Case: name, Value: value, Target: fmt.Sprintf("≥ %g", target), Gate: true, Met: value >= target, Unit: times, Rounds: rounds}
}

// atMost is a result with a target.
func atMost(target float64, name, unit string, rounds []float64) result {
	value := median(rounds)
	return result{Case: name, Value: value, Target: fmt.Sprintf("≤ %g", target), Gate: true, Met: value <= target, Unit: unit, Rounds: rounds}
}

// because explains a target that is not met and cannot be: it does not count then.
func (r result) because(why string) result {
	if !r.Met {
		r.Gate, r.Why = false, why
	}
	return r
}

// reported is a result without a target.
func reported(name, unit string, rounds []float64) result {
	return result{Case: name, Value: median(rounds), Met: true, Why: "reported", Unit: unit, Rounds: rounds}
}

// ratios are a/b of each round.
func ratios(a, b []float64) []float64 {
	rounds := make([]float64, min(len(a), len(b)))
	for i := range rounds {
		rounds[i] = a[i] / b[i]
	}
	return rounds
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// markdown is the table.
func markdown(results []result) string {
	var b strings.Builder
	b.WriteString("\n| case | median | rounds | target | met |\n|---|---|---|---|---|\n")
	for _, r := range results {
		low, high := slices.Min(r.Rounds), slices.Max(r.Rounds)
		met := "–"
		if r.Target != "" {
			met = map[bool]string{true: "yes", false: "**no**"}[r.Met]
			if !r.Gate {
				met += ": " + r.Why
			}
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s – %s | %s | %s |\n", r.Case, short(r.Value), r.Unit, short(low), short(high), r.Target, met)
	}
	return b.String()
}

// short is a number with as many digits as it is worth.
func short(v float64) string {
	switch {
	case v >= 1000:
		thousands, rest := int(math.Round(v))/1000, int(math.Round(v))%1000
		return fmt.Sprintf("%s,%03d", short(float64(thousands)), rest)
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// unmet are the cases whose targets count and are not met.
func unmet(results []result) (names []string) {
	for _, r := range results {
		if r.Gate && !r.Met {
			names = append(names, fmt.Sprintf("%s: %s %s, want %s", r.Case, short(r.Value), r.Unit, r.Target))
		}
	}
	return names
}

func save(file string, results []result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}
