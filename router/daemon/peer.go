package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"signalbox/router/routesfile"
)

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 1 << 20

// AskOptions say which router that runs is asked, and how long its answer may take.
type AskOptions struct {
	URL     string // empty: the one of this configuration, on this machine
	Timeout time.Duration
	JSON    bool // print the answer as it came
}

// errNoListener says that the router of this configuration cannot be asked.
var errNoListener = errors.New("[http] is off: listen is not set")

// peer is a router that runs, for who asks it.
type peer struct {
	base    *url.URL
	token   string
	timeout time.Duration
}

// newPeer finds the router to ask. It reads [http] and no more: the rest of the files may
// be broken by now, and is none of its business.
func newPeer(opts Options, what AskOptions) (*peer, error) {
	if what.Timeout <= 0 {
		return nil, &UsageError{fmt.Errorf("--timeout %v: want a time such as 3s", what.Timeout)}
	}
	p := &peer{timeout: what.Timeout}
	if what.URL != "" {
		base, err := parsePeer(what.URL)
		if err != nil {
			return nil, &UsageError{err}
		}
		p.base = base
		// Without a configuration, or with a broken one, there is no token to show.
		set, _ := routesfile.LoadHTTP(opts.Source)
		p.token = set.Token
		return p, nil
	}
	set, err := routesfile.LoadHTTP(opts.Source)
	if err != nil {
		return nil, err
	}
	if set.Listen == "" {
		return nil, errNoListener
	}
	host, err := reachable(set.Listen)
	if err != nil {
		return nil, err
	}
	p.base, p.token = &url.URL{Scheme: "http", Host: host}, set.Token
	return p, nil
}

// parsePeer reads --url.
func parsePeer(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("--url: want the address of a router, such as http://10.0.0.5:8080")
	case base.User != nil:
		return nil, errors.New("--url: a token does not stand in an address; it is that of [http]")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("--url: want only the address of a router, without ? and #")
	}
	return base, nil
}

// reachable is where this machine reaches who listens at host:port: what listens at all
// addresses, on loopback.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil { // not in a configuration that was checked
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("[http] listen is %q, any port that is free, and only the router's log says which; write a port, or --url with what the log says", listen)
	}
	ip, _ := netip.ParseAddr(host) // a name is no address, and stays
	switch ip.Unmap() {
	case netip.IPv4Unspecified():
		host = "127.0.0.1"
	case netip.IPv6Unspecified():
		host = "::1"
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// answered is what a router answered.
type answered struct {
	status int
	text   []byte
}

// ask makes one request, without a proxy, and follows no redirect.
func (p *peer) ask(ctx context.Context, method, path string) (answered, error) {
	late := fmt.Errorf("no answer within %v", p.timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, late)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, p.base.JoinPath(path).String(), nil)
	if err != nil {
		return answered{}, err
	}
	request.Header.Set("Accept", "application/json")
	if p.token != "" {
		request.Header.Set("Authorization", "Bearer "+p.token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answered{}, p.away(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answered{}, p.away(ctx, err)
	}
	return answered{response.StatusCode, text}, nil
}

// away says that a router does not answer.
func (p *peer) away(ctx context.Context, err error) error {
	why := err
	if ctx.Err() != nil {
		why = context.Cause(ctx)
		if errors.Is(why, context.Canceled) {
			return errInterrupted
		}
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		why = op.Err
	}
	return fmt.Errorf("no router answers at %s: %w", p.base, why)
}

// strange is the error of an answer that is none of those that were asked for.
func (p *peer) strange(a answered) error {
	var told struct{ Error string }
	_ = json.Unmarshal(a.text, &told)
	switch told.Error = printable(told.Error); {
	case a.status == http.StatusUnauthorized && p.token == "":
		return fmt.Errorf("the router at %s wants a token, and [http] token is not set here", p.base)
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("the router at %s has another token than [http] here; if it was changed, restart the router", p.base)
	case told.Error == "":
		return fmt.Errorf("what answers at %s is no router with this command: status %d", p.base, a.status)
	}
	return fmt.Errorf("the router at %s answers %d: %s", p.base, a.status, told.Error)
}
