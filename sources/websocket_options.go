package sources

import (
	"path/filepath"
	"time"

	"signalbox/router"
)

// The defaults of the kind websocket that an element of a list has, too.
const (
	wsTimeout  = 10 * time.Second // of each thing that is waited for
	wsMaxBytes = 1 << 20
)

// WebSocketOptions are the options of the kind websocket. In the zero value each has its
// default, but for the URL.
//
// A message is a text, or a table or a list that is sent as JSON; texts have references such
// as {time_ms} and {request.data.token}. A pattern is a text, which is the whole message; a
// table of paths and what a JSON message has there, "*" for anything; or a list of these,
// any of which may match.
type WebSocketOptions struct {
	URL            []string               `toml:"url" required:"true" secret:"url" doc:"where to connect, ws:// or wss://; each attempt takes the next one, and each session that had data begins anew with the first"`
	Headers        map[string]string      `toml:"headers" secret:"true" doc:"header fields of the upgrade request"`
	Origin         string                 `toml:"origin" doc:"Origin of the upgrade request"`
	Proxy          string                 `toml:"proxy" secret:"url" otherwise:"none" doc:"http://, https:// or socks5:// URL of a proxy; \"environment\" takes the one that HTTPS_PROXY and its kin name"`
	CAFile         string                 `toml:"ca_file" otherwise:"the system's authorities" doc:"PEM file of the authority that signed the server's certificate"`
	Compression    bool                   `toml:"compression" doc:"offer permessage-deflate, each message by itself"`
	MaxBytes       router.Size            `toml:"max_bytes" min:"1KiB" max:"64MiB" doc:"how large a message may be, unpacked; a larger one ends the session"`
	ConnectTimeout time.Duration          `toml:"connect_timeout" min:"10ms" doc:"how long it may take until the server has accepted the upgrade"`
	Auth           WebSocketAuth          `toml:"auth" secret:"true" doc:"how to log in"`
	Greeting       WebSocketAnswer        `toml:"greeting" doc:"what the server says before anything is sent to it"`
	Handshake      []WebSocketStep        `toml:"handshake" doc:"what is said, and awaited, step by step between auth and subscribe"`
	Subscribe      []any                  `toml:"subscribe" doc:"messages that ask for data, sent in each session"`
	SubscribeEach  WebSocketSubscribeEach `toml:"subscribe_each" doc:"a message that is sent for each part of a long list, after subscribe"`
	SubscribeEvery time.Duration          `toml:"subscribe_every" otherwise:"no pause" doc:"pause between two messages that ask for data, for servers that limit their rate"`
	Confirm        WebSocketConfirm       `toml:"confirm" doc:"how the server confirms what was asked for"`
	FirstEvent     time.Duration          `toml:"first_event" otherwise:"any time" doc:"how long after that the first data may take; later it is an alarm, and the session goes on"`
	Ping           WebSocketPing          `toml:"ping" doc:"what is sent from time to time, so that a dead connection is noticed"`
	Reply          []WebSocketReply       `toml:"reply" doc:"what is answered to messages that ask for it"`
	Heartbeat      any                    `toml:"heartbeat" doc:"pattern of messages that only say that the connection is alive"`
	Decode         string                 `toml:"decode" enum:"gzip,deflate" doc:"how binary messages are packed; deflate is without a zlib header" otherwise:"not at all"`
	Rotate         time.Duration          `toml:"rotate" min:"10ms" otherwise:"never" doc:"age at which a session is ended for a new one, up to a tenth earlier"`
	RotateOn       any                    `toml:"rotate_on" doc:"pattern of a message by which the server announces that it will disconnect"`
	Errors         []WebSocketError       `toml:"errors" doc:"what errors of the server mean; the first that fits counts"`
}

// WebSocketAuth says how to log in.
type WebSocketAuth struct {
	Headers map[string]string `toml:"headers" doc:"header fields of the upgrade request"`
	Request WebSocketRequest  `toml:"request" doc:"HTTP request before the upgrade, whose JSON answer is what {request.PATH} refers to"`
	Message any               `toml:"message" doc:"message that logs in, the first one that is sent"`
	Expect  any               `toml:"expect" doc:"pattern of the answer to it"`
	FailOn  any               `toml:"fail_on" doc:"pattern of the answer that refuses it"`
	Timeout time.Duration     `toml:"timeout" min:"10ms" doc:"how long the answer may take"`
}

