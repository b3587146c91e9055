package ops

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"signalbox/internal/browsertest"
)

// TestPage looks at the page in a browser, against a router that is played.
func TestPage(t *testing.T) {
	browser := browsertest.Start(t)
	tests := map[string]func(t *testing.T, f *fakeRouter, p *browsertest.Tab){
		"empty":           pageIsEmpty,
		"live rate":       pageShowsRates,
		"error":           pageShowsErrors,
		"rejected":        pageShowsRejected,
		"before it came":  pageShowsWhatWasBefore,
		"click":           pageShowsEvents,
		"pause":           pagePauses,
		"filter":          pageFilters,
		"paths":           pageFollowsPaths,
		"memory":          pageForgets,
		"marks":           pageMarksOnce,
		"copy":            pageCopies,
		"dead letters":    pageReplays,
		"whose letters":   pageTellsWhoseLetters,
		"publish":         pagePublishes,
		"no writing":      pageOnlyReads,
		"configuration":   pageTellsConfiguration,
		"Redis away":      pageTellsAway,
		"sources":         pageShowsSources,
		"restart":         pageComesBack,
		"hidden":          pageRests,
		"keyboard":        pageByKeyboard,
		"names":           pageNamesEverything,
		"hostile":         pageShowsHostileText,
		"too many":        pageIsTable,
		"find":            pageFinds,
		"phone":           pageOnPhone,
		"colours":         pageColours,
		"10,000 a second": pageStaysQuick,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeRouter(t, demoConfig())
			p := browser.Tab(t)
			defer p.Close()
			p.Run(chromedp.EmulateViewport(1280, 800))
			test(t, f, p)
			// A router that restarts is a line that breaks; the browser says so.
			wrong := slices.DeleteFunc(p.Complaints(), func(c string) bool {
				return name == "restart" && (strings.Contains(c, "net::ERR_") || strings.Contains(c, "the server responded with"))
			})
			if len(wrong) > 0 {
				t.Errorf("the browser complains: %q", wrong)
			}
		})
	}
}

// visit opens the page and waits until it is connected.
func visit(b *browsertest.Tab, f *fakeRouter) {
	b.Run(chromedp.Navigate(f.url()))
	b.Until("connected, and counted", browsertest.TextOf("#link")+` === "live" && `+browsertest.TextOf("#total-in")+` !== "–" && document.querySelector(".node, #table tr")`)
}

func stateOf(kind, name string) string {
	return fmt.Sprintf(`document.querySelector(%s).dataset.state`, browsertest.Quote(nodeSelector(kind, name)))
}

func pageIsEmpty(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.change(func(_ *wireConfig, c *wireCounts) { c.Ready = false })
	visit(p, f)
	p.Until("not ready", browsertest.TextOf("#ready")+` === "not ready"`)
	p.Until("asks for nothing", `document.querySelector("#empty").hidden`)
	f.change(func(_ *wireConfig, c *wireCounts) { c.Ready = true })
	p.Until("says what to do", browsertest.TextOf("#empty")+`.includes("No event yet") && `+browsertest.TextOf("#empty code")+` === "router publish price_data tick '{\"hello\":\"world\"}'"`)
	f.tick(0)
	p.Until("no longer empty", `document.querySelector("#empty").hidden`)
	f.change(func(c *wireConfig, _ *wireCounts) { c.Routes, c.Handlers = nil, nil })
	p.Until("no routes", browsertest.TextOf("#empty")+`.includes("No routes: nothing is wired in config/routes.toml")`)
}

func pageShowsRates(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Until("quiet", browsertest.TextOf("#total-in")+` === "0"`)
	begin := time.Now()
	for n := range 4 {
		f.tick(n)
	}
	rate := nodeSelector("route", "prices") + " .num"
	p.Until("a rate", `/^[1-9]/.test(`+browsertest.TextOf(rate)+`) && /^[1-9]/.test(`+browsertest.TextOf("#total-in")+`)`)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the rate was there after %v, want 2 s", took)
	}
	for _, node := range [][2]string{{"channel", "price_data"}, {"type", "tick"}, {"handler", "prices"}} {
		if node[0] != "channel" && node[0] != "type" {
			p.Until("it flows", stateOf(node[0], node[1])+` === "flowing"`)
			continue
		}
		p.Until("it flows", browsertest.TextOf(fmt.Sprintf(`[data-kind=%s] .num`, node[0]))+` !== "0"`)
	}
	p.Until("channels stand as routes name them", `[...document.querySelectorAll("[data-kind=channel] .name")].map((n) => n.textContent).join() === "price_data,trade_commands,bot_status"`)
	p.Until("the line is wide", `[...document.querySelectorAll(".lines path")].some((l) => l.dataset.state === "flowing" && parseFloat(l.style.strokeWidth) > 1.2)`)
}

