package handlers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestWebhookCheck(t *testing.T) {
	peer := newReceiver(t, nil)
	authority := newAuthority(t)
	secured := authority.receiver(func(*x509.Certificate, *tls.Config) {})
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	const secret = "/services/T0/canary?canary=1"
	for _, tc := range []struct {
		name       string
		options    WebhookOptions
		found, err string
	}{
		{"http", WebhookOptions{URL: peer.URL + secret}, `^http://127.0.0.1:\d+ answers at 127.0.0.1:\d+; no request was sent$`, ""},
		{"login", WebhookOptions{URL: strings.Replace(peer.URL, "://", "://canary:canary@", 1)}, `^http://127.0.0.1:\d+ answers`, ""},
		{"https", WebhookOptions{URL: secured.URL + secret, CAFile: authority.file}, `^https://127.0.0.1:\d+ answers at 127.0.0.1:\d+ with TLS 1.3, certificate until \d{4}-\d\d-\d\d; no request was sent$`, ""},
		{"unknown authority", WebhookOptions{URL: secured.URL + secret}, "", `^connect to https://127.0.0.1:\d+: tls: failed to verify certificate: x509: .*; ca_file names the authority to trust$`},
		{"no TLS", WebhookOptions{URL: strings.Replace(peer.URL, "http:", "https:", 1) + secret}, "", `first record does not look like a TLS handshake.*write http:// in url$`},
		{"silent", WebhookOptions{URL: "https://" + silent.Addr().String() + secret}, "", `deadline exceeded$`},
		{"gone", WebhookOptions{URL: "http://" + gone.Addr().String() + secret}, "", `^connect to http://127.0.0.1:\d+: .*refused$`},
		{"no such host", WebhookOptions{URL: "http://nobody.invalid" + secret}, "", `^connect to http://nobody.invalid: `},
		{"metadata", WebhookOptions{URL: "http://169.254.169.254" + secret}, "", `link-local`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		found, err := tc.options.Check(ctx)
		cancel()
		said := ""
		if err != nil {
			said = err.Error()
		}
		if (tc.found == "") != (found == "") || (tc.err == "") != (said == "") ||
			!regexp.MustCompile(tc.found).MatchString(found) || !regexp.MustCompile(tc.err).MatchString(said) || strings.Contains(found+said, "canary") {
			t.Errorf("%s: %q, %q", tc.name, found, said)
		}
	}
	if n := len(peer.requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}
