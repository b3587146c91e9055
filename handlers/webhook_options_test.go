package handlers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldSecret  = "b2xkIGtleSBvZiB0aGlydHkgYnl0ZXMsIG9yIHNv"
)

func TestWebhookOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noCertificate := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(noCertificate, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*WebhookOptions)) WebhookOptions {
		o := defaultWebhookOptions()
		o.URL = "https://example.com/hook"
		change(&o)
		return o
	}
	headers := func(of ...string) WebhookOptions {
		return with(func(o *WebhookOptions) {
			o.Headers = map[string]string{}
			for i := 0; i < len(of); i += 2 {
				o.Headers[of[i]] = of[i+1]
			}
		})
	}
	body := func(table map[string]any) WebhookOptions {
		return with(func(o *WebhookOptions) { o.Body = table })
	}
	to := func(url string) WebhookOptions { return with(func(o *WebhookOptions) { o.URL = url }) }
	for name, test := range map[string]struct {
		options WebhookOptions
		want    string // the beginning of an error; empty: none
	}{
		"zero but url":       {WebhookOptions{URL: "http://mailer:8000/send"}, ""},
		"defaults":           {to("https://example.com"), ""},
		"private":            {to("http://192.168.1.7/x"), ""},
		"loopback":           {to("http://[::1]:8080"), ""},
		"user":               {to("https://user:p%40ss@example.com/"), ""},
		"no url":             {to(""), `url is missing; write url = "https://…"`},
		"no scheme":          {to("example.com/hook"), "url: the scheme is neither http nor https"},
		"other scheme":       {to("ftp://example.com"), "url: the scheme is neither http nor https"},
		"no host":            {to("https:///hook"), "url: no host follows https://"},
		"no host but a port": {to("https://:8080/"), "url: no host follows https://"},
		"port too large":     {to("https://example.com:65536"), "url: the port is not a number from 1 to 65535"},
		"port 0":             {to("https://example.com:0"), "url: the port is not a number from 1 to 65535"},
		"bad escape":         {to("https://example.com/%zz"), "url: this is no URL"},
		"control character":  {to("https://example.com/\n"), "url: this is no URL"},
		"fragment":           {to("https://example.com/#top"), "url: a # begins a fragment"},
		"empty fragment":     {to("https://example.com/#"), "url: a # begins a fragment"},
		"template":           {to("https://example.com/{key}"), "url: it has a brace, but is no template"},
		"template as host":   {to("https://{key}/"), "url: it has a brace, but is no template"},
		"metadata address":   {to("http://169.254.169.254/latest"), "url: 169.254.169.254 is a link-local address"},
		"mapped metadata":    {to("http://[::ffff:169.254.169.254]/"), "url: ::ffff:169.254.169.254 is a link-local address"},
		"metadata allowed":   {with(func(o *WebhookOptions) { o.URL, o.AllowLinkLocal = "http://169.254.169.254/", true }), ""},
		"unspecified":        {to("http://0.0.0.0:80/"), "url: 0.0.0.0 is not the address of one machine"},

		"headers":           {headers("Authorization", "Bearer x", "X-Tags", "a\tb", "User-Agent", "me"), ""},
		"header of HTTP":    {headers("content-length", "7"), `headers: "content-length" can't be set: it belongs to the connection`},
		"header Host":       {headers("Host", "x"), `headers: "Host" can't be set: it is the host of url`},
		"header type":       {headers("Content-Type", "text/plain"), `headers: "Content-Type" can't be set: it is application/json with body`},
		"header signature":  {headers("webhook-signature", "x"), `headers: "webhook-signature" can't be set: it belongs to the signature`},
		"header trace":      {headers("traceparent", "x"), `headers: "traceparent" can't be set: it would be the same for every event; the trace context of an event is sent if it has one`},
		"header state":      {headers("TraceState", "x"), `headers: "TraceState" can't be set: it would be the same for every event`},
		"header key":        {headers("Idempotency-Key", "x"), `headers: "Idempotency-Key" can't be set: it would be the same for every event`},
		"header name":       {headers("X Y", "x"), `headers: "X Y" is no name of a field`},
		"header name break": {headers("X\r\nY", "x"), `headers: "X\\u000d\\u000aY" is no name of a field`},
		"header no name":    {headers("", "x"), `headers: "" is no name of a field`},
		"header break":      {headers("X-A", "a\r\nX-B: b"), `headers: the value of "X-A" has a line break`},
		"header NUL":        {headers("X-A", "a\x00"), `headers: the value of "X-A" has a line break`},
		"header twice":      {headers("X-A", "1", "x-a", "2"), `headers: "X-A" and "x-a" are one field`},
		"two authorizations": {with(func(o *WebhookOptions) {
			o.URL, o.Headers = "https://user@example.com", map[string]string{"authorization": "x"}
		}), `headers: "authorization" is set by the user in url already`},

		"empty body":    {body(map[string]any{}), "body: the table is empty"},
		"body":          {body(map[string]any{"text": "{data.symbol} at {time}", "n": int64(5), "f": 1.5, "on": true, "when": time.Now()}), ""},
		"body template": {body(map[string]any{"blocks": []any{map[string]any{"text": "{symbol}"}}}), `body.blocks.0.text: "symbol": an event has no field "symbol"`},
		"body brace":    {body(map[string]any{"text": "{data.x"}), "body.text: a { without }"},
		"body NaN":      {body(map[string]any{"n": nan()}), "body.n: NaN has no JSON form"},
		"body other":    {body(map[string]any{"n": []string{"x"}}), "body.n: a []string can't be in it"},

		"secret":            {with(func(o *WebhookOptions) { o.Secret, o.OldSecret = testSecret, oldSecret }), ""},
		"secret not base64": {with(func(o *WebhookOptions) { o.Secret = "correct horse battery staple" }), "secret: it is not base64; make one with"},
		"secret too short":  {with(func(o *WebhookOptions) { o.Secret = "whsec_c2hvcnQ=" }), "secret: 5 bytes are too short for a key, it takes 24"},
		"old secret wrong":  {with(func(o *WebhookOptions) { o.Secret, o.OldSecret = testSecret, "?" }), "old_secret: it is not base64"},
		"only old secret":   {with(func(o *WebhookOptions) { o.OldSecret = oldSecret }), "old_secret is set, but secret is not"},

		"timeout":      {with(func(o *WebhookOptions) { o.Timeout = -1 }), "timeout: -1ns is negative"},
		"connections":  {with(func(o *WebhookOptions) { o.Connections = -1 }), "connections: -1 is negative"},
		"ca missing":   {with(func(o *WebhookOptions) { o.CAFile = filepath.Join(dir, "none.pem") }), "ca_file: open "},
		"ca empty":     {with(func(o *WebhookOptions) { o.CAFile = noCertificate }), "ca_file: no PEM certificate is in "},
		"ca, no TLS":   {with(func(o *WebhookOptions) { o.URL, o.CAFile = "http://x", noCertificate }), "ca_file: "},
		"all of it":    {WebhookOptions{URL: "x", Secret: "?", Timeout: -1}, "url: the scheme is neither http nor https; write https:// before the host\nsecret: it is not base64; make one with: echo whsec_$(openssl rand -base64 32)\ntimeout: "},
		"rest unknown": {WebhookOptions{URL: "x", CAFile: noCertificate, Headers: map[string]string{"Host": "x"}}, "url: the scheme is neither http nor https; write https:// before the host\nheaders: "},
	} {
		err := test.options.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
			t.Errorf("%s: %v\nwant %s…", name, err, test.want)
		}
		if _, newErr := newWebhook("router", test.options); (newErr == nil) != (err == nil) {
			t.Errorf("%s: New says %v, Validate %v", name, newErr, err)
		}
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

