package sources

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	wsMaxHeader = 64 << 10 // bytes of an answer's header
	// wsGoodbye is how long a session that ends may take to say so, and wsPlannedGoodbye one
	// that nobody waits for.
	wsGoodbye        = 50 * time.Millisecond
	wsPlannedGoodbye = time.Second
)

// wsLink is the connection of a session, and those of what came before it.
type wsLink struct {
	at        string // where it is connected to, as may be shown
	conn      *websocket.Conn
	transport *http.Transport
	hidden    wsHidden

	mu     sync.Mutex
	raw    []net.Conn
	closed bool
}

// newWSLink returns what connects while the context lasts.
func newWSLink(ctx context.Context, p *wsPlan) *wsLink {
	l := &wsLink{hidden: slices.Clone(p.hidden)}
	dialer := &net.Dialer{}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	l.transport = &http.Transport{
		Proxy: p.proxy,
		// Not the context that it comes with: a transport goes on dialling, for other requests,
		// when the one that it began for is over.
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return conn, l.keep(conn)
		},
		TLSClientConfig:        &tls.Config{RootCAs: p.authorities, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    p.connectTimeout,
		Protocols:              &protocols,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: wsMaxHeader,
	}
	return l
}

// keep remembers a connection, so that it can be closed from below: an orderly close waits
// for whoever writes, and TLS wants to say goodbye, both to a server that may read no more.
func (l *wsLink) keep(conn net.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return net.ErrClosed
	}
	l.raw = append(l.raw, conn)
	return nil
}

// cut ends all connections at once.
func (l *wsLink) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, conn := range l.raw {
		_ = conn.Close()
	}
}

// goodbye closes the session in an orderly way, if that takes no longer than this.
func (l *wsLink) goodbye(within time.Duration) {
	defer time.AfterFunc(within, l.cut).Stop()
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	l.cut()
}

// dial asks for the upgrade.
func (w *webSocket) dial(ctx context.Context, link *wsLink, v *wsValues) error {
	address := w.plan.urls[w.attempt%len(w.plan.urls)]
	target, err := address.of(v)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	link.at = shownWSURL(target)
	link.hidden.url(target.String())
	header := http.Header{"User-Agent": {"Signalbox"}}
	if w.plan.origin != "" {
		header.Set("Origin", w.plan.origin)
	}
	for _, fields := range w.plan.header {
		if err := fields.set(header, v); err != nil {
			return err
		}
	}
	options := &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     wsUpgrade{link.transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:     header,
		OnPingReceived: func(context.Context, []byte) bool { w.to.Alive(); return true },
		OnPongReceived: func(context.Context, []byte) { w.to.Alive() },
	}
	if w.plan.compression {
		// Without takeover: no window is kept for each direction, and nobody writes much.
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	limited, cancel := context.WithTimeout(ctx, w.plan.connectTimeout)
	defer cancel()
	conn, response, err := websocket.Dial(limited, target.String(), options)
	switch {
	case err == nil:
		link.conn = conn
		conn.SetReadLimit(w.plan.maxBytes)
		return nil
	case response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		return w.refused(link, response)
	case ctx.Err() == nil && limited.Err() != nil:
		return fmt.Errorf("connect to %s: no answer within %s", link.at, w.plan.connectTimeout)
	default:
		return fmt.Errorf("connect to %s: %w", link.at, link.failure(err))
	}
}

// wsUpgrade is a transport for upgrades. What reads the messages takes the end of the
// connection for the end of the message, so that half a message would be handed over as a
// whole one; it gets an error of another name.
type wsUpgrade struct{ transport *http.Transport }

// RoundTrip makes the request.
func (u wsUpgrade) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := u.transport.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusSwitchingProtocols {
		if conn, is := response.Body.(io.ReadWriteCloser); is {
			response.Body = wsStream{conn}
		}
	}
	return response, err
}

// wsStream is a connection after the upgrade.
type wsStream struct{ io.ReadWriteCloser }

var errWSEnd = errors.New("the server ended it without a word")

func (s wsStream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errWSEnd
	}
	return n, err
}

// refused is the verdict on a session that the server doesn't accept.
func (w *webSocket) refused(link *wsLink, response *http.Response) error {
	body, _ := io.ReadAll(response.Body) // Dial has left no more than a kilobyte
	hint := ""
	if response.StatusCode/100 == 3 {
		hint = "; redirects are not followed, write the address that it moved to as url"
	}
	err := fmt.Errorf("connect to %s: the server answered %s%s%s", link.at, namedStatus(response.StatusCode), hint, link.hidden.said(string(body)))
	return verdictOfStatus(w.plan.rules, response.StatusCode, response.Header, err, false)
}

// namedStatus is a status as HTTP calls it, whatever the server does.
func namedStatus(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// failure is an error of the network as it may be shown.
func (l *wsLink) failure(err error) error {
	if wrapped, is := errors.AsType[*url.Error](err); is {
		err = wrapped.Err // the rest has the whole address
	}
	remedy := ""
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		remedy = "; ca_file names the authority to trust"
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		remedy = "; the server has no TLS, if that is meant, write ws:// in url"
	}
	return errors.New(l.hidden.show(err.Error()) + remedy)
}
