package ops

import (
	"encoding/json"
)

// What the live page is told, as JSON. It comes as server-sent events from GET
// /api/live: at first a "config", then "events" that happened before, then a "counts" every
// second, "events" as they happen, a "config" after each reload, and "stopping" when the
// router ends. Numbers that count go on from the start of the router, and begin anew when
// it restarts; the page makes rates of their differences. Times are milliseconds since 1970.

// wireConfig is what is wired.
type wireConfig struct {
	Service  string        `json:"service"`
	Version  string        `json:"version"`
	Started  int64         `json:"started"`
	Write    bool          `json:"write"` // publishing and replaying are permitted
	Files    []string      `json:"files"`
	Hash     string        `json:"hash"` // twelve hexadecimal digits
	Since    int64         `json:"since"`
	Attempt  int64         `json:"attempt,omitempty"` // of a reload; 0: never
	Refusal  string        `json:"refusal,omitempty"` // why the last one was refused
	Channels []wireChannel `json:"channels"`
	Handlers []wireHandler `json:"handlers"`
	Routes   []wireRoute   `json:"routes"`
	Sources  []wireSource  `json:"sources,omitempty"`
}

type wireChannel struct {
	Name        string   `json:"name"`
	Transport   string   `json:"transport"` // pubsub or stream
	Topic       string   `json:"topic"`     // in Redis
	Pattern     bool     `json:"pattern,omitempty"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"types"`          // declared, and those that routes name
	Dead        []string `json:"dead,omitempty"` // streams that may hold its dead letters
}

type wireHandler struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Publishes []string `json:"publishes,omitempty"` // channels
}

type wireRoute struct {
	Channel  string   `json:"channel"`
	Name     string   `json:"name"` // unique within the channel
	Types    []string `json:"types"`
	Handler  string   `json:"handler"`
	When     string   `json:"when,omitempty"`
	Policy   string   `json:"policy,omitempty"` // "max_age 5s · dedupe 10m · 3 attempts"
	Isolated bool     `json:"isolated,omitempty"`
}

type wireSource struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Channel string `json:"channel"` // that it publishes to
}

// wireCounts is what has happened so far.
type wireCounts struct {
	At         int64                   `json:"at"`
	Ready      bool                    `json:"ready"`
	Reasons    []Reason                `json:"reasons,omitempty"`
	Away       bool                    `json:"away,omitempty"` // Redis
	Reconnects uint64                  `json:"reconnects"`
	Channels   map[string]channelCount `json:"channels"`
	Routes     []routeCount            `json:"routes"` // as in wireConfig
	Sources    map[string]sourceCount  `json:"sources,omitempty"`
	Missed     uint64                  `json:"missed,omitempty"` // events that this browser was too slow for
	Unshown    uint64                  `json:"unshown"`          // events that were not shown, being too many
}

type channelCount struct {
	Received  uint64            `json:"received"`
	Types     map[string]uint64 `json:"types"` // of received; "other" is what the configuration doesn't know
	Unmatched uint64            `json:"unmatched,omitempty"`
	Rejected  uint64            `json:"rejected,omitempty"` // no events; crash loops included
	Lost      uint64            `json:"lost,omitempty"`     // overflow, shutdown, trimmed, missing numbers
	Gaps      uint64            `json:"gaps,omitempty"`     // times that a Pub/Sub channel was blind
	Blind     int64             `json:"blind,omitempty"`    // ms of all gaps
	Queued    int               `json:"queued,omitempty"`   // wait in this process
	InHand    int               `json:"in_hand,omitempty"`  // being handled
	Dead      *int64            `json:"dead,omitempty"`     // dead letters that there are; null: unknown
	Lag       *int64            `json:"lag,omitempty"`      // the largest of its groups; null: unknown
	Pending   *int64            `json:"pending,omitempty"`  // of all its groups
}

type routeCount struct {
	Handled    uint64 `json:"handled"`
	Failed     uint64 `json:"failed,omitempty"`
	Retried    uint64 `json:"retried,omitempty"`
	Skipped    uint64 `json:"skipped,omitempty"`
	Filtered   uint64 `json:"filtered,omitempty"`
	Duplicates uint64 `json:"duplicates,omitempty"`
	Withdrawn  uint64 `json:"withdrawn,omitempty"`
	Unfinished uint64 `json:"unfinished,omitempty"`
	Dead       uint64 `json:"dead,omitempty"`   // of failed: kept as dead letters, since the start
	Calls      uint64 `json:"calls,omitempty"`  // of the handler, that were timed
	Micros     uint64 `json:"micros,omitempty"` // that they took together
}

// sourceCount is how a source is, and what it has read.
type sourceCount struct {
	State      SourceState `json:"state"`
	Since      int64       `json:"since"`             // of the state
	Until      int64       `json:"until,omitempty"`   // when it will end
	Why        string      `json:"why,omitempty"`     // what led to it
	Trouble    string      `json:"trouble,omitempty"` // although it is connected
	At         string      `json:"at,omitempty"`      // where it is connected to
	Epoch      int64       `json:"epoch,omitempty"`
	Data       int64       `json:"data,omitempty"` // when an event came last
	Received   uint64      `json:"received"`       // events
	Published  uint64      `json:"published"`
	Rejected   uint64      `json:"rejected,omitempty"` // no events
	Lost       uint64      `json:"lost,omitempty"`     // not published, or left out by the other side
	Duplicates uint64      `json:"duplicates,omitempty"`
	Other      uint64      `json:"other,omitempty"` // of types that the channel does not declare
	Attempts   uint64      `json:"attempts"`        // to connect
	Sessions   uint64      `json:"sessions"`
	Queued     int         `json:"queued,omitempty"` // wait for Redis
}

// wireEvent is what became of one event on one route, or of a message that reached none.
type wireEvent struct {
	Seq     uint64 `json:"seq"` // grows
	At      int64  `json:"at"`  // when it happened
	Channel string `json:"channel"`
	Name    string `json:"name,omitempty"` // in Redis, where it is called otherwise
	Type    string `json:"type,omitempty"`
	ID      string `json:"id,omitempty"`
	Key     string `json:"key,omitempty"`
	Time    int64  `json:"time,omitempty"` // the event's own
	Trace   string `json:"trace,omitempty"`
	Route   string `json:"route,omitempty"`
	Handler string `json:"handler,omitempty"`
	Result  string `json:"result"` // a router.Result
	Error   string `json:"error,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Kept    bool   `json:"kept,omitempty"` // as a dead letter
	Attempt int    `json:"attempt,omitempty"`
	Pause   int64  `json:"pause,omitempty"`  // ms until the next attempt
	Micros  int64  `json:"micros,omitempty"` // in the handler
	Message string `json:"message,omitempty"`
	Cut     bool   `json:"cut,omitempty"` // the message is longer
}

// wireLetters answer GET /api/dead.
type wireLetters struct {
	Letters []Letter `json:"letters"` // the newest first
	Total   int      `json:"total"`   // that there are
}

// wireReplay is the body of POST /api/replay.
type wireReplay struct {
	Channel string   `json:"channel"`
	IDs     []string `json:"ids"` // of the letters
}

// wirePublish is the body of POST /api/publish.
type wirePublish struct {
	Channel string          `json:"channel"`
	Type    string          `json:"type"`
	Data    json.RawMessage `json:"data"`
}

// wireResult answers both.
type wireResult struct {
	Result string `json:"result"` // what became of it, for people
}
