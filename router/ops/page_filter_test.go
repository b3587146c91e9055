package ops

import (
	"fmt"
	"testing"

	"signalbox/internal/browsertest"
)

func pageFilters(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	for n := range 4 {
		f.tick(n) // of two symbols in turn
	}
	p.Click(nodeSelector("route", "prices"))
	rows := `document.querySelectorAll(".events li").length`
	p.Until("all", rows+" === 4")
	fill := func(text string, want int) {
		t.Helper()
		filter(p, text, want)
	}
	fill("data.symbol = BTCUSDT", 2)
	fill("data.symbol=BTCUSDT data.price = 97430.25", 1)
	fill("data.symbol != BTCUSDT", 2)
	fill(`type = "tick"`, 4)
	fill("msg.data.symbol = ETHUSDT", 2)
	fill("key = ETHUSDT", 2)
	fill("ethusdt", 2)
	fill("data.symbol = btcusdt", 0)
	p.Until("says so", browsertest.TextOf(".pane .note")+` === "No event passes the filter."`)
	fill("", 4)
	p.Click(".events .row")
	p.Click(".json .string:nth-of-type(4), .json button.string ~ button.string")
	p.Until("the value became a filter", `document.querySelector(".where").value === "data.symbol = ETHUSDT" && `+rows+" === 2")
	f.tick(4)
	f.tick(5)
	p.Until("what comes is filtered, too", rows+" === 3")
	p.Eval(`(() => { const s = document.querySelector(".filters select + select"); s.value = "failed"; s.dispatchEvent(new Event("change")); })()`)
	p.Until("by result", rows+" === 0")
}

// filter writes a filter of events, and waits until as many pass.
func filter(b *browsertest.Tab, text string, want int) {
	b.Eval(fmt.Sprintf(`(() => { const w = document.querySelector(".where"); w.value = %s; w.dispatchEvent(new Event("input")); })()`, browsertest.Quote(text)))
	b.Until(text, fmt.Sprintf(`document.querySelectorAll(".events li").length === %d`, want))
}

// What docs/page.md says about the filter.
func pageFollowsPaths(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	f.happen(wireEvent{
		Channel: "price_data", Type: "tick", Result: "failed", Error: "no such account", Attempt: 2, Trace: "4bf92f",
		Message: `{"type":"tick","data":{"odd name":1,"legs":[{"size":1.50},{"size":2}],"note":"two words","big":9007199254740993}}`,
	}, "save")
	f.happen(wireEvent{Channel: "price_data", Type: "tick", Result: "handled", Message: `{"type":"tick","note":"two"}`}, "prices")
	p.Click(`[data-node='["channel","price_data"]']`)
	p.Until("both", `document.querySelectorAll(".events li").length === 2`)
	for text, want := range map[string]int{
		`data["odd name"] = 1`: 1, `data.legs[0].size = 1.50`: 1, `data.legs[1].size = 2`: 1, `data.legs.1.size = 2`: 1, `data.legs[0].size = 1.5`: 0,
		`data.note = "two words"`: 1, `data.note = two`: 1, `msg.note = two`: 1, `data.big = 9007199254740993`: 1, `data.big = 9007199254740992`: 0,
		`result = failed`: 1, `route=save`: 1, `attempt = 2`: 1, `trace = 4bf92f`: 1, `"no such account"`: 1, `NO SUCH`: 1, `result != failed`: 1, `data.nowhere != x`: 2,
		`data.note = "two`: 0, `= = =`: 0, `data..x = 1`: 0, `[`: 1, `type = tick result = handled`: 1,
	} {
		filter(p, text, want)
	}
	filter(p, "", 2)
	p.Click(".events li:last-child .row")
	p.Until("numbers keep their digits", browsertest.TextOf(".json")+`.includes("9007199254740993") && `+browsertest.TextOf(".json")+`.includes("1.50")`)
	p.Click(".json button.number")
	p.Until("a path with an odd name", `document.querySelector(".where").value === 'data["odd name"] = 1' && document.querySelectorAll(".events li").length === 1`)
}

// Events and counters come in any order, and each failure is marked once.
func pageMarksOnce(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Eval(`(() => { import("/assets/node.js").then(({ Node }) => {
		const told = [];
		const node = new Node("route", "k", "r");
		const tell = () => told.push(node.marked().map((m) => m.n + " " + m.text).join() || "-");
		const counted = (failed, at) => { node.advance(failed, { failed }, 1, at); tell(); };
		const seen = (at) => { node.see("failed", at, "why", at); tell(); };
		counted(7, 1000); // before the page came
		seen(1100); counted(7, 2000); counted(8, 3000); // the event is first
		counted(9, 4000); seen(4100); counted(9, 5000); // the counter is first
		counted(20, 6000); seen(6100); seen(6200); // and most are not shown
		node.acknowledge(); tell();
		seen(7000); counted(21, 8000); counted(21, 8000 + 5 * 60_000); counted(21, 9000 + 5 * 60_000);
		window.told = told.join("; ");
	}); })()`)
	p.Until("told", "window.told")
	const want = "-; 1 why; 1 why; 1 why; 2 why; 2 why; 2 why; 13 why; 13 why; 13 why; -; 1 why; 1 why; 1 why; -"
	if got := p.Eval("window.told"); got != want {
		t.Errorf("the marks were\n%s, want\n%s", got, want)
	}
}

// However much comes, what is remembered is bounded: in number, and in bytes.
func pageForgets(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	for size, want := range map[string]string{"10": "250 true", "100000": "119 true"} {
		p.Eval(`(() => { window.kept = ""; import("/assets/store.js").then(({ Store }) => {
			const store = new Store();
			for (let i = 0; i < 1000; i++) store.add({ order: i, channel: "a", route: "r", result: i % 2 ? "failed" : "handled", message: "x".repeat(` + size + `) });
			window.kept = store.of({ kind: "channel", name: "a" }).length + " " + (store.chars < 12_000_001);
		}); })()`)
		p.Until("stored", "window.kept")
		if got := p.Eval("window.kept"); got != want {
			t.Errorf("of 1,000 events of %s bytes the page remembers %s, want %s", size, got, want)
		}
	}
}
