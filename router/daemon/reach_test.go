package daemon

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
)

// A Redis that accepts and never answers is not waited for when somebody interrupts.
func TestInterruptedWhileRedisHangs(t *testing.T) {
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Close() }()
	path := filepath.Join(t.TempDir(), "routes.toml")
	text := "[redis]\nurl = \"redis://" + hanging.Addr().String() + "\"\n[channels.a]\ntransport = \"stream\"\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"log\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, interrupt)
	begin := time.Now()
	var out, errs bytes.Buffer
	err = Status(ctx, Options{Source: routesfile.Source{Paths: []string{path}}, Kinds: kinds, Stdout: &out, Stderr: &errs}, StatusOptions{})
	if took := time.Since(begin); err == nil || err.Error() != "interrupted" || took > 2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}
