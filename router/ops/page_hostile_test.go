package ops

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"signalbox/internal/browsertest"
)

// Whatever a message says stays text.
func pageShowsHostileText(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	const image, script, turned = `<img src=x onerror="window.pwned=1">`, `</script><script>window.pwned=2</script>`, "abc\u202egnp.exe\x1b[31m"
	f.config.Write = true
	f.config.Channels[0].Description = image
	f.config.Routes[3].When = `data.a == "` + image + `"`
	f.config.Files = []string{script}
	f.dead["trade_commands"] = []Letter{{ID: "1-0", Type: image, Event: script, Reason: image, Error: script, Route: "enter", Message: image, At: time.Now()}}
	visit(p, f)
	p.Eval(`(() => { window.violations = []; document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective)); })()`)
	message := fmt.Sprintf(`{"type":%q,%q:{%q:%q}}`, image, "data", script, image+script)
	f.happen(wireEvent{
		Channel: "trade_commands", Type: image, ID: script, Key: image, Name: image, Trace: script, Result: "failed", Error: image + turned, Reason: script, Message: message,
	}, "enter")
	f.happen(wireEvent{Channel: "trade_commands", Type: turned, Result: "rejected", Error: script, Message: script + image})
	f.change(func(c *wireConfig, counts *wireCounts) {
		c.Refusal = image
		counts.Ready, counts.Reasons = false, []Reason{{"x", script}}
	})
	p.Until("told", browsertest.TextOf("#problems")+".includes(`<img src=x`)")
	p.Until("turned text is seen", browsertest.TextOf("#problems")+".includes(`abc\\\\u202egnp.exe\\\\u001b[31m`)")
	p.Click(`[data-node='["channel","trade_commands"]']`)
	for _, row := range []string{"1", "2"} {
		p.Click(".events li:nth-child(" + row + ") .row")
	}
	p.Until("as text", `document.querySelectorAll(".json").length === 2 && [...document.querySelectorAll(".json")].every((j) => j.textContent.includes("<img src=x"))`)
	p.Click("#tab-1")
	p.Until("letters", browsertest.TextOf(".letters li")+`.includes("<script>")`)
	p.Click(".letters .replay")
	p.Click("#confirm .actions button")
	p.Click("#open-config")
	p.Until("configuration", browsertest.TextOf("#config")+`.includes("<script>")`)
	for what, expression := range map[string]string{
		"images":     `document.images.length`,
		"scripts":    `document.scripts.length - 3`,
		"run":        `window.pwned || 0`,
		"violations": `window.violations.length`,
		"styled":     `document.querySelectorAll("style").length`,
	} {
		if got := p.Eval(expression); got != "0" {
			t.Errorf("%s: %s, want none", what, got)
		}
	}
}

// What a person can use has a name, and each page has its landmarks.
func pageNamesEverything(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.config.Write = true
	f.bury("1-0")
	visit(p, f)
	f.order("c-1", "enter", "failed", "enter", "exchange timeout")
	p.Until("red", stateOf("route", "enter")+` === "error"`)
	p.Click(`[data-node='["channel","trade_commands"]']`)
	p.Click(".events .row")
	p.Click("#tab-1")
	p.Until("letters", `document.querySelector(".letters li")`)
	p.Click("#open-publish")
	nameless := p.Eval(`[...document.querySelectorAll("button, input, select, textarea, dialog, aside, a")].filter((e) => {
		const by = e.getAttribute("aria-labelledby");
		const name = e.getAttribute("aria-label") || (by && (document.getElementById(by) || {}).textContent)
			|| e.textContent.trim() || (e.labels && [...e.labels].map((l) => l.textContent).join(""));
		return !name && !(e.matches("dialog") && !e.open);
	}).map((e) => e.tagName + "." + e.className + "#" + e.id).join(" ")`)
	if nameless != "" {
		t.Errorf("without a name: %s", nameless)
	}
	for what, selector := range map[string]string{"language": "html[lang=en]", "main": "main", "head": "header", "a heading": "h1", "polite news": "#announce[aria-live=polite]"} {
		if p.Eval(fmt.Sprintf("Boolean(document.querySelector(%s))", browsertest.Quote(selector))) != "true" {
			t.Errorf("%s: %s is not there", what, selector)
		}
	}
	if live := p.Eval(`[...document.querySelectorAll("[aria-live]")].map((e) => e.id).join()`); live != "announce" {
		t.Errorf("a screen reader would read %s again and again", live)
	}
}

