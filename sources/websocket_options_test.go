package sources

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWebSocketOptions(t *testing.T) {
	t.Parallel()
	noCertificate := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noCertificate, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*WebSocketOptions)) WebSocketOptions {
		o := defaultWebSocketOptions()
		o.URL = []string{"wss://example.com/ws"}
		change(&o)
		return o
	}
	to := func(urls ...string) WebSocketOptions { return with(func(o *WebSocketOptions) { o.URL = urls }) }
	headers := func(of map[string]string) WebSocketOptions {
		return with(func(o *WebSocketOptions) { o.Headers = of })
	}
	rule := func(e WebSocketError) WebSocketOptions {
		return with(func(o *WebSocketOptions) { o.Errors = []WebSocketError{{Code: int64(4000), Then: "retry"}, e} })
	}
	each := func(e WebSocketSubscribeEach) WebSocketOptions {
		return with(func(o *WebSocketOptions) { o.SubscribeEach = e })
	}
	for name, test := range map[string]struct {
		options WebSocketOptions
		want    string // the beginning of an error; empty: none
	}{
		"zero but url":   {WebSocketOptions{URL: []string{"ws://host"}}, ""},
		"defaults":       {to("wss://example.com/ws"), ""},
		"two":            {to("wss://a.example/ws", "ws://[::1]:80/"), ""},
		"user and query": {to("wss://user:p%40@host/?a={time_ms}&b={uuid}"), ""},
		"of the request": {with(func(o *WebSocketOptions) { o.URL, o.Auth.Request.URL = []string{"{request.url}"}, "https://host" }), ""},
		"no url":         {to(), `url is missing; write url = ["wss://…"]`},
		"empty url":      {to(""), "url: the scheme is not ws or wss; write wss:// before the host"},
		"http":           {to("https://host"), "url: the scheme is not ws or wss"},
		"second url":     {to("ws://host", "ws://"), "url.1: no host follows ws://"},
		"port":           {to("ws://host:0"), "url: the port is not a number from 1 to 65535"},
		"no URL":         {to("ws://host/%zz"), "url: this is no URL"},
		"fragment":       {to("ws://host/#x"), "url: a # begins a fragment"},
		"brace":          {to("ws://host/{token}"), "url: it has a brace that belongs to no reference"},
		"no request":     {to("ws://host/{request.token}"), "url: {request.token} refers to the answer of auth.request, and there is none here"},
		"on in url":      {to("ws://host/{on.token}"), "url: {on.token} refers to the message that is answered"},
		"headers":        {headers(map[string]string{"Authorization": "Bearer {x} {time_ms}"}), ""},
		"header of HTTP": {headers(map[string]string{"connection": "x"}), `headers: "connection" can't be set: it belongs to the connection`},
		"header upgrade": {headers(map[string]string{"sec-websocket-key": "x"}), `headers: "sec-websocket-key" can't be set: it belongs to the upgrade`},
		"header host":    {headers(map[string]string{"Host": "x"}), `headers: "Host" can't be set: it is the host of url`},
		"header origin":  {headers(map[string]string{"Origin": "x"}), `headers: "Origin" can't be set: the option origin does`},
		"header name":    {headers(map[string]string{"X Y\n": "x"}), `headers: "X Y\\u000a" is no name of a field`},
		"header value":   {headers(map[string]string{"X": "a\r\nb"}), `headers: the value of "X" has a line break`},
		"header twice":   {headers(map[string]string{"X-A": "a", "x-a": "b"}), `headers: "X-A" and "x-a" are one field`},
		"header request": {headers(map[string]string{"X": "{request.a}"}), `headers: "X": {request.a} refers to the answer of auth.request`},
		"headers of both": {with(func(o *WebSocketOptions) {
			o.Headers, o.Auth.Headers = map[string]string{"x-a": "1"}, map[string]string{"X-A": "2"}
		}), `auth.headers: "X-A" is in headers already`},
		"origin":          {with(func(o *WebSocketOptions) { o.Origin = "a\nb" }), "origin: it has a control character"},
		"proxies":         {with(func(o *WebSocketOptions) { o.Proxy = "socks5://user:x@host:1080" }), ""},
		"proxy of system": {with(func(o *WebSocketOptions) { o.Proxy = "environment" }), ""},
		"proxy":           {with(func(o *WebSocketOptions) { o.Proxy = "host:8080" }), "proxy: the scheme is not socks5 or https or http; write http:// before the host"},
		"ca missing":      {with(func(o *WebSocketOptions) { o.CAFile = "/none.pem" }), "ca_file: open /none.pem"},
		"ca empty":        {with(func(o *WebSocketOptions) { o.CAFile = noCertificate }), "ca_file: no PEM certificate is in "},
		"ca, no TLS":      {with(func(o *WebSocketOptions) { o.URL, o.CAFile = []string{"ws://x"}, noCertificate }), "ca_file: "},

		"auth":              {with(func(o *WebSocketOptions) { o.Auth.Message, o.Auth.Expect = table{"password": "a{b}c"}, "ok" }), ""},
		"auth only awaited": {with(func(o *WebSocketOptions) { o.Auth.Expect = "ok" }), ""},
		"auth message":      {with(func(o *WebSocketOptions) { o.Auth.Message = 5 }), "auth.message: a message is a text"},
		"auth fail_on":      {with(func(o *WebSocketOptions) { o.Auth.Message, o.Auth.FailOn = "x", "no" }), "auth.fail_on: nothing is awaited that could fail"},
		"auth expect":       {with(func(o *WebSocketOptions) { o.Auth.Expect = table{} }), "auth.expect: a table is empty"},
		"request":           {with(func(o *WebSocketOptions) { o.Auth.Request.URL = "ws://host" }), "auth.request.url: the scheme is not http or https"},
		"request url":       {with(func(o *WebSocketOptions) { o.Auth.Request.Body = "x" }), "auth.request.url is missing"},
		"request method":    {with(func(o *WebSocketOptions) { o.Auth.Request.URL, o.Auth.Request.Method = "http://x", "A B\n" }), `auth.request.method: "A B\\u000a" is none of HTTP`},
		"request header": {with(func(o *WebSocketOptions) {
			o.Auth.Request.URL, o.Auth.Request.Headers = "http://x", map[string]string{"X": "{request.x}"}
		}), `auth.request.headers: "X": {request.x} refers`},
		"request body":      {with(func(o *WebSocketOptions) { o.Auth.Request.URL, o.Auth.Request.Body = "http://x", 5 }), "auth.request.body: a message is a text"},
		"greeting":          {with(func(o *WebSocketOptions) { o.Greeting.FailOn = "x" }), "greeting.fail_on: nothing is awaited"},
		"handshake":         {with(func(o *WebSocketOptions) { o.Handshake = []WebSocketStep{{Send: "x"}, {Timeout: time.Second}} }), "handshake.1 is empty; write what to send, what to expect, or how long to pause"},
		"handshake timeout": {with(func(o *WebSocketOptions) { o.Handshake = []WebSocketStep{{Send: "x", Timeout: -1}} }), "handshake.0: timeout or pause is negative"},
		"handshake send":    {with(func(o *WebSocketOptions) { o.Handshake = []WebSocketStep{{Send: table{"a": "{b}"}}} }), "handshake.0.send.a: {b} is no reference"},
		"subscribe":         {with(func(o *WebSocketOptions) { o.Subscribe = []any{"x", table{"a": []any{"{b}"}}} }), "subscribe.1.a.0: {b} is no reference"},
		"each":              {each(WebSocketSubscribeEach{Message: table{"a": "b"}, At: "x.y.z", List: []string{"a"}}), ""},
		"each message":      {each(WebSocketSubscribeEach{At: "x", List: []string{"a"}}), "subscribe_each.message is missing"},
		"each at":           {each(WebSocketSubscribeEach{Message: table{"a": "b"}, List: []string{"a"}}), "subscribe_each.at is missing"},
		"each at what":      {each(WebSocketSubscribeEach{Message: table{"a": "b"}, At: "a.b", List: []string{"a"}}), `subscribe_each.at: the message has no table at "a"`},
		"each list":         {each(WebSocketSubscribeEach{Message: table{"a": "b"}, At: "x"}), "subscribe_each.list is empty"},
		"each size":         {each(WebSocketSubscribeEach{Message: table{"a": "b"}, At: "x", List: []string{"a"}, Size: -1}), "subscribe_each.size: -1 is negative"},
		"confirm":           {with(func(o *WebSocketOptions) { o.Confirm.Expect = true }), "confirm.expect: a pattern is a text"},
		"confirm count":     {with(func(o *WebSocketOptions) { o.Confirm.Count = -1 }), "confirm.count: -1 is negative"},
		"ping":              {with(func(o *WebSocketOptions) { o.Ping.Send = "x" }), "ping.every is missing"},
		"ping expect":       {with(func(o *WebSocketOptions) { o.Ping.Every, o.Ping.Expect = 1, "x" }), "ping.expect: the answer to a ping frame is a pong frame"},
		"ping send":         {with(func(o *WebSocketOptions) { o.Ping.Every, o.Ping.Send = 1, true }), "ping.send: a message is a text"},
		"reply":             {with(func(o *WebSocketOptions) { o.Reply = []WebSocketReply{{On: "x"}} }), "reply.0: on or send is missing"},
		"reply send":        {with(func(o *WebSocketOptions) { o.Reply = []WebSocketReply{{On: "x", Send: "{on}"}} }), "reply.0.send: {on} is no reference"},
		"heartbeat":         {with(func(o *WebSocketOptions) { o.Heartbeat = []any{5} }), "heartbeat.0: a pattern is a text"},
		"decode":            {with(func(o *WebSocketOptions) { o.Decode = "zip" }), `decode: want "gzip" or "deflate", have "zip"`},
		"rotate":            {with(func(o *WebSocketOptions) { o.Rotate = -1 }), "rotate: -1ns is negative"},
		"rotate_on":         {with(func(o *WebSocketOptions) { o.RotateOn = "" }), "rotate_on: the text is empty"},
		"max_bytes":         {with(func(o *WebSocketOptions) { o.MaxBytes = -1 }), "max_bytes: -1 is negative"},
		"ping timeout":      {with(func(o *WebSocketOptions) { o.Ping.Timeout = -1 }), "ping.timeout: -1ns is negative"},

		"rule":             {rule(WebSocketError{Match: "x", Code: []any{int64(4001), 4002}, Status: int64(401), Then: "reauth", After: 1}), ""},
		"rule then":        {rule(WebSocketError{Match: "x"}), `errors.1.then: want "retry", "reauth", "stand_down", "fatal", "ignore" or "rotate", have ""`},
		"rule for nothing": {rule(WebSocketError{Then: "fatal"}), "errors.1 has nothing to tell the error by"},
		"rule code":        {rule(WebSocketError{Code: int64(99), Then: "fatal"}), "errors.1.code: 99 is none; close codes are numbers from 1000 to 4999"},
		"rule codes":       {rule(WebSocketError{Code: []any{}, Then: "fatal"}), "errors.1.code: the list is empty"},
		"rule status":      {rule(WebSocketError{Status: "401", Then: "fatal"}), "errors.1.status: 401 is none; HTTP statuses of errors are numbers from 300 to 599"},
		"rule ignore":      {rule(WebSocketError{Code: int64(4001), Then: "ignore"}), `errors.1.then: "ignore" is for messages`},
		"rule rotate":      {rule(WebSocketError{Status: int64(503), Then: "rotate"}), `errors.1.then: "rotate" is for messages and close codes`},
		"rule after":       {rule(WebSocketError{Match: "x", Then: "fatal", After: 1}), `errors.1.after: it goes with "retry" and "reauth" only`},
		"rule after < 0":   {rule(WebSocketError{Match: "x", Then: "retry", After: -1}), "errors.1.after: "},
		"rule match":       {rule(WebSocketError{Match: table{}, Then: "retry"}), "errors.1.match: a table is empty"},

		"all of it": {
			WebSocketOptions{URL: []string{"x"}, Decode: "x", Heartbeat: "", Errors: []WebSocketError{{}}},
			"url: the scheme is not ws or wss; write wss:// before the host\ndecode: want \"gzip\" or \"deflate\", have \"x\"\nheartbeat: the text is empty; write the whole message that it is to be\nerrors.0.then: ",
		},
	} {
		err := test.options.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
			t.Errorf("%s: %v\nwant %s…", name, err, test.want)
		}
	}
}

