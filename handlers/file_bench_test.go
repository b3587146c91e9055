package handlers

import (
	"fmt"
	"path/filepath"
	"testing"

	"signalbox/router"
)

// BenchmarkFile appends batches of 256 trades to a file for each channel and day.
func BenchmarkFile(b *testing.B) {
	for name, change := range map[string]func(*FileOptions){
		"message":      func(*FileOptions) {},
		"event":        func(o *FileOptions) { o.Line = lineEvent },
		"fsync=always": func(o *FileOptions) { o.Fsync = "always" },
	} {
		b.Run(name, func(b *testing.B) {
			options := defaultFileOptions()
			options.Path = filepath.Join(b.TempDir(), "{channel}-{date}.jsonl")
			change(&options)
			h := newFiler(nil, options)
			defer func() { _ = h.Close() }()
			events := make([]*router.Event, 256)
			for i := range events {
				events[i] = &router.Event{
					ID: fmt.Sprint(i), Type: "trade", Channel: "binance", Name: "feed:binance", Key: "BTCUSDT", Time: fileDay,
					Msg: fmt.Appendf(nil, `{"e":"trade","E":1795302000041,"s":"BTCUSDT","t":%d,"p":"97429.71066212","q":"0.35540166","T":1795302000040,"m":true,"M":true}`, i),
				}
			}
			for b.Loop() {
				if verdicts := h.HandleBatch(b.Context(), events); verdicts != nil {
					b.Fatal(verdicts[0])
				}
			}
			b.ReportMetric(float64(b.N*len(events))/b.Elapsed().Seconds(), "events/s")
		})
	}
}