func pageShowsErrors(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Until("quiet", stateOf("route", "enter")+` === "idle"`)
	begin := time.Now()
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	p.Until("red", stateOf("route", "enter")+` === "error" && `+stateOf("handler", "paper_bot")+` === "error"`)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the route was red after %v, want 1 s", took)
	}
	p.Until("the line is red", `document.querySelector(".lines path[data-state=error]")`)
	f.order("c-2", "enter", "failed", "enter", "exchange timeout")
	p.Until("what and why", browsertest.TextOf("#problems")+`.includes("trade_commands → enter 2 failed, last") && `+browsertest.TextOf("#problems")+`.includes("ago: exchange timeout")`)
	p.Until("counted", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "2 failed" && `+browsertest.TextOf("#total-failed")+` === "2"`)
	p.Until("announced", browsertest.TextOf("#announce")+`.includes("route enter fails: exchange timeout")`)
	if label := p.Eval(fmt.Sprintf("document.querySelector(%s).getAttribute('aria-label')", browsertest.Quote(nodeSelector("route", "enter")))); !strings.Contains(label, "2 failed, exchange timeout") {
		t.Errorf("the node is called %q", label)
	}
	time.Sleep(2200 * time.Millisecond) // two counts later it is still marked, and not twice
	p.Until("still", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "2 failed"`)
	p.Click("#problems .calm")
	p.Until("acknowledged", stateOf("route", "enter")+` !== "error" && !document.querySelector("#fine").hidden`)
	p.Until("nothing is denied", browsertest.TextOf("#fine")+` === "nothing but what was acknowledged"`)
	f.order("c-3", "enter", "failed", "enter", "no such account")
	p.Until("red again", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
}

func pageShowsRejected(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	f.happen(wireEvent{Channel: "price_data", Result: "rejected", Error: "not JSON at byte 0", Message: "hello"})
	f.happen(wireEvent{Channel: "bot_status", Type: "entred", Result: "unmatched", Message: `{"type":"entred"}`})
	p.Until("rejected", browsertest.TextOf(`[data-node='["channel","price_data"]'] .badges`)+` === "1 rejected"`)
	p.Until("unmatched", browsertest.TextOf(`[data-node='["channel","bot_status"]'] .badges`)+` === "1 unmatched"`)
	p.Until("why", browsertest.TextOf("#problems")+`.includes("not JSON at byte 0") && `+browsertest.TextOf("#problems")+`.includes('no route takes type "entred"')`)
	p.Until("other types", browsertest.TextOf(`[data-node='["type","bot_status","other"]'] .name`)+` === "other types"`)
	p.Click(`[data-node='["channel","price_data"]']`)
	p.Click(".events .row")
	p.Until("as it came", browsertest.TextOf(".json")+` === "hello"`)
}