func TestWebSocketLocate(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"": "", "ca.pem": "/etc/router/ca.pem", "../ca.pem": "/etc/ca.pem", "/x/ca.pem": "/x/ca.pem"} {
		o := WebSocketOptions{CAFile: path}
		if o.Locate("/etc/router"); o.CAFile != want {
			t.Errorf("%q becomes %q, want %q", path, o.CAFile, want)
		}
	}
}

// However an option is wrong, no error shows what of it may be a secret.
func TestWebSocketOptionsKeepSecrets(t *testing.T) {
	t.Parallel()
	const canary = "CaNaRy42"
	good := []string{"wss://host"}
	for _, o := range []WebSocketOptions{
		{URL: []string{canary}},
		{URL: []string{canary + "://x"}},
		{URL: []string{"wss://user:" + canary + "/x@host/"}},
		{URL: []string{"wss://host:" + canary + "/"}},
		{URL: []string{"wss://host/?token=" + canary + "%zz\x00"}},
		{URL: []string{"wss://host/#" + canary}},
		{URL: []string{"wss://host/?{" + canary + "}"}},
		{URL: []string{"wss://user:" + canary + "@/"}},
		{URL: good, Proxy: canary},
		{URL: good, Proxy: "http://user:" + canary + "@"},
		{URL: good, Headers: map[string]string{"X": canary + "\n"}},
		{URL: good, Headers: map[string]string{"Host": canary}},
		{URL: good, Auth: WebSocketAuth{Headers: map[string]string{"X": canary + "\n"}}},
		{URL: good, Auth: WebSocketAuth{Message: table{"key": canary + "{request.x}"}}},
		{URL: good, Auth: WebSocketAuth{Message: table{"key": []string{canary}}}},
		{URL: good, Auth: WebSocketAuth{Request: WebSocketRequest{URL: "https://host/{" + canary + "}"}}},
		{URL: good, Auth: WebSocketAuth{Request: WebSocketRequest{URL: "https://host", Headers: map[string]string{"X": canary + "\n"}}}},
		{URL: good, Auth: WebSocketAuth{Request: WebSocketRequest{URL: "https://host", Body: table{"x": canary + "{on.x}"}}}},
	} {
		err := o.Validate()
		if err == nil {
			t.Errorf("%+v: no error", o)
		} else if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(canary)) {
			t.Errorf("%+v: the error shows it: %v", o, err)
		}
	}
}

