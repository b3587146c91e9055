package handlers

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Check connects to the receiver, with TLS if url has it, and sends nothing.
func (o WebhookOptions) Check(ctx context.Context) (found string, err error) {
	target, err := parseWebhookURL(o.URL, o.AllowLinkLocal)
	if err != nil {
		return "", err
	}
	where := target.Scheme + "://" + target.Host
	failed := func(err error) (string, error) {
		return "", errors.New(oneLine(fmt.Sprintf("connect to %s: %s%s", where, err, remedyFor(err))))
	}
	port := "80"
	if target.Scheme == "https" {
		port = "443"
	}
	o.Timeout = cmp.Or(o.Timeout, defaultWebhookOptions().Timeout)
	dialer := newWebhookDialer(o)
	transport, err := newWebhookTransport(o, dialer)
	if err != nil {
		return "", err
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(target.Hostname(), cmp.Or(target.Port(), port)))
	if err != nil {
		return failed(err)
	}
	defer func() { _ = conn.Close() }()
	found = fmt.Sprintf("%s answers at %s", where, conn.RemoteAddr())
	if target.Scheme != "https" {
		return found + "; no request was sent", nil
	}
	config := transport.TLSClientConfig.Clone()
	config.ServerName = target.Hostname()
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return failed(err)
	}
	state := secured.ConnectionState()
	return fmt.Sprintf("%s with %s, certificate until %s; no request was sent", found, tls.VersionName(state.Version),
		state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)), nil
}
