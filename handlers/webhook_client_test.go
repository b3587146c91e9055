package handlers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
)

func TestWebhookRequest(t *testing.T) {
	t.Parallel()
	peer := newReceiver(t, nil)
	event := &router.Event{ID: "7", Type: "a", Source: "s", Key: "k", Data: []byte(`{"x":1}`)}
	for name, test := range map[string]struct {
		options WebhookOptions
		path    string
		body    string
		header  map[string]string
	}{
		"CloudEvent": {
			WebhookOptions{},
			"/", `{"specversion":"1.0","id":"7","source":"s","type":"a","partitionkey":"k","data":{"x":1}}`,
			map[string]string{"Content-Type": "application/cloudevents+json", "User-Agent": "Signalbox", "Authorization": "", "Accept-Encoding": ""},
		},
		"body": {
			WebhookOptions{URL: "/hook?a=b%20c", Body: map[string]any{"t": "{data.x}"}, Headers: map[string]string{"x-token": "é", "user-agent": "me"}},
			"/hook?a=b%20c", `{"t":"1"}`,
			map[string]string{"Content-Type": "application/json", "User-Agent": "me", "X-Token": "é"},
		},
		"user": {
			WebhookOptions{URL: "user:p%40ss@"},
			"/", `{"specversion":"1.0","id":"7","source":"s","type":"a","partitionkey":"k","data":{"x":1}}`,
			map[string]string{"Authorization": "Basic dXNlcjpwQHNz"},
		},
	} {
		host := strings.TrimPrefix(peer.URL, "http://")
		if user, is := strings.CutSuffix(test.options.URL, "@"); is {
			test.options.URL = "http://" + user + "@" + host
		} else {
			test.options.URL = peer.URL + test.options.URL
		}
		w := testWebhook(t, test.options)
		if err := w.Handle(t.Context(), event); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := peer.requests()
		got := all[len(all)-1]
		if got.path != test.path || got.body != test.body {
			t.Errorf("%s: %s %s\nwant %s %s", name, got.path, got.body, test.path, test.body)
		}
		for field, want := range test.header {
			if got.header.Get(field) != want {
				t.Errorf("%s: %s is %q, want %q", name, field, got.header.Get(field), want)
			}
		}
	}
}

// spared is how many connections a few dozen requests may take that need but one: net/http
// gives one up when its own goroutine is late by 50 ms.
const spared = 5

// One after the other, requests share a connection, whatever the receiver answers.
func TestWebhookKeepsConnections(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{200, 204, 500, 404, 301, 429}[n.Add(1)%6])
		_, _ = io.WriteString(w, strings.Repeat("y", 10_000))
	})
	w := testWebhook(t, WebhookOptions{URL: peer.URL})
	for range 60 {
		_ = w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})
	}
	if requests, conns := len(peer.requests()), peer.conns.Load(); requests != 60 || conns > spared {
		t.Errorf("%d requests on %d connections, want 60 on 1, or %d on a busy machine", requests, conns, spared)
	}
}

