package quiet

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Windows end: what is quiet for a while is forgotten.
func TestQuietForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(slog.DiscardHandler)
		log := slog.New(alwaysEnabled{q})
		for i := range 1000 {
			log.Error("m", "route", fmt.Sprint(i), "err", "e")
			log.Error("m", "route", fmt.Sprint(i), "err", "e")
		}
		time.Sleep(5 * time.Second)
		q.state.mu.Lock()
		defer q.state.mu.Unlock()
		if n := len(q.state.causes); n != 0 {
			t.Errorf("%d windows are kept", n)
		}
	})
}

type alwaysEnabled struct{ slog.Handler }

func (alwaysEnabled) Enabled(context.Context, slog.Level) bool { return true }
