package ops

import (
	"context"
	"encoding/json"
	"time"

	"signalbox/router"
)

// Program is what the HTTP side sees of the program that runs. Every func is required,
// may be called by several goroutines at once, and is given a context that ends with the
// request.
type Program struct {
	Service string
	Version string
	Started time.Time

	// Onlooker is who the router tells what becomes of events. New sets what it calls.
	Onlooker *router.Onlooker

	// Running is the configuration of the moment.
	Running func() Running
	// Stats are the router's counters.
	Stats func() router.Stats
	// Sources are how the sources are, in the order of the configuration.
	Sources func() []Source
	// Losses are what the transports know to be lost, since the start.
	Losses func() []Loss
	// Link is how the connection to Redis is.
	Link func() Link
	// Streams asks Redis how far the groups of this router are. What cannot be asked is
	// an error, beside what could.
	Streams func(ctx context.Context) ([]Stream, error)

	// Live is an error when the program is stuck and only a restart will help.
	Live func(ctx context.Context) error
	// Ready says what keeps the program from its work; nothing: it is ready.
	Ready func(ctx context.Context) []Reason

	// Reload reads the configuration again, and returns why it was refused.
	Reload func(ctx context.Context) error
	// Level is the least important level that is logged: debug, info, warn or error.
	Level func() string
	// SetLevel changes it, until the next reload or restart; the error says what is wrong.
	SetLevel func(level string) error

	// Publish sends an event to a declared channel and says who got it, in a line. Its error
	// and those below are a [RequestError] where what was asked for is wrong.
	Publish func(ctx context.Context, channel, typ string, data json.RawMessage) (string, error)
	// Dead are the newest dead letters of a channel, the newest first, n at most, and none
	// when n is 0; total is how many there are.
	Dead func(ctx context.Context, channel string, n int) (letters []Letter, total int, err error)
	// Replay sends dead letters of a channel again, as `router dead replay` does, and says
	// what became of them, in a line.
	Replay func(ctx context.Context, channel string, ids []string) (string, error)
}

// Running is a configuration that runs.
type Running struct {
	Config router.Config
	Files  []string // absolute paths
	Hash   string   // of the files' content
	// Since is when it began to run.
	Since time.Time
	// Reloads and Refused count the attempts to replace it, since the start. Attempt is
	// when the last one was; zero: never. Refusal is why it was refused; empty: it was not.
	Reloads, Refused uint64
	Attempt          time.Time
	Refusal          string
	// Shown is how the routes of Config are told, in their order.
	Shown []Shown
}

// shownHash is how many digits of a hash are shown, as in the log.
const shownHash = 12

func (r *Running) shortHash() string { return r.Hash[:min(shownHash, len(r.Hash))] }

// Shown is what may be told of a route: a condition as it is written, since a variable in
// it may hold a secret, and its policy in words.
type Shown struct{ When, Policy string }

// The reasons of a [Loss], as transport calls them.
const (
	LossOverflow = "overflow" // a queue was full
	LossGap      = "gap"      // a Pub/Sub channel could not be listened to
	LossShutdown = "shutdown" // a queue could not be worked off at the end
	LossTrimmed  = "trimmed"  // entries of a stream, before they could be delivered
)

// Loss adds up what was lost on a channel for one reason.
type Loss struct {
	Channel string // declared name
	Reason  string
	Events  uint64        // 0 for a gap: nobody knows how many were missed
	Times   uint64        // how often something was lost
	Blind   time.Duration // of all gaps together
}

// Link is the connection to Redis.
type Link struct {
	Away       bool   // right now
	Reconnects uint64 // how often it came back
	Unverified bool   // TLS without a look at the certificate
}

// Stream is how far a group of this router is on a stream.
type Stream struct {
	Channel string // declared name
	Group   string
	Route   string // the isolated route whose group it is; empty: all others
	Length  int64  // of the stream
	Lag     int64  // entries that the group has not read; -1: Redis cannot tell
	Pending int64  // entries that it has read and not acknowledged
	// Oldest is when the oldest pending entry was added; zero: there is none.
	Oldest time.Time
	// Dead is how many dead letters there are of the channel; the same for each of its
	// groups; -1: Redis cannot tell.
	Dead int64
}

// Reason is something that keeps the program from being ready.
type Reason struct {
	What string `json:"what"` // the kind: "redis", "subscription", "source", "stale", "stopping", "starting"
	Text string `json:"text"` // for people
}

// Letter is a dead letter.
type Letter struct {
	ID       string    `json:"id"` // of the letter, in its stream
	Stream   string    `json:"stream"`
	Type     string    `json:"type,omitempty"`
	Event    string    `json:"event,omitempty"` // the event's id
	Route    string    `json:"route,omitempty"`
	Handler  string    `json:"handler,omitempty"`
	Reason   string    `json:"reason"`
	Error    string    `json:"error,omitempty"`
	Attempts int       `json:"attempts"`
	Replays  int       `json:"replays"`
	At       time.Time `json:"at"`      // given up
	Message  string    `json:"message"` // as it arrived, as far as ShownMessage goes
	Cut      bool      `json:"cut,omitempty"`
}

// RequestError is an error of somebody who asks for what is wrong: it is no use to ask for
// it again.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }
