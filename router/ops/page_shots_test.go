package ops

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"signalbox/internal/browsertest"
)

// TestScreenshots writes pictures of the page to the folder SCREENSHOTS, for people to look at:
// empty, busy and broken, in both colour schemes, on a phone, a laptop and a large screen.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("SCREENSHOTS names no folder")
	}
	browser := browsertest.Start(t)
	only := os.Getenv("SCREENSHOTS_OF") // as "busy-1280", which is quicker
	states := map[string]func(f *fakeRouter){"empty": func(*fakeRouter) {}, "busy": playBusy, "broken": playBroken, "many": playMany, "feeds": playFeeds}
	for state, play := range states {
		f := newFakeRouter(t, demoConfig())
		f.config.Write = true
		f.bury("1716-0", "1717-0", "1718-0")
		ctx, cancel := context.WithCancel(t.Context())
		var playing sync.WaitGroup
		play(f)
		if state != "empty" {
			playing.Go(func() { f.demo(ctx, 1) })
		}
		for _, size := range [][2]int64{{390, 844}, {1280, 800}, {1920, 1080}} {
			for _, scheme := range []string{"dark", "light"} {
				name := fmt.Sprintf("%s-%d-%s", state, size[0], scheme)
				if !strings.Contains(name, only) {
					continue
				}
				tab := browser.Tab(t)
				tab.Colours(scheme)
				tab.Run(chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(f.url()), chromedp.Sleep(shotWait(t, state)))
				tab.Shoot(filepath.Join(folder, name+".png"))
				if state != "empty" {
					tab.Eval(fmt.Sprintf(`document.querySelector(%s).click()`, browsertest.Quote(nodeSelector("route", "enter"))))
					tab.Run(chromedp.Sleep(600 * time.Millisecond))
					tab.Eval(`document.querySelector('.events .row').click()`)
					tab.Run(chromedp.Sleep(200 * time.Millisecond))
					tab.Shoot(filepath.Join(folder, name+"-panel"+".png"))
				}
				for what, open := range shotBoxes() {
					if state == "broken" {
						tab.Eval(open)
						tab.Run(chromedp.Sleep(500 * time.Millisecond))
						tab.Shoot(filepath.Join(folder, name+"-"+what+".png"))
						tab.Eval(`document.querySelectorAll("dialog").forEach((d) => d.close())`)
					}
				}
				tab.Close()
			}
		}
		cancel()
		playing.Wait()
	}
}

// shotBoxes are what opens over the page, and how.
func shotBoxes() map[string]string {
	return map[string]string{
		"config":  `document.querySelector("#open-config").click()`,
		"publish": `document.querySelector("#open-publish").click()`,
		"dead":    `(() => { document.querySelector('[data-node=\'["channel","trade_commands"]\']').click(); document.querySelector("#tab-1").click(); })()`,
		"table":   `document.querySelector("#as-table").click()`,
	}
}

// shotWait is how long the page watches before it is drawn; SCREENSHOTS_WAIT=70s fills its charts.
func shotWait(t *testing.T, state string) time.Duration {
	t.Helper()
	text := os.Getenv("SCREENSHOTS_WAIT")
	switch {
	case state == "empty":
		return 1500 * time.Millisecond
	case text == "":
		return 6 * time.Second
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// playBusy is a demo that has run for a while.
func playBusy(f *fakeRouter) {
	f.order("c-1", "start", "handled", "paper_bot", "")
	f.order("c-3", "enter", "retried", "enter", "exchange timeout")
	f.happen(wireEvent{Channel: "price_data", Result: "rejected", Error: "not JSON: invalid character 'h' at start of value at byte 0", Message: "hello"})
}

// playFeeds has sources in several states.
func playFeeds(f *fakeRouter) {
	playBusy(f)
	f.haveSources(wireSource{"alpaca", "websocket", "price_data"}, wireSource{"binance", "websocket", "price_data"}, wireSource{"simulated", "simulated", "trade_commands"})
	f.be("alpaca", sourceCount{State: SourceWaiting, Until: time.Now().Add(90 * time.Second).UnixMilli(), Why: "connection limit exceeded (406)"})
	f.be("binance", sourceCount{State: SourceConnected, At: "wss://stream.example/ws", Epoch: 1795738665})
	f.be("simulated", sourceCount{State: SourceStandingBy})
}

// playMany has as many routes as can still be drawn.
func playMany(f *fakeRouter) {
	f.mu.Lock()
	for c := range 30 {
		channel := fmt.Sprintf("sensors_%02d", c)
		f.config.Channels = append(f.config.Channels, wireChannel{Name: channel, Transport: "stream", Topic: channel, Types: []string{"reading", "alarm"}})
		for _, name := range []string{"store", "alert", "mirror"} {
			f.config.Routes = append(f.config.Routes, wireRoute{Channel: channel, Name: name, Types: []string{"*"}, Handler: "save"})
		}
	}
	f.zero()
	f.mu.Unlock()
	playBusy(f)
}

// playBroken is a bad day: failures, what nobody takes, a stream that falls behind, Redis away.
func playBroken(f *fakeRouter) {
	playBusy(f)
	for i := range 3 {
		f.order(fmt.Sprintf("c-%d", 40+i), "enter", "failed", "enter", "exchange timeout: no answer from the exchange within 2s")
	}
	f.happen(wireEvent{Channel: "bot_status", Type: "entred", ID: "s-9", Result: "unmatched", Message: `{"type":"entred","data":{}}`})
	f.change(func(config *wireConfig, counts *wireCounts) {
		lag, pending, dead := int64(4210), int64(12), int64(3)
		c := counts.Channels["trade_commands"]
		c.Lag, c.Pending, c.Dead = &lag, &pending, &dead
		counts.Channels["trade_commands"] = c
		p := counts.Channels["price_data"]
		p.Gaps, p.Blind, p.Lost = 1, 2400, 37
		counts.Channels["price_data"] = p
		counts.Away, counts.Ready = true, false
		counts.Reasons = []Reason{{What: "redis", Text: "Redis does not answer: dial tcp 127.0.0.1:6379: connect: connection refused"}}
		config.Attempt, config.Refusal = time.Now().Add(-time.Minute).UnixMilli(), `config/routes.toml:31:11: route 2: unknown handler "paper_bto"; did you mean "paper_bot"?`
	})
}
