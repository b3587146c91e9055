package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/brokertest"
	"signalbox/internal/redistest"
)

// The configurations for brokers pass check where their secrets are not, and the schema of editors.
func TestBrokerConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/brokers/*.toml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkBySchema(t, string(text))
		out, err := routerIn(t, "../../docs/brokers", []string{"check", "-c", filepath.Base(file)})
		if err != nil || !strings.Contains(out, "\nok: 1 channel") {
			t.Errorf("check %s: %v\n%s", file, err, out)
		}
		for note := range strings.Lines(out) {
			if strings.Contains(note, ".toml:") && !strings.Contains(note, "skipped: file /run/secrets/") {
				t.Errorf("check %s: %s", file, note)
			}
		}
	}
}

// fakeBroker is a fake of a broker that the whole router runs against.
type fakeBroker struct {
	name, path string
	keys       []string
	counts     bool // its trades are numbered
	server     *brokertest.Exchange
}

func fakeBrokers(t *testing.T) []fakeBroker {
	var rules brokertest.Rules
	return []fakeBroker{
		{"binance", "/ws", []string{"BTCUSDT", "ETHUSDT"}, true, &brokertest.StartBinance(t, rules).Exchange},
		{"coinbase", "/", []string{"BTC-USD", "ETH-USD"}, true, &brokertest.StartCoinbase(t, rules).Exchange},
		{"kraken", "/v2", []string{"BTC/USD", "ETH/USD"}, true, &brokertest.StartKraken(t, rules).Exchange},
		{"alpaca", "/v2/iex", []string{"AAPL", "MSFT", "SPY"}, false, &brokertest.StartAlpaca(t, rules).Exchange},
	}
}

// The configurations for brokers do what they say, in routers as they are run: two of them,
// of which one connects.
func TestBrokerConfigurationsRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, b := range fakeBrokers(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.try(t, server)
		})
	}
}

var urlLine = regexp.MustCompile(`(?m)^url +=  *\["wss:.*$`)

// configure writes the configuration as it is shipped, but for where it connects to, where
// its secrets are, and what takes long.
func (b fakeBroker) configure(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("../../docs/brokers/" + b.name + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	connect := fmt.Sprintf("url = [%q]\nca_file = %q\nlease_for = \"1s\"\nbackoff = \"20ms\"", b.server.URL()+b.path, b.server.CAFile())
	replaced := urlLine.ReplaceAllLiteralString(string(text), connect)
	replaced = strings.NewReplacer("/run/secrets/", dir+"/", `takeover_delay = "10s"`, `takeover_delay = "50ms"`).Replace(replaced)
	if strings.Count(replaced, connect) != 1 {
		t.Fatalf("%s.toml has not one line with url", b.name)
	}
	for name, text := range map[string]string{
		"routes.toml": replaced + "\n[log]\nformat = \"json\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
		"alpaca_key":  "key\n", "alpaca_secret": "secret\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "routes.toml")
}

func (b fakeBroker) try(t *testing.T, server *redistest.Server) {
	config := b.configure(t)
	first := startRouter(t, server.URL(), "run", "-c", config)
	first.awaitReady()
	b.awaitPrices(t, server.Client())

	second := startRouter(t, server.URL(), "run", "-c", config)
	second.awaitReady()
	b.server.Drop(websocket.StatusGoingAway, "bye")
	for _, key := range b.keys {
		b.server.Skip(key, 7)
	}
	first.awaitOwn(t, "disconnected", "")
	b.awaitPrices(t, server.Client())
	if b.counts {
		second.awaitOwn(t, "gap", "missing") // who does not hold the source reads the channel, too
	}
	first.stop()
	second.awaitOwn(t, "connected", "")
	b.awaitPrices(t, server.Client())
	second.stop()

	if b.server.MaxConcurrent() != 1 || b.server.Refused() != 0 || len(b.server.Sessions()) != 3 {
		t.Errorf("%d sessions at once, %d refused, of these: %+v", b.server.MaxConcurrent(), b.server.Refused(), b.server.Sessions())
	}
	if archived, err := filepath.Glob(filepath.Join(filepath.Dir(config), "trades", b.name+"-*.jsonl")); err != nil || len(archived) == 0 {
		t.Errorf("no archive of trades beside %s", config)
	}
}

// awaitPrices waits until a price of each key is kept that is new.
func (b fakeBroker) awaitPrices(t *testing.T, client *redis.Client) {
	t.Helper()
	kept := "signalbox:latest:" + b.name
	if err := client.Del(t.Context(), kept, "signalbox:latest.time:"+b.name).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "prices of "+strings.Join(b.keys, ", "), func() bool {
		for _, key := range b.keys {
			text, err := client.HGet(t.Context(), kept, key).Result()
			var event struct {
				Epoch int64
				Data  map[string]any
			}
			if err != nil || json.Unmarshal([]byte(text), &event) != nil || event.Epoch == 0 || len(event.Data) < 5 {
				return false
			}
		}
		return true
	})
}

// awaitOwn waits for an own event that the route for them has logged, with a part of its data.
func (p *process) awaitOwn(t *testing.T, typ, part string) {
	t.Helper()
	eventually(t, "signalbox."+typ, func() bool {
		for line := range strings.Lines(p.tail(1_000_000)) {
			if strings.Contains(line, `"msg":"event"`) && strings.Contains(line, `"signalbox.`+typ+`"`) && strings.Contains(line, part) {
				return true
			}
		}
		return false
	})
}
