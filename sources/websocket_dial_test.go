package sources

import (
	"bufio"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
)

// newTLSServer returns the wss:// URL of a server, and the file of the authority to trust.
func newTLSServer(t *testing.T, handler http.Handler) (url, ca string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return "wss" + strings.TrimPrefix(server.URL, "https"), ca
}

func TestWebSocketTLS(t *testing.T) {
	t.Parallel()
	url, ca := newTLSServer(t, wsHandler(t, func(p *wsPeer) {
		p.say("x")
		p.stay()
	}))
	run := runWS(t, WebSocketOptions{URL: []string{url}, CAFile: ca})
	run.wantOpened(url)
	run.want("data x")
	runWS(t, WebSocketOptions{URL: []string{url}}).wantError("certificate signed by unknown authority; ca_file names the authority to trust")

	plain := newWSServer(t, func(*wsPeer) {})
	runWS(t, WebSocketOptions{URL: []string{strings.Replace(plain, "ws:", "wss:", 1)}}).
		wantError("the server has no TLS, if that is meant, write ws:// in url")
}

// A connection through a proxy is a tunnel, so that the proxy sees nothing of a session with TLS.
func TestWebSocketProxy(t *testing.T) {
	t.Parallel()
	url, ca := newTLSServer(t, wsHandler(t, func(p *wsPeer) {
		p.say("x")
		p.stay()
	}))
	var tunnels atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		tunnels.Add(1)
		tunnel(t, w, r.Host)
	}))
	t.Cleanup(proxy.Close)
	run := runWS(t, WebSocketOptions{URL: []string{url}, CAFile: ca, Proxy: strings.Replace(proxy.URL, "://", "://user:s3cr3tpass@", 1)})
	run.wantOpened(url)
	run.want("data x")
	if tunnels.Load() != 1 {
		t.Errorf("%d tunnels, want 1", tunnels.Load())
	}
	runWS(t, WebSocketOptions{URL: []string{url}, CAFile: ca, Proxy: proxy.URL}).wantError("Proxy Authentication Required")
}

// A SOCKS proxy is told who connects and where to, and sees nothing else.
func TestWebSocketSOCKS(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say("x")
		p.stay()
	})
	proxy := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		hello := make([]byte, 3) // version, one method: none
		_, _ = io.ReadFull(in, hello)
		_, _ = conn.Write([]byte{5, 0})
		request := make([]byte, 10) // version, connect, 0, IPv4, address, port
		_, _ = io.ReadFull(in, request)
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte(request[4:8])), binary.BigEndian.Uint16(request[8:]))
		there, err := new(net.Dialer).DialContext(t.Context(), "tcp", address.String())
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(there, in)
			_ = there.Close()
		}()
		_, _ = io.Copy(conn, there)
		_ = conn.Close()
		<-done
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Proxy: strings.Replace(proxy, "ws:", "socks5:", 1)})
	run.wantOpened(url)
	run.want("data x")
	run.stop()
}

// A proxy of the environment is used only if that is wanted.
func TestWebSocketProxyOfEnvironment(t *testing.T) {
	t.Parallel()
	for proxy, want := range map[string]bool{"": false, "environment": true} {
		plan, err := newWSPlan(WebSocketOptions{URL: []string{"ws://host"}, Proxy: proxy})
		if err != nil {
			t.Fatal(err)
		}
		if has := newWSLink(t.Context(), plan).transport.Proxy != nil; has != want {
			t.Errorf("%q: has a proxy: %t, want %t", proxy, has, want)
		}
	}
}

// tunnel copies both ways until either side has gone.
func tunnel(t *testing.T, w http.ResponseWriter, to string) {
	var dialer net.Dialer
	there, err := dialer.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(there, here)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
	<-done
}

