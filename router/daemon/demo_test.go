package daemon

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"signalbox/config"
	"signalbox/handlers"
	"signalbox/router"
	"signalbox/sources"
)

// Quotes come at once: nobody who tries the demo waits for the lease of a source.
func TestDemoHasQuotesAtOnce(t *testing.T) {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	sources.Register(kinds)
	screen, out := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	begin := time.Now()
	go func() {
		ended <- Demo(ctx, Options{Kinds: kinds, Stdout: out, Stderr: t.Output()}, DemoOptions{Routes: config.Routes, Command: "router"})
		_ = out.Close()
	}()
	var shown strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(shown.String(), "→ prices     BTCUSDT ") {
		n, err := screen.Read(buffer)
		if err != nil {
			t.Fatalf("%v, after\n%s", err, shown.String())
		}
		shown.Write(buffer[:n])
	}
	if took := time.Since(begin); took > 5*time.Second { // 0.3 s on a quiet machine, 6 s with a lease
		t.Errorf("the first quote took %v", took)
	}
	if !strings.Contains(shown.String(), "signalbox.connected  → log        broker a simulation\n") {
		t.Errorf("the source did not say that it is connected:\n%s", shown.String())
	}
	stop()
	go func() { _, _ = io.Copy(io.Discard, screen) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
