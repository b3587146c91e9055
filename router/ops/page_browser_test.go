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
)

// TestPage looks at the page in a browser, against a router that is played.
func TestPage(t *testing.T) {
	browser := startBrowser(t)
	tests := map[string]func(t *testing.T, f *fakeRouter, p *tab){
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
		"publish":         pagePublishes,
		"no writing":      pageOnlyReads,
		"configuration":   pageTellsConfiguration,
		"Redis away":      pageTellsAway,
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
			p := browser.tab(t)
			defer p.close()
			p.run(chromedp.EmulateViewport(1280, 800))
			test(t, f, p)
			// A router that restarts is a line that breaks; the browser says so.
			wrong := slices.DeleteFunc(p.complaints(), func(c string) bool {
				return name == "restart" && (strings.Contains(c, "net::ERR_") || strings.Contains(c, "the server responded with"))
			})
			if len(wrong) > 0 {
				t.Errorf("the browser complains: %q", wrong)
			}
		})
	}
}

// visit opens the page and waits until it is connected.
func (b *tab) visit(f *fakeRouter) {
	b.t.Helper()
	b.run(chromedp.Navigate(f.url()))
	b.until("connected, and counted", textOf("#link")+` === "live" && `+textOf("#total-in")+` !== "–" && document.querySelector(".node, #table tr")`)
}

func stateOf(kind, name string) string {
	return fmt.Sprintf(`document.querySelector(%s).dataset.state`, jsText(nodeSelector(kind, name)))
}

func pageIsEmpty(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.until("says what to do", textOf("#empty")+`.includes("No event yet") && `+textOf("#empty code")+` === "router publish price_data tick '{\"hello\":\"world\"}'"`)
	f.tick(0)
	p.until("no longer empty", `document.querySelector("#empty").hidden`)
	f.change(func(c *wireConfig, _ *wireCounts) { c.Routes, c.Handlers = nil, nil })
	p.until("no routes", textOf("#empty")+`.includes("No routes: nothing is wired in config/routes.toml")`)
}

func pageShowsRates(t *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.until("quiet", textOf("#total-in")+` === "0"`)
	begin := time.Now()
	for n := range 4 {
		f.tick(n)
	}
	rate := nodeSelector("route", "prices") + " .num"
	p.until("a rate", `/^[1-9]/.test(`+textOf(rate)+`) && /^[1-9]/.test(`+textOf("#total-in")+`)`)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the rate was there after %v, want 2 s", took)
	}
	for _, node := range [][2]string{{"channel", "price_data"}, {"type", "tick"}, {"handler", "prices"}} {
		if node[0] != "channel" && node[0] != "type" {
			p.until("it flows", stateOf(node[0], node[1])+` === "flowing"`)
			continue
		}
		p.until("it flows", textOf(fmt.Sprintf(`[data-kind=%s] .num`, node[0]))+` !== "0"`)
	}
	p.until("channels stand as routes name them", `[...document.querySelectorAll("[data-kind=channel] .name")].map((n) => n.textContent).join() === "price_data,trade_commands,bot_status"`)
	p.until("the line is wide", `[...document.querySelectorAll(".lines path")].some((l) => l.dataset.state === "flowing" && parseFloat(l.style.strokeWidth) > 1.2)`)
}

func pageShowsErrors(t *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.until("quiet", stateOf("route", "enter")+` === "idle"`)
	begin := time.Now()
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	p.until("red", stateOf("route", "enter")+` === "error" && `+stateOf("handler", "paper_bot")+` === "error"`)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the route was red after %v, want 1 s", took)
	}
	p.until("the line is red", `document.querySelector(".lines path[data-state=error]")`)
	f.order("c-2", "enter", "failed", "enter", "exchange timeout")
	p.until("what and why", textOf("#problems")+`.includes("trade_commands → enter 2 failed, last") && `+textOf("#problems")+`.includes("ago: exchange timeout")`)
	p.until("counted", textOf(nodeSelector("route", "enter")+" .badges")+` === "2 failed" && `+textOf("#total-failed")+` === "2"`)
	p.until("announced", textOf("#announce")+`.includes("route enter fails: exchange timeout")`)
	if label := p.eval(fmt.Sprintf("document.querySelector(%s).getAttribute('aria-label')", jsText(nodeSelector("route", "enter")))); !strings.Contains(label, "2 failed, exchange timeout") {
		t.Errorf("the node is called %q", label)
	}
	time.Sleep(2200 * time.Millisecond) // two counts later it is still marked, and not twice
	p.until("still", textOf(nodeSelector("route", "enter")+" .badges")+` === "2 failed"`)
	p.click("#problems .calm")
	p.until("acknowledged", stateOf("route", "enter")+` !== "error" && !document.querySelector("#fine").hidden`)
	f.order("c-3", "enter", "failed", "enter", "no such account")
	p.until("red again", textOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
}

