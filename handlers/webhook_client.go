package handlers

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// connectTimeout is how long a dial, and then the TLS handshake, may take, beside the
	// limit of the request: a dial goes on when the request that it began for is over.
	connectTimeout = 5 * time.Second
	// idleTimeout is how long a connection is kept without a request.
	idleTimeout = time.Minute
	// maxAnswerHeader limits the header of an answer, in bytes.
	maxAnswerHeader = 64 << 10
)

// newWebhookDialer returns what connects to a receiver. The address is checked when the
// name is resolved and the socket is there: what a DNS server answered before, or will
// answer next time, is of no consequence.
func newWebhookDialer(o WebhookOptions) *net.Dialer {
	return &net.Dialer{
		Timeout: min(connectTimeout, o.Timeout),
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return checkAddress(to.Addr(), o.AllowLinkLocal)
		},
	}
}

// newWebhookTransport returns what makes the requests. It follows no redirect, since that
// is http.Client's work, uses no proxy, and unpacks no answer.
//
// It speaks HTTP/1.1 only: then the number of connections is also that of requests at a
// time, and a connection that hangs takes one request with it, not all.
func newWebhookTransport(o WebhookOptions, dialer *net.Dialer) (*http.Transport, error) {
	authorities, err := o.authorities()
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    min(connectTimeout, o.Timeout),
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxConnsPerHost:        o.Connections,
		MaxIdleConnsPerHost:    o.Connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}, nil
}