func TestWebhookLocate(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"": "", "ca.pem": "/etc/router/ca.pem", "../ca.pem": "/etc/ca.pem", "/x/ca.pem": "/x/ca.pem"} {
		o := WebhookOptions{CAFile: path}
		if o.Locate("/etc/router"); o.CAFile != want {
			t.Errorf("%q becomes %q, want %q", path, o.CAFile, want)
		}
	}
}

// However a URL is wrong, no error shows a part of it that may be a token.
func TestWebhookOptionsKeepSecrets(t *testing.T) {
	t.Parallel()
	const canary = "CaNaRy42"
	for _, o := range []WebhookOptions{
		{URL: canary},
		{URL: canary + "://x"},
		{URL: canary + ":x@host"},
		{URL: "https://user:" + canary + "/x@host/"},
		{URL: "https://host:" + canary + "/"},
		{URL: "https://host/" + canary + "%zz"},
		{URL: "https://ho st/" + canary},
		{URL: "https://" + canary + "%zz@host/"},
		{URL: "https://host/\x00" + canary},
		{URL: "https://host/#" + canary},
		{URL: "https://user:" + canary + "@/"},
		{URL: "http://user:" + canary + "@169.254.169.254/"},
		{URL: "https://[::1" + canary + "]/"},
		{URL: "https://host/{" + canary + "}"},
		{URL: "https://host", Secret: canary + "!"},
		{URL: "https://host", Secret: canary},
		{URL: "https://host", OldSecret: canary},
		{URL: "https://host", Secret: testSecret, OldSecret: "whsec_" + canary},
		{URL: "https://host", Headers: map[string]string{"X-A": canary + "\n"}},
		{URL: "https://host", Headers: map[string]string{"Host": canary}},
		{URL: "https://" + canary + "@host", Headers: map[string]string{"Authorization": canary}},
		{URL: "https://host", Body: map[string]any{"token": canary + "{"}},
		{URL: "https://host", Body: map[string]any{"token": "{id}" + canary + "{what}"}},
	} {
		err := o.Validate()
		if err == nil {
			t.Errorf("%+v: no error", o)
		} else if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(canary)) {
			t.Errorf("%+v: the error shows it: %v", o, err)
		}
	}
}