// With more nodes than can be drawn the page is a table, and finds things all the same.
func pageIsTable(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	for i := range 400 {
		f.config.Routes = append(f.config.Routes, wireRoute{Channel: "bot_status", Name: fmt.Sprintf("r%03d", i), Types: []string{"*"}, Handler: "log"})
	}
	f.zero()
	visit(p, f)
	p.Until("a table", `document.querySelectorAll("#table tbody tr").length === 408 && document.querySelector("#flow").hidden`)
	p.Until("says why", browsertest.TextOf("#hidden-count")+`.includes("too many to draw")`)
	f.happen(wireEvent{Channel: "bot_status", Type: "entered", Result: "failed", Error: "disk full"}, "r123")
	p.Until("an error", `[...document.querySelectorAll("#table tr[data-state=error]")].some((r) => r.textContent.includes("r123") && r.textContent.includes("disk full"))`)
	find(p, "r12")
	p.Until("drawn", `!document.querySelector("#flow").hidden && document.querySelectorAll(".node[data-kind=route]").length === 10`)
}

func find(p *browsertest.Tab, text string) {
	p.Eval(fmt.Sprintf(`(() => { const w = document.querySelector("#find"); w.value = %s; w.dispatchEvent(new Event("input")); })()`, browsertest.Quote(text)))
}

func pageFinds(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	names := func(kind string) string {
		return fmt.Sprintf(`[...document.querySelectorAll(".node[data-kind=%s] .name")].map((n) => n.textContent).join()`, kind)
	}
	find(p, "enter")
	p.Until("the way of a type", names("route")+` === "enter,save,log,save" && `+names("handler")+` === "paper_bot,save,log"`)
	find(p, "paper_bot")
	p.Until("the ways to a handler", names("channel")+` === "trade_commands" && `+names("route")+` === "paper_bot,enter"`)
	find(p, "nothing of that name")
	p.Until("nothing", `!document.querySelector(".node") && `+browsertest.TextOf("#hidden-count")+`.includes("hidden")`)
	find(p, "")
	p.Until("all", `document.querySelectorAll(".node[data-kind=route]").length === 8`)
	f.tick(0)
	f.tick(1)
	p.Until("it flows", stateOf("route", "prices")+` === "flowing"`)
	p.Click("#hide-idle")
	p.Until("only what flows", names("route")+` === "prices,latest,save"`)
	p.Click("#as-table")
	p.Until("as a table", `document.querySelectorAll("#table tbody tr").length === 3`)
}

func pageOnPhone(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	p.Run(chromedp.EmulateViewport(390, 844))
	visit(p, f)
	f.order("c-1", "enter", "failed", "enter", strings.Repeat("exchange timeout ", 20))
	p.Until("one column", `document.querySelector("#flow").dataset.mode === "column"`)
	p.Until("the heading stands above the handlers", `[...document.querySelectorAll(".head")].at(-1).getBoundingClientRect().bottom <= document.querySelector(".node[data-kind=handler]").getBoundingClientRect().top`)
	p.Until("red", stateOf("route", "enter")+` === "error"`)
	if wide := p.Eval(`document.documentElement.scrollWidth`); wide != "390" {
		t.Errorf("the page is %s px wide, want 390", wide)
	}
	p.Click(nodeSelector("route", "enter"))
	p.Until("a sheet at the bottom", `(() => { const r = document.querySelector("#panel").getBoundingClientRect(); return r.bottom === 844 && r.width === 390 && r.top > 100; })()`)
	p.Click(".events .row")
	if wide := p.Eval(`document.querySelector(".panel-body").scrollWidth`); wide != "390" {
		t.Errorf("the panel is %s px wide, want 390", wide)
	}
}