// However many events are handled at a time, the receiver sees so many connections.
func TestWebhookConnectionLimit(t *testing.T) {
	t.Parallel()
	const limit, events = 3, 200
	var now, most atomic.Int64
	full := make(chan struct{})
	peer := newReceiver(t, func(http.ResponseWriter, *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
			if n == limit {
				close(full)
			}
		}
		<-full // the first ones wait until there are as many as there may be
		now.Add(-1)
	})
	w := testWebhook(t, WebhookOptions{URL: peer.URL, Connections: limit})
	var all sync.WaitGroup
	for i := range events {
		all.Go(func() {
			if err := w.Handle(t.Context(), &router.Event{ID: fmt.Sprint(i), Type: "a"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids := map[string]int{}
	for _, r := range peer.requests() {
		ids[r.header.Get("webhook-id")]++
	}
	if len(ids) != events || len(peer.requests()) != events {
		t.Errorf("%d ids in %d requests, want %d", len(ids), len(peer.requests()), events)
	}
	if conns := peer.conns.Load(); conns > limit+spared || most.Load() != limit {
		t.Errorf("%d connections, %d at a time, want %d", conns, most.Load(), limit)
	}
}

// Who waits for a connection in vain says nothing of the event.
func TestWebhookBusy(t *testing.T) {
	t.Parallel()
	w := testWebhook(t, WebhookOptions{URL: "http://" + rawPeer(t, hangs), Connections: 1, Timeout: 100 * time.Millisecond})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"}); verdictOf(err) != "unavailable" {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// The address is checked when the name is resolved, at each connection.
func TestWebhookChecksWhatItConnectsTo(t *testing.T) {
	t.Parallel()
	peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	_, port, _ := net.SplitHostPort(peer.Listener.Addr().String())
	dns := &names{of: map[string][]string{
		"receiver.test": {"127.0.0.1"},
		"metadata.test": {"169.254.169.254"},
		"alibaba.test":  {"100.100.100.200"},
		"zero.test":     {"0.0.0.0"},
		"rebound.test":  {"127.0.0.1", "169.254.169.254"},
	}}
	resolver := dns.resolver(t)
	for _, test := range []struct {
		host  string
		allow bool
		want  []string // of one event after the other: "" or what the error has
	}{
		{"receiver.test", false, []string{"", ""}},
		{"metadata.test", false, []string{"169.254.169.254 is a link-local address"}},
		{"alibaba.test", false, []string{"100.100.100.200 is the metadata service"}},
		{"zero.test", false, []string{"0.0.0.0 is not the address of one machine"}},
		{"zero.test", true, []string{"0.0.0.0 is not the address of one machine"}},
		{"rebound.test", false, []string{"", "169.254.169.254 is a link-local address"}},
		{"nowhere.test", false, []string{"no such host"}},
		{"silent.test", false, []string{"silent.test"}},
	} {
		w := testWebhook(t, WebhookOptions{URL: "http://" + test.host + ":" + port, AllowLinkLocal: test.allow, Timeout: time.Second})
		w.dialer.Resolver = resolver
		for i, want := range test.want {
			err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})
			switch {
			case want == "" && err != nil:
				t.Errorf("%s, event %d: %v", test.host, i, err)
			case want != "" && (verdictOf(err) != "unavailable" || !strings.Contains(err.Error(), want)):
				t.Errorf("%s, event %d: %v, want %q", test.host, i, err, want)
			}
		}
	}
	if got := len(peer.requests()); got != 3 {
		t.Errorf("the receiver got %d requests, want 3", got)
	}
}

func TestWebhookUsesNoProxy(t *testing.T) {
	proxy := newReceiver(t, nil)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	peer := newReceiver(t, nil)
	_, port, _ := net.SplitHostPort(peer.Listener.Addr().String())
	// Not localhost, which no proxy is asked for anyway.
	w := testWebhook(t, WebhookOptions{URL: "http://receiver.test:" + port})
	w.dialer.Resolver = (&names{of: map[string][]string{"receiver.test": {"127.0.0.1"}}}).resolver(t)
	if err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"}); err != nil {
		t.Error(err)
	}
	if len(proxy.requests()) != 0 || len(peer.requests()) != 1 {
		t.Errorf("the proxy got %d requests, the receiver %d", len(proxy.requests()), len(peer.requests()))
	}
}

// authority signs certificates of receivers.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// receiver is a server with a certificate for 127.0.0.1, as change leaves it.
func (a *authority) receiver(change func(*x509.Certificate, *tls.Config)) *httptest.Server {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	config := &tls.Config{}
	change(template, config)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	server.TLS = config
	server.StartTLS()
	a.t.Cleanup(server.Close)
	return server
}

func TestWebhookTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	valid := ca.receiver(func(*x509.Certificate, *tls.Config) {})
	expired := ca.receiver(func(c *x509.Certificate, _ *tls.Config) { c.NotAfter = time.Now().Add(-time.Minute) })
	wrongHost := ca.receiver(func(c *x509.Certificate, _ *tls.Config) { c.IPAddresses = nil; c.DNSNames = []string{"other.test"} })
	old := ca.receiver(func(_ *x509.Certificate, c *tls.Config) {
		c.MaxVersion = tls.VersionTLS11
		c.MinVersion = tls.VersionTLS10
	}) //nolint:gosec // that is the fault
	plain := newReceiver(t, nil)
	for name, test := range map[string]struct {
		url, ca string
		want    string // in the error; empty: done
	}{
		"valid":             {valid.URL, ca.file, ""},
		"unknown authority": {valid.URL, "", "certificate signed by unknown authority; ca_file names"},
		"other authority":   {valid.URL, other.file, "certificate signed by unknown authority"},
		"expired":           {expired.URL, ca.file, "certificate has expired"},
		"another host":      {wrongHost.URL, ca.file, "cannot validate certificate for 127.0.0.1"},
		"old version":       {old.URL, ca.file, "protocol version not supported"},
		"no TLS":            {"https" + strings.TrimPrefix(plain.URL, "http"), ca.file, "if that is meant, write http:// in url"},
		"hangs":             {"https://" + rawPeer(t, hangs), ca.file, ""},
		"resets":            {"https://" + rawPeer(t, reset), ca.file, ""},
		"closes":            {"https://" + rawPeer(t, func(net.Conn) {}), ca.file, ""},
	} {
		timeout := time.Minute
		if name == "hangs" {
			timeout = 200 * time.Millisecond
		}
		w := testWebhook(t, WebhookOptions{URL: test.url, CAFile: test.ca, Timeout: timeout})
		for range 3 {
			err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})
			switch {
			case name == "valid" && err != nil:
				t.Errorf("%s: %v", name, err)
			case name != "valid" && (verdictOf(err) != "unavailable" || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		}
	}
}

// A shutdown says nothing of the receiver.
// A receiver that hangs for longer than the route waits is away; a shutdown says nothing of it.
func TestWebhookTimeoutOfTheRoute(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	peer := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	w := testWebhook(t, WebhookOptions{URL: peer.URL})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(context.DeadlineExceeded)
	}()
	if err := w.Handle(ctx, &router.Event{ID: "7", Type: "a"}); verdictOf(err) != "unavailable" {
		t.Errorf("%v", err)
	}
}

