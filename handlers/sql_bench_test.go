package handlers_test

import (
	"io"
	"log/slog"
	"testing"

	"signalbox/handlers"
	"signalbox/internal/pgtest"
	"signalbox/router"
)

// BenchmarkSQL saves a batch that is there already, so that the disk is left out.
func BenchmarkSQL(b *testing.B) {
	db := pgtest.Start(b, "fsync=off").Create(b)
	handler, err := handlers.SQL().New(router.Env{Service: "test", Log: slog.New(slog.DiscardHandler)}, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = handler.(io.Closer).Close() }()
	events := ticks(0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if verdicts := handler.(router.BatchHandler).HandleBatch(b.Context(), events); verdicts != nil {
			b.Fatal(verdicts[0])
		}
	}
}
