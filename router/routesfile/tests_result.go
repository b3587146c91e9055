package routesfile

import (
	"encoding/json"
	"time"
)

// Test is one of the tests that Source.Tests asks for, checked as far as that is possible
// without running it.
type Test struct {
	At      Position
	Name    string
	Env     map[string]string
	Now     time.Time // zero: it says nothing
	Send    []Send
	Answers map[string][]string // by handler: ok, error, permanent, unavailable, timeout or panic
	Expect  []Expectation       // at least one
}

// Send is one or several messages to send to a declared channel.
type Send struct {
	At       Position
	Channel  string
	Name     string // on a pattern: the name in Redis
	Messages []string
	After    time.Duration // before the first of them
}

// Expectation is what must have happened to one event or message, or must not. What is
// empty may be anything; Message and Data are objects whose members must be there.
type Expectation struct {
	At   Position
	List string // the list it stands in: handled, not_handled, skipped, failed, dead, published, rejected or unmatched

	Handler, Route, Channel, Type, ID, Key string
	Message, Data                          json.RawMessage
	Attempts                               int
	Reason                                 string
}

// Position is where something is written.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // from 1, in characters
}

// String is "file:line:column".
func (p Position) String() string { return place{p.File, p.Line, p.Column}.String() }

func (p place) position() Position { return Position{p.file, p.line, p.column} }