func TestWebhookCanceled(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 2)
	peer := rawPeer(t, answers(func(c net.Conn) { arrived <- struct{}{}; hangs(c) }))
	w := testWebhook(t, WebhookOptions{URL: "http://" + peer})
	ctx, cancel := context.WithCancel(t.Context())
	verdict := make(chan error)
	go func() { verdict <- w.Handle(ctx, &router.Event{ID: "7", Type: "a"}) }()
	<-arrived
	cancel()
	if err := <-verdict; verdictOf(err) != "canceled" {
		t.Errorf("%s: %v", verdictOf(err), err)
	}
	go func() { verdict <- w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"}) }()
	<-arrived
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-verdict; verdictOf(err) != "canceled" {
		t.Errorf("closed meanwhile: %s: %v", verdictOf(err), err)
	}
	if err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"}); verdictOf(err) != "canceled" {
		t.Errorf("after Close: %s: %v", verdictOf(err), err)
	}
}

// Close ends connections: one that is idle, one that is being made for a request that is
// over, and one with a request in hand.
func TestWebhookCloses(t *testing.T) {
	t.Parallel()
	event := &router.Event{ID: "7", Type: "a"}
	for name, test := range map[string]struct {
		scheme string
		answer string
		over   bool // the request is, when Close is called
	}{
		"idle":    {"http", "HTTP/1.1 204 x\r\n\r\n", true},
		"shaking": {"https", "", true},
		"in hand": {"http", "", false},
	} {
		arrived, gone := make(chan struct{}), make(chan error)
		peer := rawPeer(t, func(c net.Conn) {
			_, err := c.Read(make([]byte, 64<<10))
			close(arrived)
			for says(test.answer)(c); err == nil; {
				_, err = c.Read(make([]byte, 64<<10)) // the body may come by itself
			}
			gone <- err
		})
		w := testWebhook(t, WebhookOptions{URL: test.scheme + "://" + peer, Timeout: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		verdict := make(chan error, 1)
		go func() { verdict <- w.Handle(ctx, event) }()
		<-arrived
		if test.answer != "" {
			if err := <-verdict; err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		} else if test.over {
			cancel()
			if err := <-verdict; verdictOf(err) != "canceled" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-gone:
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(connectTimeout / 2):
			t.Errorf("%s: the connection is still open: %v", name, <-gone)
		}
		if !test.over {
			if err := <-verdict; verdictOf(err) != "canceled" {
				t.Errorf("%s: %v", name, err)
			}
		}
		cancel()
	}
}
