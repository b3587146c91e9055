package routesfile

import (
	"time"

	"signalbox/router"
)

// rawFile is the shape of the files, as layered. Its tags are the language: toml names
// a key, doc explains it in a line, default, enum, min and max say what it may be, and
// notpubsub and notstream why a channel of that transport has no such key. For who reads
// about it there are also otherwise, in place of a default that is no value of its own,
// values, an enum that is checked elsewhere, and required. See keys.go.
type rawFile struct {
	Service  rawService             `toml:"service" doc:"who this process is"`
	Redis    rawRedis               `toml:"redis" doc:"the Redis that carries the channels"`
	Log      rawLog                 `toml:"log" doc:"what the router says of itself"`
	HTTP     rawHTTP                `toml:"http" doc:"the live page, metrics and health"`
	Channels map[string]*rawChannel `toml:"channels" doc:"declared, named places in Redis that messages are sent to"`
	Sources  map[string]*rawSource  `toml:"sources" doc:"named sources: what brings messages from outside onto a channel, each an instance of a kind with options"`
	Handlers map[string]*rawHandler `toml:"handlers" doc:"named handlers: instances of a kind with options"`
	Defaults rawDefaults            `toml:"defaults" doc:"policies of every route that doesn't say otherwise"`
	Routes   []rawRoute             `toml:"routes" doc:"which events of which channel go to which handler"`
	Tests    []rawTest              `toml:"tests" doc:"what the routes must do, for router test"`
}

type rawService struct {
	located
	Name  string        `toml:"name" default:"router" doc:"replicas share a name and the work; services of different names each get every event"`
	Drain time.Duration `toml:"drain" default:"8s" min:"0s" max:"1h" doc:"how long what is in hand may take to finish at the end"`
}

type rawRedis struct {
	located
	URL      string `toml:"url" default:"redis://127.0.0.1:6379/0" doc:"redis://host:port/db, rediss:// with TLS, or unix:///path/to/socket"`
	Username string `toml:"username" doc:"user of the ACL; wins over the URL's"`
	Password string `toml:"password" secret:"true" doc:"wins over the URL's; best written ${file:/run/secrets/redis}"`
	CAFile   string `toml:"ca_file" otherwise:"the system's authorities" doc:"PEM file of the authority that signed the server's certificate (rediss)"`
}

type rawLog struct {
	located
	Level  string `toml:"level" default:"info" enum:"debug,info,warn,error" doc:"the least important lines to write"`
	Format string `toml:"format" default:"auto" enum:"auto,text,json" doc:"auto is coloured text on a terminal and plain text elsewhere"`
}

type rawHTTP struct {
	located
	Listen   string `toml:"listen" otherwise:"nothing listens" doc:"host:port, such as 127.0.0.1:8080; port 0 is any that is free"`
	Token    string `toml:"token" secret:"true" doc:"who asks must know it; needed where others than this machine can connect. Best written ${file:/run/secrets/signalbox}"`
	Insecure bool   `toml:"insecure" doc:"true: no token, although others than this machine can connect"`
	Open     names  `toml:"open" values:"health,metrics" doc:"what may be asked for without the token"`
	Hosts    names  `toml:"hosts" doc:"names by which it is called, besides localhost, this machine's name and addresses"`
	Write    bool   `toml:"write" doc:"true: the page may publish events and replay dead letters"`
}

