package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

func TestOpenRejects(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		cfg        Config
	}{
		{"no url", "redis url", Config{}},
		{"scheme", "invalid URL scheme: http", Config{URL: "http://localhost"}},
		{"secret in a bad url", "redis url", Config{URL: "redis://:canary@host:port/x"}},
		{"database", "invalid database number", Config{URL: "redis://localhost/x"}},
		{"service", `service "a b"`, Config{URL: "redis://localhost", Service: "a b"}},
		{"ca without tls", "use rediss://", Config{URL: "redis://localhost", CAFile: notPEM}},
		{"ca missing", "ca file", Config{URL: "rediss://localhost", CAFile: "/none"}},
		{"ca empty", "no PEM certificate", Config{URL: "rediss://localhost", CAFile: notPEM}},
	} {
		r, err := Open(c.cfg, nil)
		if err == nil {
			_ = r.Close()
			t.Errorf("%s: was opened", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	secured := redistest.Start(t, redistest.Password("right"))
	plain := redistest.Start(t)
	acl := []any{"ACL", "SETUSER", "nobody", "on", ">pw", "-@all", "+hello", "+auth", "+client"}
	if err := plain.Client().Do(t.Context(), acl...).Err(); err != nil {
		t.Fatal(err)
	}
	silent := hangingUp(t)
	withTLS := tlsServer(t)
	const yes, no, fine = "refused", "away", "fine"
	for _, c := range []struct {
		name, url, password, want string
	}{
		{"right", secured.URL(), "", fine},
		{"option wins", strings.Replace(secured.URL(), "right", "wrong", 1), "right", fine},
		{"wrong password", secured.URL(), "wrong", yes},
		{"no password", "redis://" + secured.Addr(), "", yes},
		{"not permitted", "redis://nobody:pw@" + plain.Addr(), "", yes},
		{"no such database", "redis://" + plain.Addr() + "/99", "", yes},
		{"tls to a plain server", "rediss://" + plain.Addr(), "", yes},
		{"plain to a tls server", "redis://" + withTLS, "", yes},
		{"unknown authority", "rediss://" + withTLS, "", yes},
		{"nobody listens", "redis://127.0.0.1:1", "", no},
		{"no such host", "redis://no-such-host.invalid:6379", "", no},
		{"hangs up", "redis://" + silent, "", no},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Open(Config{URL: c.url, Password: c.password, Service: "bot"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			err = r.Check(t.Context())
			got := fine
			if errors.Is(err, ErrRefused) {
				got = yes
			} else if err != nil {
				got = no
			}
			if got != c.want {
				t.Fatalf("%s, want %s: %v", got, c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "wrong") {
				t.Fatalf("the error tells the password: %v", err)
			}
		})
	}
}

// listen serves connections on a loopback port until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func hangingUp(t *testing.T) string {
	t.Helper()
	return listen(t, func(net.Conn) {})
}

// tlsServer ends every handshake as a TLS server with an unknown certificate would.
func tlsServer(t *testing.T) string {
	t.Helper()
	certificate, _, _ := selfSigned(t)
	return listen(t, func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
	})
}

func TestReadyNamesTheTopic(t *testing.T) {
	t.Parallel()
	n := open(t, "redis://127.0.0.1:1")
	if err := n.Ready(t.Context()); err != nil {
		t.Fatalf("without subscriptions: %v", err)
	}
	if _, err := workers(n, StreamConfig{}).Subscribe(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := n.Ready(ctx); err == nil || !strings.Contains(err.Error(), `"work"`) {
		t.Fatalf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	_, cert, key := selfSigned(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	redistest.Start(t, redistest.Args("--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no"))
	for name, cfg := range map[string]Config{
		"no ca": {URL: "rediss://" + addr},
		"plain": {URL: "redis://" + addr},
	} {
		r, err := Open(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(t.Context()); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		_ = r.Close()
	}
	r, err := Open(Config{URL: "rediss://" + addr, CAFile: cert}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := node{Redis: r}
	ticks := subscribe(t, n, n.PubSub(PubSubConfig{}), "ticks")
	work := subscribe(t, n, workers(n, StreamConfig{}), "work")
	if err := errors.Join(n.PubSubPublisher().Publish("ticks", messagesOf("a")...),
		n.StreamPublisher(0).Publish("work", messagesOf("b")...)); err != nil {
		t.Fatal(err)
	}
	collect(t, ticks, 1)
	collect(t, work, 1)
}