// WebSocketRequest is an HTTP request.
type WebSocketRequest struct {
	URL     string            `toml:"url" secret:"url" doc:"http:// or https://"`
	Method  string            `toml:"method" doc:"of HTTP"`
	Headers map[string]string `toml:"headers" secret:"true" doc:"header fields"`
	Body    any               `toml:"body" doc:"a text, or a table that is sent as JSON"`
	Timeout time.Duration     `toml:"timeout" min:"10ms" doc:"how long the answer may take"`
}

// WebSocketAnswer is an answer that is awaited.
type WebSocketAnswer struct {
	Expect  any           `toml:"expect" doc:"pattern of the message that is awaited"`
	FailOn  any           `toml:"fail_on" doc:"pattern of a message that comes in its place and ends the session"`
	Timeout time.Duration `toml:"timeout" min:"10ms" doc:"how long it may take"`
}

// WebSocketStep is a step of a handshake.
type WebSocketStep struct {
	Pause   time.Duration `toml:"pause" min:"1ms" otherwise:"none" doc:"how long to wait before the step"`
	Send    any           `toml:"send" doc:"message to send; without one the step only waits"`
	Expect  any           `toml:"expect" doc:"pattern of the message that is awaited; without one the step only sends"`
	FailOn  any           `toml:"fail_on" doc:"pattern of a message that comes in its place and ends the session"`
	Timeout time.Duration `toml:"timeout" min:"10ms" otherwise:"10s" doc:"how long the awaited message may take"`
}

// WebSocketSubscribeEach is a message for each part of a list.
type WebSocketSubscribeEach struct {
	Message map[string]any `toml:"message" doc:"the message, without the list"`
	At      string         `toml:"at" doc:"path in the message where a part of the list stands"`
	List    []string       `toml:"list" doc:"all of the list, such as symbols"`
	Size    int            `toml:"size" min:"1" otherwise:"all in one" doc:"how many of them one message has at most"`
}

// WebSocketConfirm is how a server confirms subscriptions.
type WebSocketConfirm struct {
	Expect  any           `toml:"expect" doc:"pattern of the message that confirms"`
	FailOn  any           `toml:"fail_on" doc:"pattern of a message that refuses, and ends the session"`
	Count   int           `toml:"count" min:"1" otherwise:"one for each message" doc:"how many messages confirm"`
	Timeout time.Duration `toml:"timeout" min:"10ms" doc:"how long all of them may take"`
}

// WebSocketPing is what is sent from time to time.
type WebSocketPing struct {
	Every   time.Duration `toml:"every" min:"10ms" otherwise:"never" doc:"time between two of them"`
	Send    any           `toml:"send" otherwise:"a ping frame" doc:"message to send in place of a ping frame"`
	Expect  any           `toml:"expect" doc:"pattern of the answer to it; without one no answer is awaited. A ping frame always has one"`
	Timeout time.Duration `toml:"timeout" min:"10ms" doc:"how long the answer may take; then the connection is dead"`
}

// WebSocketReply is a rule for answers.
type WebSocketReply struct {
	On   any `toml:"on" required:"true" doc:"pattern of the messages to answer"`
	Send any `toml:"send" required:"true" doc:"the answer; {on.PATH} is what the message has at a path"`
}

// WebSocketError says what an error of the server means.
type WebSocketError struct {
	Match  any           `toml:"match" doc:"pattern of a message"`
	Code   any           `toml:"code" doc:"code with which the server closes, or a list of them"`
	Status any           `toml:"status" doc:"HTTP status of the answer to the upgrade or to auth.request, or a list of them"`
	Then   string        `toml:"then" required:"true" enum:"retry,reauth,stand_down,fatal,ignore,rotate" doc:"what becomes of the session"`
	After  time.Duration `toml:"after" doc:"of retry and reauth: how long not to connect at least"`
}

func defaultWebSocketOptions() WebSocketOptions {
	return WebSocketOptions{
		MaxBytes:       wsMaxBytes,
		ConnectTimeout: wsTimeout,
		Auth:           WebSocketAuth{Timeout: wsTimeout, Request: WebSocketRequest{Method: "POST", Timeout: wsTimeout}},
		Greeting:       WebSocketAnswer{Timeout: wsTimeout},
		Confirm:        WebSocketConfirm{Timeout: wsTimeout},
		Ping:           WebSocketPing{Timeout: wsTimeout},
	}
}

// Locate makes ca_file start in the folder of the file that names it.
func (o *WebSocketOptions) Locate(dir string) {
	if o.CAFile != "" && !filepath.IsAbs(o.CAFile) {
		o.CAFile = filepath.Join(dir, o.CAFile)
	}
}

// Validate reports all that is wrong with the options. It shows no secret.
func (o WebSocketOptions) Validate() error {
	_, err := newWSPlan(o)
	return err
}