// What a server repeats of what it was told is not shown, however it is written.
func TestWebSocketHidden(t *testing.T) {
	t.Parallel()
	o := WebSocketOptions{
		URL:     []string{"wss://u53rn4me:p4ssw0rd@host/t0k3nt0k3n42/x?token=qu3rytok3n&n=7"},
		Proxy:   "http://proxy:pr0xyp4ss@host",
		Headers: map[string]string{"Authorization": "Bearer h34dert0ken"},
		Auth: WebSocketAuth{
			Headers: map[string]string{"X-Key": `quo"ted/key`},
			Message: table{"action": "authenticate", "args": []any{"M3ssagekey", table{"s": "d33p3rkey"}}},
			Request: WebSocketRequest{URL: "https://host?k=r3questk3y", Body: `{"secret":"b0dyk3y12345"}`, Headers: map[string]string{"X": "r3qu3sthead"}},
		},
		Handshake: []WebSocketStep{{Send: table{"sig": "s1gnature"}}},
	}
	plan, err := newWSPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{
		"u53rn4me", "p4ssw0rd", "t0k3nt0k3n42", "qu3rytok3n", "pr0xyp4ss", "h34dert0ken", `quo"ted/key`, `quo\"ted/key`, `quo\"ted\/key`, "quo%22ted%2Fkey",
		"M3ssagekey", "d33p3rkey", "r3questk3y", "b0dyk3y12345", "r3qu3sthead", "s1gnature",
	} {
		if shown := plan.hidden.show("the key " + secret + " is wrong"); strings.Contains(shown, secret) {
			t.Errorf("%q is shown: %s", secret, shown)
		}
	}
	for _, text := range []string{`{"action":"authenticate","code":7}`, "not the bearer", "host is busy"} {
		if shown := plan.hidden.show(text); shown != text {
			t.Errorf("%q is not shown: %s", text, shown)
		}
	}
	if got := oneLine(strings.Repeat("x", 299) + "\x1b\n\\x1b" + strings.Repeat("y", 500)); !strings.HasSuffix(got, `x\u001b…`) {
		t.Errorf("one line is %s", got)
	}
}

// Every option has its tags, and what is said of it fits into a line.
func TestWebSocketTags(t *testing.T) {
	t.Parallel()
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		for field := range of.Fields() {
			if field.Tag.Get("toml") == "" || field.Tag.Get("doc") == "" {
				t.Errorf("%s.%s lacks a tag", of, field.Name)
			}
			inner := field.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				look(inner)
			}
		}
	}
	look(reflect.TypeFor[WebSocketOptions]())
}
