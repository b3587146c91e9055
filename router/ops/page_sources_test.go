package ops

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"signalbox/internal/browsertest"
)

// haveSources gives the configuration these.
func (f *fakeRouter) haveSources(sources ...wireSource) {
	f.change(func(c *wireConfig, counts *wireCounts) {
		c.Sources, counts.Sources = sources, map[string]sourceCount{}
	})
}

// be makes a source be like that, and says what else it has read.
func (f *fakeRouter) be(name string, is sourceCount) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if is.Since == 0 {
		is.Since = time.Now().UnixMilli()
	}
	f.counts.Sources[name] = is
}

// A source stands before its channel, and says what it is at as soon as that changes.
func pageShowsSources(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.haveSources(wireSource{"broker", "websocket", "price_data"}, wireSource{"spare", "simulated", "price_data"})
	f.be("broker", sourceCount{State: SourceConnected, At: "wss://stream.example/v2", Epoch: 1795738665, Received: 10, Data: time.Now().UnixMilli()})
	f.be("spare", sourceCount{State: SourceStandingBy})
	visit(p, f)
	broker, spare := nodeSelector("source", "broker"), nodeSelector("source", "spare")
	badge := func(node string) string { return browsertest.TextOf(node + " .badges") }
	p.Until("what each is at", badge(broker)+` === "connected" && `+badge(spare)+` === "stands by" && `+stateOf("source", "spare")+` === "idle"`)
	p.Until("it stands before its channel", `document.querySelector(`+browsertest.Quote(broker)+`).getBoundingClientRect().right < document.querySelector(`+
		browsertest.Quote(nodeSelector("channel", "price_data"))+`).getBoundingClientRect().left && [...document.querySelectorAll(".head")].filter((h) => !h.hidden).map((h) => h.textContent).join() === "sources,channels,types,routes,handlers"`)
	f.be("broker", sourceCount{State: SourceConnected, At: "wss://stream.example/v2", Epoch: 1795738665, Received: 50, Data: time.Now().UnixMilli()})
	p.Until("a rate", `/^[1-9]/.test(`+browsertest.TextOf(broker+" .num")+`) && `+stateOf("source", "broker")+` === "flowing"`)

	p.Click(broker)
	p.Until("all about it", `["kind websocket → price_data", "connected to wss://stream.example/v2, since ", "epoch 1795738665", "last event "].every((t) => `+browsertest.TextOf(".panel .note")+`.includes(t))`)
	p.Until("its counters", browsertest.TextOf(".panel .facts")+`.includes("received50")`)
	f.be("broker", sourceCount{State: SourceWaiting, Until: time.Now().Add(90 * time.Second).UnixMilli(), Why: "429 <b>slow</b> down", Received: 50, Lost: 3})
	p.Until("it waits", badge(broker)+`.startsWith("waits") && `+stateOf("source", "broker")+` === "dropped" && `+browsertest.TextOf(".panel .note")+`.includes("not connected, tries again in ")`)
	p.Until("why", browsertest.TextOf("#problems")+`.includes("broker not connected, tries again in ") && `+browsertest.TextOf("#problems")+`.includes(": 429 <b>slow</b> down · also 3 lost")`)
	p.Until("told aloud", browsertest.TextOf("#announce")+`.includes("source broker: not connected")`)
	p.Run(chromedp.KeyEvent(kb.Escape))
	f.be("broker", sourceCount{State: SourceStoodDown, Why: "code 12", Received: 50, Lost: 3})
	p.Until("it stands down", badge(broker)+`.startsWith("stands down")`)
	f.be("broker", sourceCount{State: SourceGivenUp, Why: "no such account", Received: 50, Lost: 3})
	p.Until("it is given up", badge(broker)+`.startsWith("given up") && `+stateOf("source", "broker")+` === "error" && document.title.startsWith("●") && `+
		browsertest.TextOf("#problems")+`.includes("broker given up: no such account")`)
	p.Click("#problems .calm")
	p.Until("that is not acknowledged away", stateOf("source", "broker")+` === "error" && `+browsertest.TextOf("#problems")+`.includes("given up")`)
	f.be("broker", sourceCount{State: SourceConnected, Trouble: "no answer to the subscription", Received: 50, Lost: 3})
	p.Until("in trouble", stateOf("source", "broker")+` === "warn" && `+browsertest.TextOf("#problems")+`.includes("connected, but: no answer to the subscription")`)
	if label := p.Eval(`document.querySelector(` + browsertest.Quote(broker) + `).getAttribute("aria-label")`); !strings.HasSuffix(label, ", 3 lost, connected, but: no answer to the subscription") && !strings.HasSuffix(label, " second, connected, but: no answer to the subscription") {
		t.Errorf("the node is called %q", label)
	}

	p.Click("#as-table")
	p.Until("as a table", browsertest.TextOf("#table table")+`.includes("connected, but: no answer to the subscription") && document.querySelectorAll("#table table").length === 2`)
	p.Click("#as-table")
	p.Run(chromedp.EmulateViewport(390, 800))
	p.Until("above its channel on a phone", `document.querySelector(`+browsertest.Quote(broker)+`).getBoundingClientRect().bottom < document.querySelector(`+
		browsertest.Quote(nodeSelector("channel", "price_data"))+`).getBoundingClientRect().top`)
	f.change(func(c *wireConfig, counts *wireCounts) { c.Sources, counts.Sources = nil, nil })
	p.Until("a reload removes it", `!document.querySelector("[data-kind=source].node")`)
}