type rawChannel struct {
	located
	Transport   string `toml:"transport" required:"true" values:"pubsub,stream" doc:"pubsub: now or never; stream: kept until every group that reads it has handled it"`
	Name        string `toml:"name" otherwise:"NAME" doc:"name in Redis"`
	Pattern     string `toml:"pattern" notstream:"streams are read by name, one each" doc:"names in Redis, such as sensors:*; excludes name"`
	Description string `toml:"description" doc:"what travels here, for people"`
	Types       names  `toml:"types" doc:"the types of this channel; routes and publish are checked against them"`

	Schemas schemas `toml:"schemas" doc:"the JSON Schema file of each type: a message that does not satisfy it is rejected"`

	TypeField   path      `toml:"type_field" default:"type" doc:"path of the type in a message"`
	DefaultType string    `toml:"default_type" doc:"type of messages without one, which are rejected otherwise"`
	IDField     path      `toml:"id_field" default:"id" doc:"path of the id"`
	TimeField   path      `toml:"time_field" default:"time" doc:"path of the time: RFC 3339, or a number since 1970 in s, ms, µs or ns"`
	KeyField    path      `toml:"key_field" otherwise:"on a pattern the name in Redis" doc:"path of the key, whose events stay in order"`
	SeqField    path      `toml:"seq_field" notstream:"a stream loses nothing on the way, and its replicas each see a part" doc:"path of the number that the producer gives its messages, one more each time, per key: missing ones are counted"`
	Split       splitPath `toml:"split" doc:"true: a message is an array of messages; or the path of such an array"`
	MaxBytes    size      `toml:"max_bytes" default:"1MiB" min:"1" max:"512MiB" doc:"larger messages are rejected"`

	InFlight   int    `toml:"in_flight" default:"1024" min:"1" max:"1000000" doc:"events taken over and not yet done, at most"`
	Queue      int    `toml:"queue" default:"65536" min:"1" max:"100000000" notstream:"a stream waits in Redis; in_flight limits what is taken over" doc:"events that wait between Redis and the routes, at most"`
	QueueBytes size   `toml:"queue_bytes" default:"32MiB" min:"1" max:"64GiB" notstream:"a stream waits in Redis; in_flight limits what is taken over" doc:"bytes that wait between Redis and the routes, at most"`
	Overflow   string `toml:"overflow" default:"drop_oldest" values:"drop_oldest,newest_per_key" notstream:"a stream waits in Redis and drops nothing" doc:"drop_oldest or newest_per_key: what goes when the queue is full; newest_per_key keeps the newest event of each key"`
	Unmatched  string `toml:"unmatched" default:"count" enum:"count,dead_letter" doc:"what happens to an event that no route takes: it is counted, or also kept as a dead letter"`

	DeadLetter deadLetter `toml:"dead_letter" otherwise:"true on a stream, false on Pub/Sub" doc:"where what is given up is kept: true is the stream NAME.dead, or a channel, or false"`

	Group         string        `toml:"group" otherwise:"the service's name" notpubsub:"Redis keeps nothing for it, so every process gets every message" doc:"consumer group"`
	Start         string        `toml:"start" default:"oldest" enum:"oldest,new,latest" doc:"where a new group of a stream begins: oldest or new; latest: a Pub/Sub channel begins with what handlers of the kind latest have kept"`
	MaxLen        int64         `toml:"max_len" default:"100000" min:"1" notpubsub:"Redis keeps no messages of it" doc:"length to which the stream is trimmed, approximately, when this router publishes to it; never unlimited, which would fill Redis"`
	ClaimAfter    time.Duration `toml:"claim_after" default:"60s" min:"1s" max:"24h" notpubsub:"only entries of a stream stay pending" doc:"idle time after which entries of consumers that are not ours are taken over"`
	MaxDeliveries int           `toml:"max_deliveries" default:"5" min:"1" max:"1000000" notpubsub:"only entries of a stream are delivered again" doc:"how often an entry is delivered that is in hand whenever a process dies; then it is given up"`
}

// rawSource is a table with the keys of every source. Its other keys are the kind's options.
type rawSource struct {
	located
	Kind    string `toml:"kind" otherwise:"NAME, if that is a kind of source" doc:"what it is an instance of"`
	Channel string `toml:"channel" required:"true" doc:"the declared channel that it publishes to"`
	Enabled *bool  `toml:"enabled" otherwise:"true" doc:"false takes the source out"`

	TypeField   path         `toml:"type_field" otherwise:"type; with raw as the channel says" doc:"path of the type in a message as it arrives"`
	DefaultType string       `toml:"default_type" otherwise:"none; with raw as the channel says" doc:"type of messages without one, which are refused otherwise"`
	IDField     path         `toml:"id_field" otherwise:"id; with raw as the channel says" doc:"path of the id"`
	TimeField   path         `toml:"time_field" otherwise:"time; with raw as the channel says" doc:"path of the time: RFC 3339, or a number since 1970 in s, ms, µs or ns"`
	KeyField    path         `toml:"key_field" otherwise:"where the channel's key_field finds it" doc:"path of the key"`
	Split       splitPath    `toml:"split" doc:"true: what arrives is an array of messages; or the path of such an array"`
	Raw         bool         `toml:"raw" doc:"true: messages are published as they arrived, without an envelope, and so without epoch and seq"`
	Seq         *rawSequence `toml:"seq" doc:"path of the number that the other side gives its messages, so that missing ones are told; or a table"`

	Lease         bool           `toml:"lease" default:"true" doc:"one process at a time connects, of all that share Redis and the source's name; false: each of them does"`
	LeaseFor      time.Duration  `toml:"lease_for" default:"6s" min:"1s" max:"1h" doc:"how long the holder may be out of reach before another one takes over"`
	TakeoverDelay *time.Duration `toml:"takeover_delay" min:"0s" max:"1h" otherwise:"10s, or 0s with conflict = \"evicts\"" doc:"how long the other side may take to forget the session of a holder that died"`
	Conflict      string         `toml:"conflict" default:"refuses" enum:"refuses,evicts" doc:"what the other side does when somebody logs in twice: it refuses the second, or evicts the first"`
	StandDown     time.Duration  `toml:"stand_down" default:"15m" min:"1s" max:"24h" doc:"how long not to connect when another session of the account is in the way, or has taken the place"`

	Backoff       time.Duration `toml:"backoff" default:"1s" min:"10ms" max:"24h" doc:"pause before the second attempt; it doubles from then on, until data comes"`
	MaxBackoff    time.Duration `toml:"max_backoff" default:"1m" min:"10ms" max:"24h" doc:"the longest pause"`
	ConnectBudget *rawBudget    `toml:"connect_budget" doc:"how often it may connect, all processes together"`

	StaleAfter staleAfter   `toml:"stale_after" otherwise:"for ever" doc:"how long nothing may come before prices are not to be trusted; or a table"`
	Hours      router.Hours `toml:"hours" otherwise:"always" doc:"when data is to be expected, such as Mon-Fri 09:30-16:00 America/New_York"`

	Queue      int  `toml:"queue" default:"65536" min:"1" max:"100000000" doc:"events that wait for Redis, at most; the newest of each key stay"`
	QueueBytes size `toml:"queue_bytes" default:"32MiB" min:"1" max:"64GiB" doc:"bytes that wait for Redis, at most"`
}

