package handlers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"signalbox/router"
)

// Webhook is the kind that POSTs events to a URL: as CloudEvents in structured mode, or as
// a JSON object of the user's own, signed as Standard Webhooks says.
//
// A 2xx is done. 408, 425, 429, 5xx and a receiver that can't be reached or doesn't answer
// in time are [router.Unavailable], for as long as the receiver asks but five minutes at
// most; every other status is [router.Permanent]. Redirects are not followed.
func Webhook() router.Kind[WebhookOptions] {
	return router.Kind[WebhookOptions]{
		Name:     "webhook",
		Doc:      "POSTs events to a URL, as CloudEvents or as JSON of your own.",
		Target:   true,
		Workers:  4,
		Defaults: defaultWebhookOptions(),
		New: func(env router.Env, options WebhookOptions) (router.Handler, error) {
			return newWebhook(env.Service, options)
		},
	}
}

// webhook is a handler of kind webhook.
type webhook struct {
	url       *url.URL
	where     string      // its scheme and host, all that may be shown of it
	header    http.Header // of every request
	body      func(*router.Event) []byte
	signer    webhookSigner
	hidden    hidden
	timeout   time.Duration
	late      error // why a request ends at the timeout
	dialer    *net.Dialer
	transport *http.Transport

	closing context.Context //nolint:containedctx // of the handler's life: requests end with it
	close   context.CancelFunc
	using   sync.RWMutex // read-locked by each request, so that Close can wait for all
}

func newWebhook(service string, options WebhookOptions) (*webhook, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options.Timeout = cmp.Or(options.Timeout, defaultWebhookOptions().Timeout)
	options.Connections = cmp.Or(options.Connections, defaultWebhookOptions().Connections)
	target, err := parseWebhookURL(options.URL, options.AllowLinkLocal)
	if err != nil {
		return nil, err
	}
	header := webhookHeader(options, target)
	w := &webhook{
		url: target, where: target.Scheme + "://" + target.Host, header: header,
		body:    func(event *router.Event) []byte { return cloudEvent(event, service) },
		hidden:  newHidden(options, target, header),
		timeout: options.Timeout, late: fmt.Errorf("no answer within %s", options.Timeout),
		dialer: newWebhookDialer(options),
	}
	if options.Body != nil {
		body, err := parseWebhookBody(options.Body)
		if err != nil {
			return nil, err
		}
		w.body = body.of
	}
	if w.signer, err = parseWebhookSecrets(options.Secret, options.OldSecret); err != nil {
		return nil, err
	}
	if w.transport, err = newWebhookTransport(options, w.dialer); err != nil {
		return nil, err
	}
	w.closing, w.close = context.WithCancel(context.Background())
	return w, nil
}

// webhookHeader is what the header of every request has.
func webhookHeader(options WebhookOptions, target *url.URL) http.Header {
	like := http.Request{Header: http.Header{"User-Agent": {"Signalbox"}}}
	for name, value := range options.Headers {
		like.Header.Set(name, value)
	}
	contentType := "application/cloudevents+json"
	if options.Body != nil {
		contentType = "application/json"
	}
	like.Header.Set("Content-Type", contentType)
	if target.User != nil {
		password, _ := target.User.Password()
		like.SetBasicAuth(target.User.Username(), password)
	}
	return like.Header
}

// Handle makes one request.
func (w *webhook) Handle(ctx context.Context, event *router.Event) error {
	w.using.RLock()
	defer w.using.RUnlock()
	limited, cancel := context.WithTimeoutCause(ctx, w.timeout, w.late)
	defer cancel()
	defer context.AfterFunc(w.closing, cancel)()
	request, err := w.request(limited, event)
	if err != nil {
		return router.Permanent(fmt.Errorf("POST to %s: %w", w.where, err))
	}
	response, err := w.transport.RoundTrip(request)
	if stopped := cmp.Or(shutdown(ctx), w.closing.Err()); err != nil && stopped != nil {
		return fmt.Errorf("POST to %s: %w", w.where, stopped)
	}
	if err != nil {
		return w.failure(err)
	}
	return w.verdict(response, w.answerText(response, cancel))
}

// request is the request for an event, signed now.
func (w *webhook) request(ctx context.Context, event *router.Event) (*http.Request, error) {
	body := w.body(event)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.where, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.URL = w.url
	request.Header = maps.Clone(w.header)
	eachTrace(event, request.Header.Set)
	return request, w.signer.sign(request.Header, event.ID, time.Now(), body)
}

// Close ends what still runs, as a shutdown does, and then all connections, those that are
// being made for a request that is over included.
func (w *webhook) Close() error {
	w.close()
	w.using.Lock() // every request has ended
	defer w.using.Unlock()
	w.transport.CloseIdleConnections()
	return nil
}
