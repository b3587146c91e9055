package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

// collected is a sink that keeps what it is given.
type collected struct{ said chan string }

func (c collected) Opened(at string)    { c.said <- "opened " + at }
func (c collected) Alive()              {}
func (c collected) Emit(message []byte) { c.said <- string(message) }
func (c collected) Trouble(error)       {}

func TestLines(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address := listener.Addr().String()
	source, err := lines().New(router.SourceEnv{}, linesOptions{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	session := func(ctx context.Context) (net.Conn, collected, chan error) {
		to, verdict := collected{make(chan string, 10)}, make(chan error, 1)
		go func() { verdict <- source.Run(ctx, to) }()
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn, to, verdict
	}

	conn, to, verdict := session(t.Context())
	if _, err := conn.Write([]byte("{\"type\":\"tick\"}\n{\"type\":\"tock\"}\n")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"opened " + address, `{"type":"tick"}`, `{"type":"tock"}`} {
		if got := <-to.said; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	_ = conn.Close()
	if err := <-verdict; err == nil || err.Error() != "the feed ended" {
		t.Errorf("the verdict is %v", err)
	}

	// A session that is to end closes its connection, though nothing comes.
	ctx, cancel := context.WithCancel(t.Context())
	conn, _, verdict = session(ctx)
	defer func() { _ = conn.Close() }()
	cancel()
	select {
	case err := <-verdict:
		if err == nil {
			t.Error("the session ended as planned")
		}
	case <-time.After(patience):
		t.Fatal("the session does not end")
	}
}

// What README.md shows of it is right for this bot.
func TestDocumentedSource(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?ms)^ {4}\[channels.price_data\]\n.*?\n\n\S`).FindString(string(page))
	file := filepath.Join(t.TempDir(), "source.toml")
	if err := os.WriteFile(file, []byte(shown[:max(0, len(shown)-1)]), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := routesfile.Load(routesfile.Source{Paths: []string{"config/routes.toml", file}}, kinds())
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.Config.Sources; len(got) != 1 || got[0].Kind != "lines" || got[0].Channel != "price_data" {
		t.Errorf("the sources are %+v", got)
	}
}