// What the status of a refused upgrade means.
func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, test := range map[string]struct {
		status  int
		header  map[string]string
		body    string
		options WebSocketOptions
		want    string
		after   time.Duration // Unavailable for so long; 0: only failed
		verdict func(error) bool
	}{
		"401":                     {status: 401, body: "token expired", want: "the server answered 401 Unauthorized: token expired; credentials are read again before the next attempt"},
		"401, key repeated":       {status: 401, body: "bad key S3cr3tKey9", options: WebSocketOptions{Auth: WebSocketAuth{Headers: map[string]string{"X-Key": "S3cr3tKey9"}}}, want: "401 Unauthorized: (not shown: it repeats what may be secret)"},
		"403":                     {status: 403, want: "answered 403 Forbidden", after: time.Minute},
		"404":                     {status: 404, want: "answered 404 Not Found"},
		"406":                     {status: 406, want: "answered 406 Not Acceptable", after: time.Minute},
		"429":                     {status: 429, want: "answered 429 Too Many Requests", after: time.Minute},
		"429 for seconds":         {status: 429, header: map[string]string{"Retry-After": " 7 "}, want: "429", after: 7 * time.Second},
		"429 for ever":            {status: 429, header: map[string]string{"Retry-After": "99999999999999999999"}, want: "429", after: time.Hour},
		"429 for a day":           {status: 429, header: map[string]string{"Retry-After": "86400"}, want: "429", after: time.Hour},
		"429 negative":            {status: 429, header: map[string]string{"Retry-After": "-5"}, want: "429", after: time.Minute},
		"429 nonsense":            {status: 429, header: map[string]string{"Retry-After": "soon"}, want: "429", after: time.Minute},
		"429 until the past":      {status: 429, header: map[string]string{"Retry-After": in(-time.Hour)}, want: "429", after: time.Minute},
		"429 by a clock":          {status: 429, header: map[string]string{"Retry-After": in(24*time.Hour + 5*time.Minute), "Date": in(24 * time.Hour)}, want: "429", after: 5 * time.Minute},
		"503":                     {status: 503, body: "<html>\nbusy\x1b[31m", want: `answered 503 Service Unavailable: <html>\u000abusy\u001b[31m`},
		"503 for seconds":         {status: 503, header: map[string]string{"Retry-After": "3"}, want: "503", after: 3 * time.Second},
		"200":                     {status: 200, want: "answered 200 OK"},
		"redirect":                {status: 302, header: map[string]string{"Location": "ws://127.0.0.1:1/elsewhere"}, want: "answered 302 Found; redirects are not followed, write the address that it moved to as url"},
		"rule":                    {status: 409, options: WebSocketOptions{Errors: []WebSocketError{{Status: []any{int64(406), int64(409)}, Then: "stand_down"}}}, want: "409", verdict: router.IsStandDown},
		"rule that beats default": {status: 401, options: WebSocketOptions{Errors: []WebSocketError{{Status: int64(401), Then: "fatal"}}}, want: "401", verdict: router.IsPermanent},
		"rule with after":         {status: 418, options: WebSocketOptions{Errors: []WebSocketError{{Status: 418, Then: "reauth", After: time.Second}}}, want: "credentials are read again", after: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			t.Cleanup(server.Close)
			test.options.URL = []string{strings.Replace(server.URL, "http", "ws", 1) + "/x?token=t0k3nt0k3n"}
			run := runWS(t, test.options)
			err := run.failure(test.want)
			if strings.Contains(err.Error(), "t0k3n") || !strings.Contains(err.Error(), "/x: ") {
				t.Errorf("the verdict shows another address: %v", err)
			}
			after, _ := router.IsUnavailable(err)
			if diff := after - test.after; diff.Abs() > time.Second {
				t.Errorf("unavailable for %s, want %s", after, test.after)
			}
			if test.verdict != nil && !test.verdict(err) || test.verdict == nil && (router.IsPermanent(err) || router.IsStandDown(err)) {
				t.Errorf("another verdict: %#v", err)
			}
			run.nothing()
		})
	}
}

// What is no WebSocket, or nothing at all, is an error that says so.
func TestWebSocketNotThere(t *testing.T) {
	t.Parallel()
	answers := func(text string) string {
		return newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
			_, _ = in.Peek(1)
			_, _ = io.WriteString(conn, text)
			time.Sleep(20 * time.Millisecond)
		})
	}
	for name, test := range map[string]struct {
		url, want string
	}{
		"refused":     {"ws://127.0.0.1:1/x", "connect to ws://127.0.0.1:1/x: dial tcp 127.0.0.1:1: connect: connection refused"},
		"no such":     {"ws://x.invalid/", "connect to ws://x.invalid/: "},
		"other proto": {answers("SSH-2.0-x\r\n"), "malformed HTTP response"},
		"no accept":   {answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"), "invalid Sec-WebSocket-Accept"},
		"long header": {answers("HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n"), "connect to ws://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runWS(t, WebSocketOptions{URL: []string{test.url}}).wantError(test.want)
		})
	}
	slow := newRawServer(t, silent)
	runWS(t, WebSocketOptions{URL: []string{slow}, ConnectTimeout: 20 * time.Millisecond}).wantError("connect to " + slow + ": no answer within 20ms")
}