func pageShowsRejected(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	f.happen(wireEvent{Channel: "price_data", Result: "rejected", Error: "not JSON at byte 0", Message: "hello"})
	f.happen(wireEvent{Channel: "bot_status", Type: "entred", Result: "unmatched", Message: `{"type":"entred"}`})
	p.until("rejected", textOf(`[data-node='["channel","price_data"]'] .badges`)+` === "1 rejected"`)
	p.until("unmatched", textOf(`[data-node='["channel","bot_status"]'] .badges`)+` === "1 unmatched"`)
	p.until("why", textOf("#problems")+`.includes("not JSON at byte 0") && `+textOf("#problems")+`.includes('no route takes type "entred"')`)
	p.until("other types", textOf(`[data-node='["type","bot_status","other"]'] .name`)+` === "other types"`)
	p.click(`[data-node='["channel","price_data"]']`)
	p.click(".events .row")
	p.until("as it came", textOf(".json")+` === "hello"`)
}

// What failed before somebody looked is still told.
func pageShowsWhatWasBefore(_ *testing.T, f *fakeRouter, p *tab) {
	long := time.Now().Add(-6 * time.Minute).UnixMilli()
	f.happen(wireEvent{Channel: "bot_status", Type: "entered", Result: "failed", Error: "disk full", At: long}, "log")
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	p.visit(f)
	p.until("red", stateOf("route", "enter")+` === "error"`)
	p.until("once", textOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
	p.run(chromedp.Sleep(1500 * time.Millisecond))
	p.until("still once", textOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
	old := `[data-node='["route","bot_status","log"]']`
	p.until("what is long past is not marked", textOf(old+" .badges")+` === ""`)
	p.click(old)
	p.until("but listed", textOf(".events .error")+` === "disk full"`)
}

// A page that nobody sees costs nothing, and is there again when it is looked at.
func pageRests(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.eval(`Object.defineProperty(document, "hidden", { get: () => window.away, configurable: true })`)
	look := func(away bool) {
		p.eval(fmt.Sprintf(`(() => { window.away = %t; document.dispatchEvent(new Event("visibilitychange")); })()`, away))
	}
	look(true)
	p.until("resting", textOf("#link")+` === "resting"`)
	for f.watched() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	look(false)
	p.until("live", textOf("#link")+` === "live"`)
	p.until("what failed meanwhile", textOf(nodeSelector("route", "enter")+" .badges")+` === "1 failed"`)
}

func pageShowsEvents(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	f.order("c-1", "enter", "retried", "enter", "exchange timeout")
	f.order("c-1", "enter", "handled", "enter", "")
	p.click(nodeSelector("route", "enter"))
	p.until("both, the newest first", `[...document.querySelectorAll(".events .verdict")].map((v) => v.textContent).join() === "handled,will retry"`)
	f.order("c-2", "enter", "handled", "enter", "")
	p.until("a new one on top", textOf(".events .id")+` === "c-2"`)
	p.click(".events .row")
	p.until("all about it", `["4bf92f3577b34da6a3ce929d0e0e4736", "1.8 ms", "attempt"].every((t) => `+textOf(".body")+`.includes(t))`)
	p.until("pretty", textOf(".json")+`.includes('\n    "symbol": "BTCUSDT",\n')`)
	p.until("a chart", `document.querySelector(".plot canvas")`)
	p.click("#tab-2")
	f.order("c-3", "enter", "handled", "enter", "")
	p.until("totals", textOf("#pane-2")+`.includes("handled3") && !document.querySelector("#pane-2").hidden`)
}

func pagePauses(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.click(nodeSelector("route", "prices"))
	f.tick(0)
	p.until("one", `document.querySelectorAll(".events li").length === 1`)
	p.click("#pause")
	for n := 1; n <= 3; n++ {
		f.tick(n)
	}
	p.until("counted", textOf(".pane .note")+`.includes("3 events came meanwhile")`)
	p.until("still one", `document.querySelectorAll(".events li").length === 1`)
	p.click("#pause")
	p.until("all", `document.querySelectorAll(".events li").length === 4`)
}

func pageTellsConfiguration(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	f.change(func(c *wireConfig, _ *wireCounts) {
		c.Attempt, c.Refusal = time.Now().UnixMilli(), "config/routes.toml:31:11: route 2: unknown handler \"lgo\""
	})
	p.until("refused", textOf("#banners")+`.includes('Reload refused') && `+textOf("#banners")+`.includes('unknown handler "lgo"')`)
	p.click("#open-config")
	p.until("all", `["config/routes.toml", "3fa9c0d1e2b4", "refused", 'unknown handler "lgo"', "max_age 5s · dedupe 10m"].every((t) => `+textOf("#config")+`.includes(t)) && document.querySelectorAll("#config tbody tr").length === 8`)
	p.run(chromedp.KeyEvent(kb.Escape))
	p.until("closed", `!document.querySelector("#config").open`)
	f.change(func(c *wireConfig, counts *wireCounts) {
		c.Refusal, c.Hash = "", "aaaaaaaaaaaa"
		c.Routes, counts.Routes = c.Routes[:7], counts.Routes[:7]
	})
	p.until("another", `!`+textOf("#banners")+`.includes("refused") && `+textOf("#hash")+` === "aaaaaaaaaaaa" && document.querySelectorAll("[data-kind=route].node").length === 7`)
}

func pageTellsAway(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	p.until("ready", textOf("#ready")+` === "ready"`)
	lag := int64(500)
	f.change(func(_ *wireConfig, c *wireCounts) {
		c.Away, c.Ready = true, false
		c.Reasons = []Reason{{"redis", "Redis does not answer"}, {"subscription", "price_data is not subscribed"}}
		n := c.Channels["trade_commands"]
		n.Lag = &lag
		c.Channels["trade_commands"] = n
	})
	p.until("away", textOf("#banners")+`.includes("Redis is away") && `+textOf("#banners")+`.includes("Not ready: price_data is not subscribed") && `+textOf("#ready")+` === "not ready"`)
	p.until("lag", `document.querySelector('[data-node=\'["channel","trade_commands"]\']').dataset.state === "behind" && `+textOf("#problems")+`.includes("500 events waiting")`)
	f.change(func(_ *wireConfig, c *wireCounts) { c.Away, c.Ready, c.Reasons = false, true, nil })
	p.until("back", textOf("#banners")+` === "" && `+textOf("#ready")+` === "ready"`)
}

func pageComesBack(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	for n := range 8 {
		f.tick(n)
	}
	p.click(nodeSelector("route", "prices"))
	p.until("eight", `document.querySelectorAll(".events li").length === 8`)
	p.click("#tab-1")
	p.until("eight counted", textOf("#pane-1")+`.includes("handled8")`)
	f.stop()
	p.until("reconnecting", textOf("#link")+` === "reconnecting…" && `+textOf("#banners")+`.includes("comes back by itself")`)
	f.restart()
	p.until("live", textOf("#link")+` === "live" && `+textOf("#banners")+` === ""`)
	f.tick(9)
	p.until("counters begin anew", textOf("#pane-1")+`.includes("handled1")`)
	p.until("the list goes on", `document.querySelectorAll(".events li").length === 9`)
	// An answer that is no stream, as of a proxy without its router: a browser gives up on that.
	f.stop()
	p.until("reconnecting", textOf("#link")+` === "reconnecting…"`)
	f.refusal.Store(http.StatusBadGateway)
	f.start()
	time.Sleep(3 * time.Second)
	f.refusal.Store(http.StatusUnauthorized)
	p.until("a login", textOf("#banners")+`.includes("A login is needed") && document.querySelector("#banners a").getAttribute("href") === "/login"`)
	f.refusal.Store(0)
	p.until("live again", textOf("#link")+` === "live"`)
}

func pageByKeyboard(_ *testing.T, f *fakeRouter, p *tab) {
	p.visit(f)
	f.order("c-1", "enter", "handled", "enter", "")
	focused := `document.activeElement.dataset.node`
	for range 40 {
		if p.eval(focused) == `["channel","price_data"]` {
			break
		}
		p.run(chromedp.KeyEvent(kb.Tab))
	}
	p.until("the first node", focused+` === '["channel","price_data"]'`)
	p.until("focus is seen", `getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	for _, step := range []struct{ key, want string }{
		{kb.ArrowDown, `["channel","trade_commands"]`},
		{kb.ArrowRight, `["type","trade_commands","stop"]`},
		{kb.ArrowDown, `["type","trade_commands","enter"]`},
		{kb.ArrowRight, `["route","trade_commands","enter"]`},
	} {
		p.run(chromedp.KeyEvent(step.key))
		p.until(step.want, focused+` === '`+step.want+`'`)
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until("the panel has the focus", `document.activeElement.id === "panel-title" && !document.querySelector("#panel").hidden`)
	p.eval(`document.querySelector(".events .row").focus()`)
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until("open", `document.activeElement.getAttribute("aria-expanded") === "true" && document.querySelector(".json")`)
	p.run(chromedp.KeyEvent(kb.Escape))
	p.until("back where it was", `document.querySelector("#panel").hidden && `+focused+` === '["route","trade_commands","enter"]'`)
}