// What failed before somebody looked is still told.
func pageShowsWhatWasBefore(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	long := time.Now().Add(-6 * time.Minute).UnixMilli()
	f.happen(wireEvent{Channel: "bot_status", Type: "entered", Result: "failed", Error: "disk full", At: long}, "log")
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	visit(p, f)
	p.Until("red", stateOf("route", "enter")+` === "error"`)
	p.Until("once", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
	p.Run(chromedp.Sleep(1500 * time.Millisecond))
	p.Until("still once", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
	old := `[data-node='["route","bot_status","log"]']`
	p.Until("what is long past is not marked", browsertest.TextOf(old+" .badges")+` === ""`)
	p.Click(old)
	p.Until("but listed", browsertest.TextOf(".events .error")+` === "disk full"`)
}

// A page that nobody sees costs nothing, and is there again when it is looked at.
func pageRests(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Eval(`Object.defineProperty(document, "hidden", { get: () => window.away, configurable: true })`)
	look := func(away bool) {
		p.Eval(fmt.Sprintf(`(() => { window.away = %t; document.dispatchEvent(new Event("visibilitychange")); })()`, away))
	}
	look(true)
	p.Until("resting", browsertest.TextOf("#link")+` === "resting"`)
	for f.watched() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	look(false)
	p.Until("live", browsertest.TextOf("#link")+` === "live"`)
	p.Until("what failed meanwhile", browsertest.TextOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
}

func pageShowsEvents(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	f.order("c-1", "enter", "retried", "enter", "exchange timeout")
	f.order("c-1", "enter", "handled", "enter", "")
	p.Click(nodeSelector("route", "enter"))
	p.Until("both, the newest first", `[...document.querySelectorAll(".events .verdict")].map((v) => v.textContent).join() === "handled,will retry"`)
	f.order("c-2", "enter", "handled", "enter", "")
	p.Until("a new one on top", browsertest.TextOf(".events .id")+` === "c-2"`)
	p.Click(".events .row")
	p.Until("all about it", `["4bf92f3577b34da6a3ce929d0e0e4736", "1.8 ms", "attempt"].every((t) => `+browsertest.TextOf(".body")+`.includes(t))`)
	p.Until("pretty", browsertest.TextOf(".json")+`.includes('\n    "symbol": "BTCUSDT",\n')`)
	p.Until("a chart", `document.querySelector(".plot canvas")`)
	f.order("c-4", "enter", "skipped", "enter", "9s old, max age 5s")
	p.Until("on top", browsertest.TextOf(".events .id")+` === "c-4"`)
	p.Click(".events .row")
	p.Until("why it was skipped, which is no error", `((t) => t.includes("why9s old, max age 5s") && !t.includes("error"))(`+browsertest.TextOf(".body")+`)`)
	p.Click("#tab-2")
	f.order("c-3", "enter", "handled", "enter", "")
	p.Until("totals", browsertest.TextOf("#pane-2")+`.includes("handled3") && !document.querySelector("#pane-2").hidden`)
}

func pagePauses(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Click(nodeSelector("route", "prices"))
	f.tick(0)
	p.Until("one", `document.querySelectorAll(".events li").length === 1`)
	p.Click("#pause")
	for n := 1; n <= 3; n++ {
		f.tick(n)
	}
	p.Until("counted", browsertest.TextOf(".pane .note")+`.includes("3 events came meanwhile")`)
	p.Until("still one", `document.querySelectorAll(".events li").length === 1`)
	p.Click("#pause")
	p.Until("all", `document.querySelectorAll(".events li").length === 4`)
}

func pageTellsConfiguration(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	f.change(func(c *wireConfig, _ *wireCounts) {
		c.Attempt, c.Refusal = time.Now().UnixMilli(), "config/routes.toml:31:11: route 2: unknown handler \"lgo\""
	})
	p.Until("refused", browsertest.TextOf("#banners")+`.includes('Reload refused') && `+browsertest.TextOf("#banners")+`.includes('unknown handler "lgo"')`)
	p.Click("#open-config")
	p.Until("all", `["config/routes.toml", "3fa9c0d1e2b4", "refused", 'unknown handler "lgo"', "max_age 5s · dedupe 10m"].every((t) => `+browsertest.TextOf("#config")+`.includes(t)) && document.querySelectorAll("#config tbody tr").length === 8`)
	p.Run(chromedp.KeyEvent(kb.Escape))
	p.Until("closed", `!document.querySelector("#config").open`)
	f.change(func(c *wireConfig, counts *wireCounts) {
		c.Refusal, c.Hash = "", "aaaaaaaaaaaa"
		c.Routes, counts.Routes = c.Routes[:7], counts.Routes[:7]
	})
	p.Until("another", `!`+browsertest.TextOf("#banners")+`.includes("refused") && `+browsertest.TextOf("#hash")+` === "aaaaaaaaaaaa" && document.querySelectorAll("[data-kind=route].node").length === 7`)
}

func pageTellsAway(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Until("ready", browsertest.TextOf("#ready")+` === "ready"`)
	lag := int64(500)
	f.change(func(_ *wireConfig, c *wireCounts) {
		c.Away, c.Ready = true, false
		c.Reasons = []Reason{{"redis", "Redis does not answer"}, {"subscription", "price_data is not subscribed"}}
		n := c.Channels["trade_commands"]
		n.Lag = &lag
		c.Channels["trade_commands"] = n
	})
	p.Until("away", browsertest.TextOf("#banners")+`.includes("Redis is away") && `+browsertest.TextOf("#banners")+`.includes("Not ready: price_data is not subscribed") && `+browsertest.TextOf("#ready")+` === "not ready"`)
	p.Until("lag", `document.querySelector('[data-node=\'["channel","trade_commands"]\']').dataset.state === "behind" && `+browsertest.TextOf("#problems")+`.includes("500 events waiting")`)
	f.change(func(_ *wireConfig, c *wireCounts) { c.Away, c.Ready, c.Reasons = false, true, nil })
	p.Until("back", browsertest.TextOf("#banners")+` === "" && `+browsertest.TextOf("#ready")+` === "ready"`)
}

func pageComesBack(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	for n := range 8 {
		f.tick(n)
	}
	p.Click(nodeSelector("route", "prices"))
	p.Until("eight", `document.querySelectorAll(".events li").length === 8`)
	p.Click("#tab-1")
	p.Until("eight counted", browsertest.TextOf("#pane-1")+`.includes("handled8")`)
	f.stop()
	p.Until("reconnecting", browsertest.TextOf("#link")+` === "reconnecting…" && `+browsertest.TextOf("#banners")+`.includes("comes back by itself")`)
	f.restart()
	p.Until("live", browsertest.TextOf("#link")+` === "live" && `+browsertest.TextOf("#banners")+` === ""`)
	f.tick(9)
	p.Until("counters begin anew", browsertest.TextOf("#pane-1")+`.includes("handled1")`)
	p.Until("the list goes on", `document.querySelectorAll(".events li").length === 9`)
	// An answer that is no stream, as of a proxy without its router: a browser gives up on that.
	f.stop()
	p.Until("reconnecting", browsertest.TextOf("#link")+` === "reconnecting…"`)
	f.refusal.Store(http.StatusBadGateway)
	f.start()
	time.Sleep(3 * time.Second)
	f.refusal.Store(http.StatusUnauthorized)
	p.Until("a login", browsertest.TextOf("#banners")+`.includes("A login is needed") && document.querySelector("#banners a").getAttribute("href") === "/login"`)
	f.refusal.Store(0)
	p.Until("live again", browsertest.TextOf("#link")+` === "live"`)
}

func pageByKeyboard(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	f.order("c-1", "enter", "handled", "enter", "")
	focused := `document.activeElement.dataset.node`
	for range 40 {
		if p.Eval(focused) == `["channel","price_data"]` {
			break
		}
		p.Run(chromedp.KeyEvent(kb.Tab))
	}
	p.Until("the first node", focused+` === '["channel","price_data"]'`)
	p.Until("focus is seen", `getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	for _, step := range []struct{ key, want string }{
		{kb.ArrowDown, `["channel","trade_commands"]`},
		{kb.ArrowRight, `["type","trade_commands","stop"]`},
		{kb.ArrowDown, `["type","trade_commands","enter"]`},
		{kb.ArrowRight, `["route","trade_commands","enter"]`},
	} {
		p.Run(chromedp.KeyEvent(step.key))
		p.Until(step.want, focused+` === '`+step.want+`'`)
	}
	p.Run(chromedp.KeyEvent(kb.Enter))
	p.Until("the panel has the focus", `document.activeElement.id === "panel-title" && !document.querySelector("#panel").hidden`)
	p.Eval(`document.querySelector(".events .row").focus()`)
	p.Run(chromedp.KeyEvent(kb.Enter))
	p.Until("open", `document.activeElement.getAttribute("aria-expanded") === "true" && document.querySelector(".json")`)
	p.Run(chromedp.KeyEvent(kb.Escape))
	p.Until("back where it was", `document.querySelector("#panel").hidden && `+focused+` === '["route","trade_commands","enter"]'`)
}
