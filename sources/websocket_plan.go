package sources

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// wsPlan is what the options mean, for every session.
type wsPlan struct {
	urls           []wsAddress
	header         []wsHeader
	origin         string
	proxy          func(*http.Request) (*url.URL, error) // nil: none
	authorities    *x509.CertPool                        // nil: the system's
	compression    bool
	maxBytes       int64
	connectTimeout time.Duration
	request        *wsRequest // nil: none
	steps          []wsStep
	firstEvent     time.Duration
	ping           wsPing
	replies        []wsReply
	heartbeat      wsPatterns
	decode         string
	rotate         time.Duration
	rotateOn       wsPatterns
	rules          []wsRule
	hidden         wsHidden
}

// newWSPlan reads the options, and reports all that is wrong with them.
func newWSPlan(o WebSocketOptions) (*wsPlan, error) {
	p := &wsPlan{
		origin: o.Origin, compression: o.Compression, maxBytes: int64(cmp.Or(o.MaxBytes, wsMaxBytes)),
		connectTimeout: cmp.Or(o.ConnectTimeout, wsTimeout),
		firstEvent:     o.FirstEvent, decode: o.Decode, rotate: o.Rotate,
	}
	scope := wsScope{request: o.Auth.Request.URL != ""}
	errs := []error{
		p.parseURLs(o.URL, scope),
		p.parseHeaders(o, scope),
		p.parseProxy(o.Proxy),
		p.parseAuthorities(o),
		checkWSLimits(o),
		p.parseRequest(o.Auth.Request),
		p.parseSteps(o, scope),
		p.parsePing(o.Ping, scope),
		p.parseReplies(o.Reply, scope),
	}
	var heartbeatErr, rotateErr, rulesErr error
	p.heartbeat, heartbeatErr = parseWSPatterns("heartbeat", o.Heartbeat)
	p.rotateOn, rotateErr = parseWSPatterns("rotate_on", o.RotateOn)
	p.rules, rulesErr = parseWSRules(o.Errors)
	errs = append(errs, heartbeatErr, rotateErr, rulesErr)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.hide(o)
	return p, nil
}

// hide gathers what no error may show.
func (p *wsPlan) hide(o WebSocketOptions) {
	p.hidden.add(o.Headers, o.Auth.Headers, o.Auth.Message, o.Auth.Request.Headers, o.Auth.Request.Body)
	for _, step := range o.Handshake {
		p.hidden.add(step.Send)
	}
	for _, address := range append(slices.Clone(o.URL), o.Proxy, o.Auth.Request.URL) {
		p.hidden.url(address)
	}
}

func (p *wsPlan) parseURLs(urls []string, scope wsScope) error {
	if len(urls) == 0 {
		return errors.New(`url is missing; write url = ["wss://…"]`)
	}
	var errs []error
	for i, text := range urls {
		name := "url"
		if len(urls) > 1 {
			name = fmt.Sprintf("url.%d", i)
		}
		address, err := parseWSAddress(name, text, scope, "ws", "wss")
		p.urls, errs = append(p.urls, address), append(errs, err)
	}
	return errors.Join(errs...)
}

func (p *wsPlan) parseHeaders(o WebSocketOptions, scope wsScope) error {
	own, ownErr := parseWSHeader("headers", o.Headers, scope)
	auth, authErr := parseWSHeader("auth.headers", o.Auth.Headers, scope)
	p.header = []wsHeader{own, auth}
	errs := []error{ownErr, authErr}
	for name := range auth {
		if _, twice := own[name]; twice {
			errs = append(errs, fmt.Errorf("auth.headers: %q is in headers already; remove one", name))
		}
	}
	if strings.ContainsFunc(o.Origin, isControl) {
		errs = append(errs, errors.New("origin: it has a control character; write an address such as \"https://example.com\""))
	}
	return errors.Join(errs...)
}

func (p *wsPlan) parseProxy(text string) error {
	switch text {
	case "":
		return nil
	case "environment":
		p.proxy = http.ProxyFromEnvironment
		return nil
	}
	proxy, err := parseWSURL(text, "socks5", "https", "http")
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.proxy = http.ProxyURL(proxy)
	return nil
}

func (p *wsPlan) parseAuthorities(o WebSocketOptions) error {
	if o.CAFile == "" {
		return nil
	}
	if p.urls != nil && !slices.ContainsFunc(append(slices.Clone(o.URL), o.Auth.Request.URL), func(u string) bool {
		return strings.HasPrefix(u, "wss:") || strings.HasPrefix(u, "https:") || strings.HasPrefix(u, "{")
	}) {
		return fmt.Errorf("ca_file: %q is of no use: url has no TLS; write wss:// there or remove ca_file", o.CAFile)
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return fmt.Errorf("ca_file: %w", err)
	}
	p.authorities = x509.NewCertPool()
	if !p.authorities.AppendCertsFromPEM(pem) {
		return fmt.Errorf("ca_file: no PEM certificate is in %q; it begins with -----BEGIN CERTIFICATE-----", o.CAFile)
	}
	return nil
}

// checkWSLimits checks numbers, for those who don't come from a file.
func checkWSLimits(o WebSocketOptions) error {
	var errs []error
	for _, option := range []struct {
		name  string
		value time.Duration
	}{
		{"connect_timeout", o.ConnectTimeout},
		{"auth.timeout", o.Auth.Timeout},
		{"auth.request.timeout", o.Auth.Request.Timeout},
		{"greeting.timeout", o.Greeting.Timeout},
		{"subscribe_every", o.SubscribeEvery},
		{"confirm.timeout", o.Confirm.Timeout},
		{"first_event", o.FirstEvent},
		{"ping.every", o.Ping.Every},
		{"ping.timeout", o.Ping.Timeout},
		{"rotate", o.Rotate},
	} {
		if option.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative; write a duration such as \"10s\"", option.name, option.value))
		}
	}
	if o.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is negative; write a size such as \"1MiB\"", o.MaxBytes))
	}
	if o.Decode != "" && o.Decode != wsGzip && o.Decode != wsDeflate {
		errs = append(errs, fmt.Errorf(`decode: want "gzip" or "deflate", have %q`, o.Decode))
	}
	return errors.Join(errs...)
}
