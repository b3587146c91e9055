package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

// What Redis does not let us subscribe to keeps the program from being ready, and is named.
func TestReadyWithoutASubscription(t *testing.T) {
	server := redistest.Start(t)
	if err := server.Client().Do(t.Context(), "ACL", "SETUSER", "default", "resetchannels", "&others").Err(); err != nil {
		t.Fatal(err)
	}
	opts := opsOptions(t, server.URL(), &ledger{})
	opts.Stderr, opts.Stdout = t.Output(), t.Output()
	p, err := open(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, opts.Observe) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		reasons := p.ready(ctx)
		if len(reasons) == 1 && reasons[0].What == "subscription" && strings.Contains(reasons[0].Text, "prices") {
			return
		}
		if time.Now().After(deadline) || len(reasons) == 0 {
			t.Fatalf("reasons %v", reasons)
		}
	}
}