func pageColours(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	p.Colours("light")
	visit(p, f)
	ground := `getComputedStyle(document.body).backgroundColor`
	light := p.Eval(ground)
	p.Click("#theme")
	p.Until("dark", ground+" !== "+browsertest.Quote(light))
	visit(p, f)
	p.Until("still dark", ground+" !== "+browsertest.Quote(light))
	if low := p.Eval(contrasts); low != "" {
		t.Errorf("texts that are hard to read in the dark: %s", low)
	}
	p.Click("#theme")
	p.Until("light", ground+" === "+browsertest.Quote(light))
	if low := p.Eval(contrasts); low != "" {
		t.Errorf("texts that are hard to read in the light: %s", low)
	}
	p.Click("#theme")
	p.Until("as the system", `!document.documentElement.dataset.theme`)
}

// contrasts are the colours of texts whose contrast with what they stand on is less than WCAG AA.
const contrasts = `(() => {
	const style = getComputedStyle(document.documentElement);
	const light = (name) => {
		const hex = style.getPropertyValue(name).trim().slice(1);
		const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (a, b) => { const [hi, lo] = [light(a), light(b)].sort((x, y) => y - x); return (hi + 0.05) / (lo + 0.05); };
	const pairs = [];
	for (const on of ["--ground", "--sheet", "--raised"]) for (const ink of ["--text", "--muted", "--green", "--amber", "--red", "--focus"]) pairs.push([ink, on]);
	for (const c of ["green", "amber", "red"]) pairs.push(["--" + c, "--" + c + "-wash"]);
	for (const on of ["--red-wash", "--amber-wash", "--grey-wash"]) for (const ink of ["--text", "--muted"]) pairs.push([ink, on]);
	pairs.push(["--sheet", "--red"]);
	return pairs.filter(([a, b]) => contrast(a, b) < 4.5).map(([a, b]) => a + " on " + b + " " + contrast(a, b).toFixed(2)).join("; ");
})()`

// As many events as the router shows, of 10,000 a second, leave the page time to answer.
func pageStaysQuick(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Click(nodeSelector("route", "prices"))
	p.Eval(`(() => {
		window.gaps = [];
		let last = performance.now();
		setInterval(() => { const now = performance.now(); window.gaps.push(now - last); last = now; }, 10);
	})()`)
	for n := range 1000 { // in 5 s
		f.tick(n)
		f.mu.Lock()
		c := f.counts.Channels["price_data"]
		c.Received += 50
		c.Types["tick"] += 50
		f.counts.Channels["price_data"] = c
		f.counts.Unshown += 50
		f.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
	p.Until("thousands a second", `/^\d,\d\d\d\/s$/.test(`+browsertest.TextOf("#total-in")+`)`)
	p.Until("the list is bounded", `document.querySelectorAll(".events li").length <= 200`)
	p.Until("it says that it is a sample", browsertest.TextOf(".pane .note")+`.includes("A sample:")`)
	// A timer of 10 ms that is late shows how long the page was busy. The longest time says more
	// about who else uses this machine.
	gap := func(share float64) float64 {
		ms, err := strconv.ParseFloat(p.Eval(fmt.Sprintf("window.gaps.sort((a, b) => a - b)[Math.floor(window.gaps.length * %g)]", share)), 64)
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	t.Logf("a timer of 10 ms came after %.0f ms, at most %.0f in 95 and %.0f in 99 of 100 cases", gap(0.5), gap(0.95), gap(0.99))
	if gap(0.95) > 100 {
		t.Errorf("a timer of 10 ms was late by %.0f ms in one of 20 cases, want less than 100", gap(0.95))
	}
	begin := time.Now()
	p.Click("#pause")
	p.Until("pause answers", `document.body.dataset.paused === "true"`)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a click was answered after %v", took)
	}
}
