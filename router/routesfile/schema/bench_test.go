package schema

import (
	"os"
	"testing"
)

func BenchmarkCheck(b *testing.B) {
	text, err := os.ReadFile("../testdata/shared/schemas/enter.json")
	if err != nil {
		b.Fatal(err)
	}
	schema := compiled(b, string(text))
	for name, msg := range map[string]string{
		"good": `{"id":"01a20132","type":"enter","source":"/signalbox/router","time":"2026-11-22T02:59:48.5Z","data":{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.5"}}`,
		"bad":  `{"id":"01a20132","type":"enter","source":"/signalbox/router","time":"2026-11-22T02:59:48.5Z","data":{"bot":"momentum-1","symbol":"BTCUSDT","side":"up","size":"x"}}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := schema.Check([]byte(msg)); (err == nil) != (name == "good") {
					b.Fatal(err)
				}
			}
		})
	}
}
