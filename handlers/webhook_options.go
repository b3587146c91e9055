package handlers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WebhookOptions are the options of the kind webhook. In the zero value each has its
// default, but for the URL. The URL, the secrets and the values of headers are secrets: no
// error and no log line shows more of them than scheme and host.
type WebhookOptions struct {
	URL            string            `toml:"url" required:"true" secret:"url" doc:"where to POST, http:// or https://; only its scheme and host are ever shown"`
	Body           map[string]any    `toml:"body" doc:"JSON object to POST instead of the CloudEvent; its texts are templates such as {data.symbol} at {time}"`
	Secret         string            `toml:"secret" secret:"true" doc:"key of the Standard Webhooks signature: base64 of 24 bytes or more, with or without whsec_ before it"`
	OldSecret      string            `toml:"old_secret" secret:"true" doc:"the key before secret, while receivers change over; requests are signed with both"`
	Headers        map[string]string `toml:"headers" secret:"true" doc:"header fields of every request, such as Authorization"`
	Timeout        time.Duration     `toml:"timeout" min:"10ms" doc:"how long one POST may take, from waiting for a connection to the answer's header"`
	Connections    int               `toml:"connections" min:"1" max:"1000" doc:"connections to the receiver at most, all of them kept for the next request"`
	CAFile         string            `toml:"ca_file" otherwise:"the system's authorities" doc:"PEM file of the authority that signed the receiver's certificate"`
	AllowLinkLocal bool              `toml:"allow_link_local" doc:"connect to link-local addresses and to the metadata services of clouds, too"`
}

func defaultWebhookOptions() WebhookOptions {
	return WebhookOptions{Timeout: 10 * time.Second, Connections: 8}
}

// Locate makes ca_file start in the folder of the file that names it.
func (o *WebhookOptions) Locate(dir string) {
	if o.CAFile != "" && !filepath.IsAbs(o.CAFile) {
		o.CAFile = filepath.Join(dir, o.CAFile)
	}
}

// Validate reports all that is wrong with the options. It shows no secret.
func (o WebhookOptions) Validate() error {
	target, urlErr := parseWebhookURL(o.URL, o.AllowLinkLocal)
	_, bodyErr := parseWebhookBody(o.Body)
	_, secretErr := parseWebhookSecrets(o.Secret, o.OldSecret)
	var timeoutErr, connectionsErr error
	if o.Timeout < 0 {
		timeoutErr = fmt.Errorf("timeout: %s is negative; write how long one POST may take, such as \"10s\"", o.Timeout)
	}
	if o.Connections < 0 {
		connectionsErr = fmt.Errorf("connections: %d is negative; write 1 or more", o.Connections)
	}
	return errors.Join(urlErr, bodyErr, secretErr, checkWebhookHeaders(o.Headers, target), timeoutErr, connectionsErr, o.checkCA(target))
}

// parseWebhookURL reads the address of a receiver. No error shows a part of the text: a
// token may stand anywhere in it, and a parser's errors quote it.
func parseWebhookURL(text string, allowLinkLocal bool) (*url.URL, error) {
	if text == "" {
		return nil, errors.New(`url is missing; write url = "https://…"`)
	}
	if strings.ContainsAny(text, "{}") {
		return nil, errors.New("url: it has a brace, but is no template: what an event has can stand in body only; write %7B and %7D for the characters")
	}
	target, err := url.Parse(text)
	if err != nil {
		return nil, errors.New(`url: this is no URL; write "https://host/path", and a special character in a user or password as %-escape`)
	}
	if target.Scheme != "http" && target.Scheme != "https" {
		return nil, errors.New("url: the scheme is neither http nor https; write https:// before the host")
	}
	if target.Hostname() == "" {
		return nil, fmt.Errorf("url: no host follows %s://", target.Scheme)
	}
	if port := target.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("url: the port is not a number from 1 to 65535")
		}
	}
	if target.Fragment != "" || strings.Contains(text, "#") {
		return nil, errors.New(`url: a # begins a fragment, which is never sent; remove it, or write %23 for the character`)
	}
	if addr, err := netip.ParseAddr(target.Hostname()); err == nil {
		if err := checkAddress(addr, allowLinkLocal); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	return target, nil
}

// checkWebhookHeaders reports fields that may not be set. Target is nil when it is unknown.
func checkWebhookHeaders(headers map[string]string, target *url.URL) error {
	var errs []error
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch why := whyNotHeader(canonical); {
		case name == "" || strings.ContainsFunc(name, isNotToken):
			errs = append(errs, fmt.Errorf("headers: %q is no name of a field; write letters, digits and hyphens", oneLine(name)))
		case why != "":
			errs = append(errs, fmt.Errorf("headers: %q can't be set: %s", name, why))
		case seen[canonical] != "":
			errs = append(errs, fmt.Errorf("headers: %q and %q are one field; remove one", seen[canonical], name))
		case canonical == "Authorization" && target != nil && target.User != nil:
			errs = append(errs, fmt.Errorf("headers: %q is set by the user in url already; remove one", name))
		case strings.ContainsFunc(headers[name], isControl):
			errs = append(errs, fmt.Errorf("headers: the value of %q has a line break or another control character, which would begin a new field; remove it", name))
		}
		seen[canonical] = name
	}
	return errors.Join(errs...)
}

// whyNotHeader says who else sets a field; empty: the user may.
func whyNotHeader(canonical string) string {
	switch canonical {
	case "Host":
		return "it is the host of url"
	case "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Te", "Upgrade", "Expect", "Proxy-Connection":
		return "it belongs to the connection"
	case "Content-Type":
		return "it is application/json with body, else application/cloudevents+json"
	case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		return "it belongs to the signature"
	case "Traceparent", "Tracestate":
		return "it would be the same for every event; the trace context of an event is sent if it has one"
	case "Idempotency-Key", "X-Idempotency-Key":
		return "it would be the same for every event; receivers find the event's id in webhook-id"
	default:
		return ""
	}
}

// isNotToken reports whether a name of a header field may not have the character.
func isNotToken(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// isControl reports whether a value of a header field may not have the character.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// checkCA reports an authority that can't be used. Target is nil when it is unknown.
func (o WebhookOptions) checkCA(target *url.URL) error {
	if o.CAFile == "" {
		return nil
	}
	if target != nil && target.Scheme != "https" {
		return fmt.Errorf("ca_file: %q is of no use: url has no TLS; write https:// there or remove ca_file", o.CAFile)
	}
	_, err := o.authorities()
	return err
}

// authorities are who may vouch for the receiver; nil: those of the system.
func (o WebhookOptions) authorities() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: no PEM certificate is in %q; it begins with -----BEGIN CERTIFICATE-----", o.CAFile)
	}
	return pool, nil
}
