package brokertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

func TestShippedBinance(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{Ping: 20 * time.Millisecond, Pong: 5 * time.Second, Messages: 200})
	s := ship(t, "binance", &b.Exchange, "/ws")
	first := s.run()
	first.trades(10, []string{"aggTrade"}, "BTCUSDT", "ETHUSDT")
	first.stop()
	_ = first.verdict()

	// It answers pings, or the session would end.
	b.Mute(true)
	second := s.run()
	second.until("pings are seen", func() bool { return second.alive > 3 })
	b.Mute(false)
	second.trades(10, []string{"aggTrade"}, "BTCUSDT", "ETHUSDT")
	if b.MaxConcurrent() != 1 || len(b.Sessions()) != 2 || b.Refused() != 0 {
		t.Errorf("sessions: %+v", b.Sessions())
	}
}

func TestShippedBinanceChangesConnections(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{Life: 5 * time.Second, Notice: 4900 * time.Millisecond})
	s := ship(t, "binance", &b.Exchange, "/ws")
	for range 2 {
		if err := s.run().verdict(); err != nil {
			t.Fatalf("serverShutdown is no planned end: %v", err)
		}
	}
	until(t, &b.Server, "both are over", over(2))
	for _, one := range b.Sessions() {
		if one.Why != "closed by the client" {
			t.Errorf("a session is ended by the broker: %s", one.Why)
		}
	}
	if err := ship(t, "binance", &b.Exchange, "/ws", `"23h"`, `"20ms"`).run().verdict(); err != nil {
		t.Errorf("its age is no planned end: %v", err)
	}
}

func TestShippedBinanceKeepsToTheRate(t *testing.T) {
	t.Parallel()
	b := StartBinance(t, Rules{Messages: 3})
	streams := make([]string, 401) // three messages
	for i := range streams {
		streams[i] = fmt.Sprintf(`"coin%dusdt@aggTrade"`, i)
	}
	many := []string{`"btcusdt@aggTrade"`, strings.Join(streams, ", ")}
	one := ship(t, "binance", &b.Exchange, "/ws", many...).run()
	one.until("opened", func() bool { return one.opened != "" })
	one.stop()

	many = append(many, `"500ms"`, `"0s"`, "size = 200", "size = 20")
	err := ship(t, "binance", &b.Exchange, "/ws", many...).run().verdict()
	if after, asked := router.IsUnavailable(err); !asked || after != 5*time.Minute {
		t.Errorf("the broker ends it for too many messages: %v, wait %v", err, after)
	}
}

func TestShippedCoinbase(t *testing.T) {
	t.Parallel()
	b := StartCoinbase(t, Rules{Heartbeat: 10 * time.Millisecond})
	s := ship(t, "coinbase", &b.Exchange, "/")
	for range 2 {
		one := s.run()
		one.trades(10, []string{"match", "last_match"}, "BTC-USD", "ETH-USD")
		b.Mute(true)
		seen := 0
		one.until("a heartbeat", func() bool { seen = one.alive; return seen > 0 })
		one.until("heartbeats while there are no trades", func() bool { return one.alive > seen+5 })
		b.Mute(false)
		one.stop()
		_ = one.verdict()
	}
}

func TestShippedCoinbaseUnknownProduct(t *testing.T) {
	t.Parallel()
	b := StartCoinbase(t, Rules{Symbols: []string{"BTC-USD"}})
	err := ship(t, "coinbase", &b.Exchange, "/").run().verdict()
	if err == nil || !strings.Contains(err.Error(), "ETH-USD is not a valid product") || router.IsPermanent(err) {
		t.Fatal(err)
	}
}

func TestShippedKraken(t *testing.T) {
	t.Parallel()
	b := StartKraken(t, Rules{Heartbeat: 20 * time.Millisecond, Idle: time.Second})
	s := ship(t, "kraken", &b.Exchange, "/v2", `every = "10s"`, `every = "50ms"`)
	first := s.run()
	first.trades(10, []string{"trade"}, "BTC/USD", "ETH/USD")
	b.Mute(true)
	seen := 0
	first.until("opened", func() bool { seen = first.alive; return true })
	// Long enough for the broker to end it, if it did not ping.
	first.until("heartbeats and pongs", func() bool { return first.alive > seen+80 })
	b.Mute(false)
	first.stop()
	_ = first.verdict()
	s.run().trades(10, []string{"trade"}, "BTC/USD", "ETH/USD")
	until(t, &b.Server, "the first is over", over(1))
	if one := b.Sessions()[0]; one.Why != "closed by the client" {
		t.Errorf("the session ended: %s", one.Why)
	}
}

func TestShippedKrakenUnknownPair(t *testing.T) {
	t.Parallel()
	b := StartKraken(t, Rules{Symbols: []string{"BTC/USD"}})
	err := ship(t, "kraken", &b.Exchange, "/v2").run().verdict()
	if err == nil || !strings.Contains(err.Error(), "Currency pair not supported ETH/USD") {
		t.Fatal(err)
	}
}

func TestShippedAlpaca(t *testing.T) {
	t.Parallel()
	b := StartAlpaca(t, Rules{})
	s := ship(t, "alpaca", &b.Exchange, "/v2/iex")
	first := s.run()
	first.trades(10, []string{"t"}, "AAPL", "MSFT", "SPY")

	err := s.run().verdict()
	if !router.IsStandDown(err) || !strings.Contains(err.Error(), "connection limit exceeded") {
		t.Errorf("the broker refuses the second session: %v", err)
	}
	first.stop()
	_ = first.verdict()
	s.run().trades(10, []string{"t"}, "AAPL", "MSFT", "SPY")
	if b.MaxConcurrent() != 1 || len(b.Sessions()) != 2 || b.Refused() != 1 {
		t.Errorf("%d refused, sessions: %+v", b.Refused(), b.Sessions())
	}
}

func TestShippedAlpacaReadsTheSecretAgain(t *testing.T) {
	t.Parallel()
	b := StartAlpaca(t, Rules{Secret: "new-secret"})
	s := ship(t, "alpaca", &b.Exchange, "/v2/iex")
	err := s.run().verdict()
	if after, _ := router.IsUnavailable(err); after != time.Minute || !strings.Contains(err.Error(), "auth failed") || !strings.Contains(err.Error(), "read again") {
		t.Fatalf("%v, wait %v", err, after)
	}
	s.write("alpaca_secret", "new-secret\n")
	s.run().trades(5, []string{"t"}, "AAPL", "MSFT", "SPY")
}

func TestShippedAlpacaTooManySymbols(t *testing.T) {
	t.Parallel()
	b := StartAlpaca(t, Rules{Streams: 2})
	if err := ship(t, "alpaca", &b.Exchange, "/v2/iex").run().verdict(); !router.IsPermanent(err) || !strings.Contains(err.Error(), "symbol limit exceeded") {
		t.Fatal(err)
	}
}