type rawBudget struct {
	located
	Connects int           `toml:"connects" min:"1" max:"1000000" otherwise:"20" doc:"how many attempts"`
	Per      time.Duration `toml:"per" min:"1s" max:"24h" otherwise:"10m" doc:"in how long"`
}

// rawHandler is a table whose keys, but for kind, are the kind's options.
type rawHandler struct {
	located
	Kind string `toml:"kind" otherwise:"NAME, if that is a kind" doc:"what it is an instance of"`
}

func (h *rawHandler) decodeNode(d *decoder, n *node) {
	h.locate(n)
	if n.table == nil {
		d.failf(n, "want a table, have %s; write [handlers.%s]", n.kind(), n.name())
	}
}

// rawPolicy is what a route and [defaults] have in common. A key that is not there is nil.
type rawPolicy struct {
	Timeout *time.Duration `toml:"timeout" min:"0s" max:"24h" otherwise:"30s" doc:"how long one attempt may take; 0s is for ever"`
	Retry   *rawRetry      `toml:"retry" doc:"how often and when an event that failed is tried again"`
	MaxAge  *time.Duration `toml:"max_age" min:"0s" otherwise:"0s" doc:"older events are skipped, by their own time; 0s is any age"`
	Workers *int           `toml:"workers" min:"1" max:"10000" otherwise:"1, or what the kind says" doc:"events handled at a time; with several, only those of one key stay in order"`
}

type rawRetry struct {
	located
	Attempts   *int           `toml:"attempts" min:"1" max:"1000000" otherwise:"1" doc:"how often an event is tried, the first time included"`
	Backoff    *time.Duration `toml:"backoff" min:"1ms" max:"24h" otherwise:"200ms" doc:"pause before the second attempt; it doubles from then on"`
	MaxBackoff *time.Duration `toml:"max_backoff" min:"1ms" max:"24h" otherwise:"30s, or backoff if that is longer" doc:"the longest pause"`
}

type rawDefaults struct {
	located
	rawPolicy
}

type rawRoute struct {
	located
	rawPolicy
	Name       string     `toml:"name" otherwise:"the handler's name" doc:"for metrics and logs"`
	Channel    names      `toml:"channel" required:"true" doc:"a channel, a list of them, or * for every declared channel"`
	Type       names      `toml:"type" required:"true" doc:"a type, a prefix such as order.*, * for all, !type for all but it, or a list of these"`
	DeadLetter deadLetter `toml:"dead_letter" otherwise:"as the channel says" doc:"where events are kept that this route gave up: true, false or a channel"`
	When       string     `toml:"when" doc:"a condition in CEL on event and service; only events for which it is true are handled"`
	Dedupe     *rawDedupe `toml:"dedupe" doc:"how long an event that was handled is remembered, so that the same one is not handled again; or a table"`
	Handler    names      `toml:"handler" required:"true" doc:"a handler or a list of them; the name of a kind is one with default options"`
	Enabled    *bool      `toml:"enabled" otherwise:"true" doc:"false takes the route out"`
	Isolated   bool       `toml:"isolated" doc:"true gives the route a subscription of its own, so that no other route waits for it"`
	Queue      int        `toml:"queue" otherwise:"the channel's" min:"1" max:"100000000" doc:"of an isolated route on Pub/Sub: events that wait for it, at most"`
	QueueBytes size       `toml:"queue_bytes" otherwise:"the channel's" min:"1" max:"64GiB" doc:"of an isolated route on Pub/Sub: bytes that wait for it, at most"`
	Overflow   string     `toml:"overflow" otherwise:"the channel's" values:"drop_oldest,newest_per_key" doc:"of an isolated route on Pub/Sub: what goes when its queue is full"`
	AllowCycle bool       `toml:"allow_cycle" doc:"true allows this route to close a cycle of channels"`
}
