package sources

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"
)

const (
	wsMaxPreflight = 1 << 20 // bytes of its answer
	wsMaxRedirects = 3
)

// wsRequest is an HTTP request before the upgrade.
type wsRequest struct {
	address wsAddress
	method  string
	header  wsHeader
	body    *wsMessage // nil: none
	json    bool       // the body is JSON
	within  time.Duration
}

func (p *wsPlan) parseRequest(o WebSocketRequest) error {
	if o.URL == "" {
		if o.Headers != nil || o.Body != nil {
			return errors.New("auth.request.url is missing; write where the request goes")
		}
		return nil
	}
	address, addressErr := parseWSAddress("auth.request.url", o.URL, wsScope{}, "http", "https")
	header, headerErr := parseWSHeader("auth.request.headers", o.Headers, wsScope{})
	r := &wsRequest{
		address: address, method: cmp.Or(o.Method, http.MethodPost), header: header,
		within: cmp.Or(o.Timeout, wsTimeout),
	}
	errs := []error{addressErr, headerErr}
	if _, err := http.NewRequest(r.method, "/", nil); err != nil { //nolint:noctx // it is never sent
		errs = append(errs, fmt.Errorf("auth.request.method: %q is none of HTTP; write POST or GET", oneLine(r.method)))
	}
	if o.Body != nil {
		body, err := parseWSMessage("auth.request.body", o.Body, wsScope{loose: true})
		r.body, errs = &body, append(errs, err)
		_, isText := o.Body.(string)
		r.json = !isText
	}
	p.request = r
	return errors.Join(errs...)
}

// preflight makes the request, and returns the JSON of its answer.
func (w *webSocket) preflight(ctx context.Context, link *wsLink) (string, error) {
	r := w.plan.request
	target, err := r.address.of(&wsValues{})
	if err != nil {
		return "", fmt.Errorf("auth.request.url: %w", err)
	}
	at := shownWSURL(target)
	limited, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	link.hidden.url(target.String())
	request, err := r.request(limited, target)
	if err != nil {
		return "", fmt.Errorf("auth.request: %w", err)
	}
	client := &http.Client{Transport: link.transport, CheckRedirect: sameHost}
	response, err := client.Do(request)
	switch {
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return "", fmt.Errorf("auth.request to %s: no answer within %s", at, r.within)
	case err != nil:
		return "", fmt.Errorf("auth.request to %s: %w", at, link.failure(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, wsMaxPreflight+1))
	if response.StatusCode/100 != 2 {
		err := fmt.Errorf("auth.request to %s: the server answered %s%s", at, namedStatus(response.StatusCode), link.hidden.said(string(body)))
		return "", verdictOfStatus(w.plan.rules, response.StatusCode, response.Header, err, true)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("auth.request to %s: read the answer: %w", at, link.failure(err))
	case len(body) > wsMaxPreflight:
		return "", fmt.Errorf("auth.request to %s: the answer is larger than 1MiB", at)
	case !json.Valid(body):
		return "", fmt.Errorf("auth.request to %s: the answer is not JSON", at)
	}
	link.hidden.json(gjson.ParseBytes(body))
	return string(body), nil
}

func (r *wsRequest) request(ctx context.Context, target *url.URL) (*http.Request, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = r.body.of(&wsValues{id: 1}); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "Signalbox")
	if r.json {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, r.header.set(request.Header, &wsValues{})
}

// sameHost follows redirects of a host to itself. Another one is not to be told what was
// meant for this.
func sameHost(request *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	if len(via) > wsMaxRedirects || request.URL.Host != from.Host || request.URL.Scheme != from.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}
