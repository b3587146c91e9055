package scenario

import (
	"encoding/json"
	"fmt"
	"io"

	"signalbox/router/routesfile"
)

type jsonTest struct {
	Test string `json:"test"`
	routesfile.Position
	OK       bool          `json:"ok"`
	Errors   []string      `json:"errors,omitempty"`
	Failures []jsonFailure `json:"failures,omitempty"`
	Sent     []Sent        `json:"sent,omitempty"`
	Then     []Sent        `json:"then,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
}

type jsonFailure struct {
	routesfile.Position
	Problem string   `json:"problem"`
	Want    string   `json:"want"`
	Near    string   `json:"near,omitempty"`
	Differs []string `json:"differs,omitempty"`
}

type jsonSummary struct {
	Tests       int      `json:"tests"`
	Failed      int      `json:"failed"`
	Routes      int      `json:"routes"`
	Unexercised []string `json:"unexercised,omitempty"`
	Seconds     float64  `json:"seconds"`
}

// WriteJSON writes the report for programs: a line for each test, and one for all.
func (r *Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for i := range r.Tests {
		t := &r.Tests[i]
		line := jsonTest{Test: t.Name, Position: t.At, OK: t.OK(), Errors: t.Errors, Sent: t.Sent, Then: t.Then, Notes: t.Notes}
		for _, f := range t.Failures {
			line.Failures = append(line.Failures, jsonFailure{f.At, f.Problem, f.Want, f.Near, f.Differs})
		}
		if err := out.Encode(line); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	sum := jsonSummary{Tests: len(r.Tests), Failed: r.Failed(), Routes: len(r.Routes), Seconds: r.Took.Seconds()}
	for _, route := range r.Unexercised() {
		sum.Unexercised = append(sum.Unexercised, fmt.Sprintf("%s: %s/%s", route.At, route.Channel, route.Name))
	}
	if err := out.Encode(sum); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
